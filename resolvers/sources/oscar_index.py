"""What the gateway keeps of an Oscar shop, to answer what its REST API cannot: lists, search, counts, shelves.

An index is built whole from one reading of the shop and never changes. It lives in SQLite in memory, its full text in
FTS5. Everything here blocks: call it off the event loop.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from personalization.events import Persona
from resolvers.errors import UnknownCategory
from resolvers.sources.cursor import decode_cursor, encode_cursor
from resolvers.sources.embedded_search import asked, words
from resolvers.sources.oscar_catalogue import ShopState
from resolvers.sources.oscar_parse import UNCATEGORISED, Family, Item, breadcrumbs_of, to_product
from resolvers.sources.source import (
    CatalogQuery,
    Category,
    Order,
    Product,
    ProductPage,
    ProductSort,
    ShelfKind,
    ShelfQuery,
)

TOP_CATEGORIES = 5
# What sold in the last four weeks, against the sixteen before them.
RECENT, BEFORE = timedelta(weeks=4), timedelta(weeks=16)
_UNPRICED = 2**62
_LONGEST_NAME_KEY = 600

_SCHEMA = """
CREATE TABLE product (
    id INTEGER PRIMARY KEY, popular INTEGER, cheap INTEGER, dear INTEGER, name TEXT, best INTEGER, trend INTEGER
);
CREATE INDEX by_popular ON product (popular, id);
CREATE INDEX by_cheap ON product (cheap, id);
CREATE INDEX by_dear ON product (dear, id);
CREATE INDEX by_name ON product (name, id);
CREATE INDEX by_best ON product (best);
CREATE INDEX by_trend ON product (trend);
CREATE TABLE member (category TEXT, id INTEGER, PRIMARY KEY (category, id)) WITHOUT ROWID;
CREATE VIRTUAL TABLE search USING fts5 (name, more, description, content = '', prefix = '2 3');
"""
_COLUMNS = {
    ProductSort.POPULAR: "product.popular",
    ProductSort.PRICE_ASC: "product.cheap",
    ProductSort.PRICE_DESC: "product.dear",
    ProductSort.NAME: "product.name",
}
_SHELVES = {ShelfKind.BESTSELLERS: "best", ShelfKind.TRENDING: "trend"}
# The best match has the lowest rank; as an integer, so that a cursor holds it exactly.
_RANK = "CAST(1e6 * bm25(search, 10.0, 4.0, 1.0) AS INTEGER)"


@dataclass(frozen=True, slots=True)
class _Sold:
    """How often each product was bought: ever, lately, and before that."""

    ever: Counter[str]
    recent: Counter[str]
    before: Counter[str]

    @classmethod
    def of(cls, orders: Sequence[Order]) -> "_Sold":
        """Counts purchase lines; "lately" ends with the latest order, so that a quiet shop has a trend too."""
        ever, recent, before = Counter[str](), Counter[str](), Counter[str]()
        latest = max((order.placed_at for order in orders), default=None)
        for order in orders:
            ids = [line.product_id for line in order.lines]
            ever.update(ids)
            if latest is not None and order.placed_at > latest - RECENT:
                recent.update(ids)
            elif latest is not None and order.placed_at > latest - RECENT - BEFORE:
                before.update(ids)
        return cls(ever, recent, before)

    def gain(self, product_id: str) -> float:
        """Purchase lines a day lately, less those a day before."""
        return self.recent[product_id] / RECENT.days - self.before[product_id] / BEFORE.days


class OscarIndex:
    """One reading of a shop, ready to be asked. Not changed after it is built; asked from one thread at a time."""

    def __init__(self, state: ShopState) -> None:
        sold = _Sold.of(state.orders)
        self.category_ids = state.category_ids
        self.families: Mapping[str, Family | None] = {str(item.answer.id): item.family for item in state.items}
        self.products: Mapping[str, Product] = {
            str(item.answer.id): to_product(item.answer, item.family, self.category_ids, sold.ever[str(item.answer.id)])
            for item in state.items
        }
        self.order_by_id: Mapping[str, Order] = {order.id: order for order in state.orders}
        self.currency = next((item.price.currency for item in state.items if item.price), "")
        members = _members(state)
        self.categories: Mapping[str, Category] = _counted(state.categories, members)
        self._orders = _by_customer(state.orders)
        self._everyone = self._strongest(state.orders) or self._biggest()
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._fill(state.items, members, sold)

    def close(self) -> None:
        """Let go of the memory."""
        self._db.close()

    def top_categories(self, customer_id: str) -> tuple[str, ...]:
        """The categories a customer bought from most, strongest first, at most five."""
        return self._strongest(self._orders.get(customer_id, ()))

    def orders(self, customer_id: str, limit: int) -> tuple[Order, ...]:
        """A customer's latest orders, newest first."""
        return self._orders.get(customer_id, ())[: max(0, limit)]

    def persona_categories(self) -> dict[Persona, tuple[str, ...]]:
        """What everyone buys most; where no orders can be read, the categories with most products."""
        return {Persona.VISITOR: self._everyone}

    def page(self, query: CatalogQuery) -> ProductPage:
        """A page of the catalog. Raises `InvalidCursor`, `UnknownCategory`."""
        self._check(query.category_id)
        after = None if query.after is None else decode_cursor(_listing(query), query.after)
        source, values = _selected(query)
        if source is None:
            return ProductPage((), (), has_next=False)
        behind = "" if after is None else "WHERE (key, id) > (?, ?)"
        statement = f"SELECT key, id FROM ({source}) {behind} ORDER BY key, id LIMIT ?"  # noqa: S608 - our own words
        rows = self._rows(statement, [*values, *(after or ()), query.first + 1])
        shown = rows[: query.first]
        return ProductPage(
            tuple(self.products[str(number)] for _, number in shown),
            tuple(encode_cursor(_listing(query), (key, number)) for key, number in shown),
            has_next=len(rows) > query.first,
        )

    def count(self, query: CatalogQuery) -> int:
        """How many products the query lists. Raises `UnknownCategory`."""
        self._check(query.category_id)
        source, values = _selected(query)
        if source is None:
            return 0
        return int(self._rows(f"SELECT count(*) FROM ({source})", values)[0][0])  # noqa: S608 - our own words

    def shelf(self, query: ShelfQuery) -> tuple[Product, ...]:
        """A ranked list of products in stock, the category's first; regions are unknown. Raises `UnknownCategory`."""
        self._check(query.category_id)
        column = _SHELVES[query.kind]
        everything = f"SELECT id FROM product WHERE {column} IS NOT NULL ORDER BY {column} LIMIT ?"  # noqa: S608
        inside = (
            f"SELECT id FROM member JOIN product USING (id) WHERE category = ? AND {column} IS NOT NULL "  # noqa: S608
            f"ORDER BY {column} LIMIT ?"
        )
        own = [] if query.category_id is None else self._rows(inside, [query.category_id, query.limit])
        # The list of all may begin with the category's own, hence room for both.
        rest = self._rows(everything, [query.limit + len(own)]) if len(own) < query.limit else []
        ids = dict.fromkeys(number for (number,) in (*own, *rest))
        return tuple(self.products[str(number)] for number in list(ids)[: query.limit])

    def _check(self, category_id: str | None) -> None:
        if category_id is not None and category_id not in self.categories:
            raise UnknownCategory(f"there is no category {category_id[:40]!a}")

    def _rows(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with closing(self._db.execute(statement, values)) as cursor:
            return cursor.fetchall()

    def _strongest(self, orders: Sequence[Order]) -> tuple[str, ...]:
        """Categories by purchase lines; those bought from equally often in the order of the tree."""
        known = [line.product_id for order in orders for line in order.lines if line.product_id in self.products]
        bought = Counter(self.products[product_id].category_id for product_id in known)
        ranked = sorted((category for category in self.categories if bought[category]), key=lambda c: -bought[c])
        return tuple(ranked[:TOP_CATEGORIES])

    def _biggest(self) -> tuple[str, ...]:
        """Categories in which products stand, by how many stand there."""
        standing = Counter(product.category_id for product in self.products.values())
        return tuple(category for category, _ in standing.most_common(TOP_CATEGORIES))

    def _fill(self, items: Sequence[Item], members: Mapping[str, Sequence[int]], sold: _Sold) -> None:
        best, trend = self._ranks(items, sold)
        with self._db:
            self._db.executescript(_SCHEMA)
            self._db.executemany(
                "INSERT INTO product VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self._row(item, best, trend) for item in items),
            )
            self._db.executemany(
                "INSERT INTO member VALUES (?, ?)",
                ((category, number) for category, numbers in members.items() for number in numbers),
            )
            self._db.executemany(
                "INSERT INTO search (rowid, name, more, description) VALUES (?, ?, ?, ?)",
                (self._document(product) for product in self.products.values()),
            )

    def _ranks(self, items: Sequence[Item], sold: _Sold) -> tuple[dict[int, int], dict[int, int]]:
        """Places of the products in stock among the bestsellers and among what trends."""
        stocked = [item.answer.id for item in items if item.stock.available]
        best = sorted(stocked, key=lambda number: (-sold.ever[str(number)], number))
        trend = sorted(stocked, key=lambda number: (-sold.gain(str(number)), -sold.ever[str(number)], number))
        return {number: place for place, number in enumerate(best)}, {n: place for place, n in enumerate(trend)}

    def _row(self, item: Item, best: Mapping[int, int], trend: Mapping[int, int]) -> tuple[object, ...]:
        number = item.answer.id
        product = self.products[str(number)]
        amount = None if item.price is None else _ten_thousandths(item.price.amount)
        return (
            number,
            -product.popularity,
            _UNPRICED if amount is None else amount,
            _UNPRICED if amount is None else -amount,
            _name_key(product.name),
            best.get(number),
            trend.get(number),
        )

    def _document(self, product: Product) -> tuple[object, ...]:
        path, category = [], self.categories.get(product.category_id)
        while category is not None:
            path.append(category.name)
            category = self.categories.get(category.parent_id or "")
        texts = (product.name, " ".join([product.brand or "", *path]), product.description or "")
        return int(product.id), *(" ".join(words(text)) for text in texts)


def _members(state: ShopState) -> dict[str, list[int]]:
    """The products in each category and below it."""
    parents = {category.id: category.parent_id for category in state.categories}
    members: defaultdict[str, list[int]] = defaultdict(list)
    for item in state.items:
        places = breadcrumbs_of(item.answer, item.family)
        above: set[str] = set()
        for place in places:
            category_id = state.category_ids.get(place)
            while category_id is not None and category_id not in above:
                above.add(category_id)
                category_id = parents[category_id]
        for category_id in above or {UNCATEGORISED.id}:
            members[category_id].append(item.answer.id)
    return members


def _counted(categories: Iterable[Category], members: Mapping[str, Sequence[int]]) -> dict[str, Category]:
    """The tree in order, with counts, and at its end a category for what the shop put into none."""
    tree = [*categories, *([UNCATEGORISED] if UNCATEGORISED.id in members else [])]
    return {category.id: replace(category, product_count=len(members.get(category.id, ()))) for category in tree}


def _by_customer(orders: Iterable[Order]) -> dict[str, tuple[Order, ...]]:
    found: defaultdict[str, list[Order]] = defaultdict(list)
    for order in orders:
        if order.customer_id and order.lines:
            found[order.customer_id].append(order)
    return {customer_id: tuple(theirs) for customer_id, theirs in found.items()}


def _selected(query: CatalogQuery) -> tuple[str | None, list[object]]:
    """A statement that gives `key` and `id` of everything the query lists; None where a search has no words."""
    inside = " JOIN member USING (id)" if query.category_id is not None else ""
    only = ["member.category = ?"] if query.category_id is not None else []
    values: list[object] = [] if query.category_id is None else [query.category_id]
    column = _COLUMNS.get(query.sort, _COLUMNS[ProductSort.POPULAR])
    if query.search is None:
        where = f" WHERE {only[0]}" if only else ""
        return f"SELECT {column} AS key, id FROM product{inside}{where}", values  # noqa: S608 - our own words
    terms = asked(query.search)
    if not terms:
        return None, []
    match = " AND ".join(f'"{term}"*' for term in terms)
    key = _RANK if query.sort is ProductSort.RELEVANCE else column
    where = " AND ".join(["search MATCH ?", *only])
    # CROSS JOIN keeps the order: begun with the category, SQLite would search anew for each product in it.
    joined = f"search CROSS JOIN product ON product.id = search.rowid{inside.replace('JOIN', 'CROSS JOIN')}"
    found = f"SELECT {key} AS key, product.id AS id FROM {joined} WHERE {where}"  # noqa: S608 - our own words
    return found, [match, *values]


def _listing(query: CatalogQuery) -> str:
    """What a cursor belongs to."""
    return json.dumps(["oscar", query.category_id, query.search, query.sort.value])


def _ten_thousandths(amount: Decimal) -> int:
    return int(amount.scaleb(4))


def _name_key(name: str) -> str:
    """The name without case, short enough for a cursor."""
    key = name.casefold()
    while len(json.dumps(key)) > _LONGEST_NAME_KEY:
        key = key[: len(key) * 9 // 10]
    return key
