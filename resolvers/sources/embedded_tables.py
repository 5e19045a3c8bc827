"""Writes the tables of the embedded shop's catalogue into an empty SQLite file."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from resolvers.sources.embedded_catalogue import ShopCategory, ShopProduct, compose_categories, compose_products
from resolvers.sources.embedded_data import PurchaseLine, ShopData
from resolvers.sources.embedded_people import ShopCustomer, compose_customers, persona_categories
from resolvers.sources.embedded_search import within, words
from resolvers.sources.embedded_shelves import compose_shelves

SCHEMA = Path(__file__).parent / "embedded_schema.sql"
WHOLE_SHOP = 0


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything that is written. `products` come by popularity, so a product's key is its place, from 1."""

    data: ShopData
    products: tuple[ShopProduct, ...]
    categories: tuple[ShopCategory, ...]
    customers: tuple[ShopCustomer, ...]

    @classmethod
    def composed(cls, data: ShopData) -> "Shop":
        """The shop made from the data."""
        products = compose_products(data)
        return cls(data, products, compose_categories(data), compose_customers(products, data.purchases))

    def category_keys(self) -> dict[str | None, int]:
        """Keys of categories by id, and of the whole shop by None."""
        return {None: WHOLE_SHOP, **{category.id: key for key, category in enumerate(self.categories, 1)}}


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of each product, from 1, by price and by name, in the order of `Shop.products`."""

    price: list[int]
    name: list[int]

    @classmethod
    def of(cls, products: Sequence[ShopProduct]) -> "Ranks":
        """The ranks, ties broken by id."""
        return cls(
            price=_places(products, lambda product: (product.amount_cents, product.id)),
            name=_places(products, lambda product: (product.name.casefold(), product.id)),
        )


def write_tables(db: sqlite3.Connection, shop: Shop, step: Callable[[str], None]) -> None:
    """Fill the empty database; `step` is told before each of the `STEPS`. Nothing is committed."""
    ranks = Ranks.of(shop.products)
    for name, write in STEPS.items():
        step(name)
        write(db, shop, ranks)


def _write_products(db: sqlite3.Connection, shop: Shop, ranks: Ranks) -> None:
    rows = (
        (
            key,
            product.id,
            product.name,
            product.path[2],
            product.brand,
            product.description,
            product.size,
            product.popularity,
            product.amount_cents,
            product.list_cents,
            product.synthetic_units,
            price,
            name,
        )
        for key, (product, price, name) in enumerate(zip(shop.products, ranks.price, ranks.name, strict=True), 1)
    )
    db.executemany("INSERT INTO product VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _write_categories(db: sqlite3.Connection, shop: Shop, _: Ranks) -> None:
    rows = ((key, c.id, c.name, c.parent_id, c.products) for key, c in enumerate(shop.categories, 1))
    db.executemany("INSERT INTO category VALUES (?, ?, ?, ?, ?)", rows)


def _write_listings(db: sqlite3.Connection, shop: Shop, ranks: Ranks) -> None:
    keys = shop.category_keys()
    places: defaultdict[int, list[int]] = defaultdict(list)
    for index, product in enumerate(shop.products):
        for category_id in (None, *product.path):
            places[keys[category_id]].append(index)
    sorts = (("name", ranks.name), ("popular", list(range(1, len(shop.products) + 1))), ("price", ranks.price))
    rows = (
        (category_key, sort, rank[index], index + 1)
        for category_key, indexes in sorted(places.items())
        for sort, rank in sorts
        for index in sorted(indexes, key=rank.__getitem__)
    )
    db.executemany("INSERT INTO listing VALUES (?, ?, ?, ?)", rows)


def _write_search(db: sqlite3.Connection, shop: Shop, ranks: Ranks) -> None:
    documents = list(_documents(shop))
    by_key = list(range(1, len(documents) + 1))
    for table, rank in (("search_popular", by_key), ("search_price", ranks.price), ("search_name", ranks.name)):
        rows = sorted((place, *document) for place, document in zip(rank, documents, strict=True))
        db.executemany(f"INSERT INTO {table} (rowid, name, more, place) VALUES (?, ?, ?, ?)", rows)  # noqa: S608
        db.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")  # noqa: S608
    terms = Counter(term for name, more, _ in documents for term in {*name.split(), *more.split()})
    db.executemany("INSERT INTO search_term VALUES (?, ?)", sorted(terms.items()))


def _documents(shop: Shop) -> Iterator[tuple[str, str, str]]:
    """Words of the name, other words, and category tokens of each product."""
    keys = shop.category_keys()
    names = {category.id: category.name for category in shop.categories}
    for product in shop.products:
        more = [product.brand, product.size or "", *(names[category_id] for category_id in product.path)]
        tokens = " ".join(within(keys[category_id]) for category_id in product.path)
        yield " ".join(words(product.name)), " ".join(words(" ".join(more))), tokens


def _write_coupons(db: sqlite3.Connection, shop: Shop, _: Ranks) -> None:
    rows = (
        (c.product_id, c.id, c.campaign, c.valid_from.isoformat(), c.valid_until.isoformat()) for c in shop.data.coupons
    )
    db.executemany("INSERT INTO coupon VALUES (?, ?, ?, ?, ?)", rows)


def _write_customers(db: sqlite3.Connection, shop: Shop, _: Ranks) -> None:
    rows = (
        (c.id, c.synthetic_persona, c.synthetic_region, json.dumps(c.synthetic_sponsors), json.dumps(c.top_categories))
        for c in shop.customers
    )
    db.executemany("INSERT INTO customer VALUES (?, ?, ?, ?, ?)", rows)


def _write_purchases(db: sqlite3.Connection, shop: Shop, _: Ranks) -> None:
    def place(line: PurchaseLine) -> tuple[str, str, str]:
        return line.customer_id, line.at.isoformat(), line.order_id

    rows = (
        (*key, json.dumps([(line.product_id, line.quantity, line.paid_cents) for line in lines]))
        for key, lines in groupby(sorted(shop.data.purchases, key=place), key=place)
    )
    db.executemany("INSERT INTO purchase VALUES (?, ?, ?, ?)", rows)


def _write_personas(db: sqlite3.Connection, shop: Shop, _: Ranks) -> None:
    middle = {product.id: product.path[1] for product in shop.products}
    lines: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in shop.data.purchases:
        lines[line.customer_id][middle[line.product_id]] += 1
    found = persona_categories(shop.customers, lines)
    rows = ((p, position, key) for p, keys in found.items() for position, key in enumerate(keys))
    db.executemany("INSERT INTO persona_category VALUES (?, ?, ?)", rows)


def _write_shelves(db: sqlite3.Connection, shop: Shop, _: Ranks) -> None:
    keys = shop.category_keys()
    region_of = {customer.id: customer.synthetic_region for customer in shop.customers}
    shelves = compose_shelves(shop.products, shop.categories, shop.data.purchases, region_of)
    rows = ((s.kind, keys[s.category_id], s.region, json.dumps(s.product_ids)) for s in shelves)
    db.executemany("INSERT INTO shelf VALUES (?, ?, ?, ?)", rows)


def _places(products: Sequence[ShopProduct], key: Callable[[ShopProduct], tuple[int | str, str]]) -> list[int]:
    order = sorted(range(len(products)), key=lambda index: key(products[index]))
    places = [0] * len(products)
    for place, index in enumerate(order, 1):
        places[index] = place
    return places


STEPS: dict[str, Callable[[sqlite3.Connection, Shop, Ranks], None]] = {
    "products": _write_products,
    "categories": _write_categories,
    "listings": _write_listings,
    "search index": _write_search,
    "coupons": _write_coupons,
    "customers": _write_customers,
    "orders": _write_purchases,
    "personas": _write_personas,
    "shelves": _write_shelves,
}
