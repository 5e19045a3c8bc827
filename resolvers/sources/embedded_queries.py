"""What is asked of the embedded shop's store, in SQL. Every list is read along an index, from where it was left."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from personalization.clock import Deadline
from personalization.events import Persona
from resolvers.sources.embedded_search import MAX_EXPANSIONS, everywhere, named
from resolvers.sources.source import (
    Category,
    Coupon,
    Customer,
    Order,
    OrderLine,
    Price,
    Product,
    ProductSort,
    ShelfKind,
    Stock,
)

CURRENCY = "USD"
CHUNK = 500
MAX_ID = 64
MMAP_BYTES = 256 * 1024 * 1024
INSTRUCTIONS_BETWEEN_CHECKS = 20_000
SCANNED_TERMS = 256

_PRODUCT = """p.id, p.name, p.category_id, p.brand, p.description, p.size, p.popularity,
              p.amount_cents, p.list_cents, p.synthetic_units"""
_RECORDS = f"SELECT {_PRODUCT} FROM json_each(?) AS wanted CROSS JOIN product AS p ON p.id = wanted.value"  # noqa: S608
_COUPONS = """SELECT p.id, c.id, c.campaign, c.valid_from, c.valid_until
              FROM json_each(?) AS wanted CROSS JOIN product AS p ON p.id = wanted.value
              LEFT JOIN coupon AS c ON c.product_id = p.id"""
_CUSTOMERS = """SELECT c.id, c.synthetic_persona, c.synthetic_region, c.synthetic_sponsors, c.top_categories
                FROM json_each(?) AS wanted CROSS JOIN customer AS c ON c.id = wanted.value"""
_ORDERS = "SELECT id, placed_at, lines FROM purchase WHERE customer_id = ? ORDER BY placed_at DESC, id DESC LIMIT ?"
_SHELF = "SELECT product_ids FROM shelf WHERE kind = ? AND category_key = ? AND region = ?"
_TERMS = """SELECT term FROM (SELECT term, documents FROM search_term WHERE term >= ?1 AND term < ?1 || char(1114111)
            ORDER BY term LIMIT ?2) ORDER BY term <> ?1, documents DESC, term LIMIT ?3"""
_COUNT = "SELECT count(*) FROM search_popular WHERE search_popular MATCH ?"

ShelfKey = tuple[ShelfKind, int, str]
"""Kind, category key (0 is the whole shop) and region ('' is everywhere) of a ranked list."""
Place = tuple[int, int]
"""Where a list was left: the stage (search by relevance has two) and the rank in it."""


@dataclass(frozen=True, slots=True)
class Record:
    """All that the store knows of one product."""

    product: Product
    price: Price
    stock: Stock

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Record":
        """The record in a row of the columns that every product query selects."""
        *facts, cents, list_cents, units = row
        return cls(Product(*facts), Price(_money(cents), _money(list_cents), CURRENCY), Stock(units > 0, units))


@dataclass(frozen=True, slots=True)
class Walk:
    """How a sort walks: the listing it follows, the product column and search index of its ranks, and which way."""

    listing: str
    column: str
    index: str
    down: bool = False

    def list_sql(self) -> str:
        """SQL for the products of a category behind a rank: category key, rank, limit."""
        beyond, order = ("<", "DESC") if self.down else (">", "ASC")
        return f"""SELECT l.rank, {_PRODUCT} FROM listing AS l CROSS JOIN product AS p ON p.key = l.product_key
                   WHERE l.category_key = ? AND l.sort = '{self.listing}' AND l.rank {beyond} ?
                   ORDER BY l.rank {order} LIMIT ?"""  # noqa: S608 - the parts are constants below

    def search_sql(self) -> str:
        """SQL for the products that match behind a rank: match, rank, limit."""
        beyond, order = ("<", "DESC") if self.down else (">", "ASC")
        return f"""SELECT s.rowid, {_PRODUCT}
                   FROM {self.index} AS s CROSS JOIN product AS p ON p.{self.column} = s.rowid
                   WHERE s.{self.index} MATCH ? AND s.rowid {beyond} ? ORDER BY s.rowid {order} LIMIT ?"""  # noqa: S608


_POPULAR = Walk("popular", "key", "search_popular")
WALKS = {
    ProductSort.POPULAR: _POPULAR,
    ProductSort.RELEVANCE: _POPULAR,
    ProductSort.PRICE_ASC: Walk("price", "price_rank", "search_price"),
    ProductSort.PRICE_DESC: Walk("price", "price_rank", "search_price", down=True),
    ProductSort.NAME: Walk("name", "name_rank", "search_name"),
}
_LIST_SQL = {sort: walk.list_sql() for sort, walk in WALKS.items()}
_SEARCH_SQL = {sort: walk.search_sql() for sort, walk in WALKS.items()}


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of products: below a category (0 is the whole shop), of words searched for (None without search)."""

    category_key: int
    words: tuple[str, ...] | None
    sort: ProductSort


@dataclass(frozen=True, slots=True)
class Outline:
    """What is small and asked all the time: the tree in order, category keys, personas, regions, and the build."""

    build: str
    products: int
    categories: tuple[Category, ...]
    keys: dict[str, int]
    personas: dict[Persona, tuple[str, ...]]
    regions: frozenset[str]


class Reader:
    """One read-only connection to the store. Used by one thread at a time.

    A query that runs past the deadline set with `until` is interrupted: it raises `sqlite3.OperationalError`.
    """

    def __init__(self, path: Path) -> None:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._db = sqlite3.connect(uri, uri=True, check_same_thread=False, cached_statements=64, isolation_level=None)
        self._deadline: Deadline | None = None
        self._db.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
        self._db.set_progress_handler(self._is_late, INSTRUCTIONS_BETWEEN_CHECKS)

    def until(self, deadline: Deadline) -> None:
        """Interrupt what is read from now on once the deadline has passed."""
        self._deadline = deadline

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def outline(self) -> Outline:
        """The outline; reads some 150 rows."""
        meta = dict(self._db.execute("SELECT name, value FROM meta"))
        rows = self._db.execute("SELECT id, key, name, parent_id, product_count FROM category ORDER BY key").fetchall()
        return Outline(
            build=meta["build"],
            products=int(meta["products"]),
            categories=tuple(_categories(rows)),
            keys={category_id: key for category_id, key, *_ in rows},
            personas=self._personas(),
            regions=frozenset(region for (region,) in self._db.execute("SELECT DISTINCT region FROM shelf")),
        )

    def records(self, ids: Iterable[str]) -> dict[str, Record]:
        """The products that exist, by id."""
        return {row[0]: Record.of(row) for row in self._by_id(_RECORDS, ids)}

    def page(self, listing: Listing, after: Place | None, limit: int) -> list[tuple[Place, Record]]:
        """At most `limit` products of the list behind a place, each with its own place."""
        first_stage, rank = after or (0, _start(listing.sort))
        found: list[tuple[Place, Record]] = []
        for stage, (sql, scope) in list(enumerate(self._stages(listing)))[first_stage:]:
            rows = self._db.execute(sql, (scope, rank, limit - len(found)))
            found += [((stage, row[0]), Record.of(row[1:])) for row in rows]
            if len(found) == limit:
                break
            rank = _start(listing.sort)
        return found

    def count(self, listing: Listing) -> int:
        """How many products a search finds; walks all matches in the index."""
        match = self._match(listing)
        return int(self._db.execute(_COUNT, (match,)).fetchone()[0]) if match else 0

    def shelves(self, keys: Iterable[ShelfKey]) -> dict[ShelfKey, tuple[str, ...]]:
        """Product ids, best first, by kind, category key and region."""
        return {key: ids for key in dict.fromkeys(keys) for ids in self._shelf(key)}

    def coupons(self, product_ids: Iterable[str]) -> dict[str, tuple[Coupon, ...]]:
        """Coupons of each product that exists, ordered by id."""
        found: dict[str, list[Coupon]] = {}
        for product_id, key, campaign, start, end in self._by_id(_COUPONS, product_ids):
            coupons = found.setdefault(product_id, [])
            if key is not None:
                coupons.append(Coupon(key, campaign, datetime.fromisoformat(start), datetime.fromisoformat(end)))
        return {key: tuple(sorted(coupons, key=lambda coupon: coupon.id)) for key, coupons in found.items()}

    def customers(self, ids: Iterable[str]) -> dict[str, Customer]:
        """The customers that exist, by id."""
        rows = self._by_id(_CUSTOMERS, ids)
        return {
            key: Customer(key, Persona(persona), region, tuple(json.loads(sponsors)), tuple(json.loads(categories)))
            for key, persona, region, sponsors, categories in rows
        }

    def orders(self, customer_ids: Iterable[str], limit: int) -> dict[str, tuple[Order, ...]]:
        """Each customer's latest orders, newest first."""
        return {key: tuple(self._orders(key, limit)) for key in _askable(customer_ids)}

    def _orders(self, customer_id: str, limit: int) -> Iterator[Order]:
        for key, placed_at, lines in self._db.execute(_ORDERS, (customer_id, limit)):
            items = tuple(OrderLine(product, units, _money(cents)) for product, units, cents in json.loads(lines))
            yield Order(key, customer_id, datetime.fromisoformat(placed_at), items)

    def _shelf(self, key: ShelfKey) -> Iterator[tuple[str, ...]]:
        kind, category_key, region = key
        for (ids,) in self._db.execute(_SHELF, (kind.value, category_key, region)):
            yield tuple(json.loads(ids))

    def _stages(self, listing: Listing) -> list[tuple[str, int | str]]:
        """SQL and its scope for each stretch of the list. Without search the scope is a category, else a match."""
        if listing.words is None:
            return [(_LIST_SQL[listing.sort], listing.category_key)]
        match = self._match(listing)
        if not match:
            return []
        sql = _SEARCH_SQL[listing.sort]
        if listing.sort is not ProductSort.RELEVANCE:
            return [(sql, match)]
        best = named(listing.words, listing.category_key)
        return [(sql, best), (sql, f"({match}) NOT ({best})")]

    def _match(self, listing: Listing) -> str | None:
        """The full-text query; None where some word occurs in no product, or there are no words."""
        expansions = [self._terms(word) for word in listing.words or ()]
        return everywhere(expansions, listing.category_key) if expansions and all(expansions) else None

    def _terms(self, word: str) -> list[str]:
        """The word, if it occurs, and the most frequent of the first words that begin with it."""
        return [term for (term,) in self._db.execute(_TERMS, (word, SCANNED_TERMS, MAX_EXPANSIONS))]

    def _personas(self) -> dict[Persona, tuple[str, ...]]:
        found: dict[Persona, tuple[str, ...]] = {}
        for persona, category_id in self._db.execute(
            "SELECT persona, category_id FROM persona_category ORDER BY persona, position"
        ):
            found[Persona(persona)] = (*found.get(Persona(persona), ()), category_id)
        return found

    def _by_id(self, sql: str, ids: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        wanted = _askable(ids)
        for start in range(0, len(wanted), CHUNK):
            yield from self._db.execute(sql, (json.dumps(wanted[start : start + CHUNK]),))

    def _is_late(self) -> bool:
        return self._deadline is not None and self._deadline.remaining() <= 0.0


def _askable(ids: Iterable[str]) -> list[str]:
    """Each id once, without those that nothing here could have, so that no odd text reaches SQLite."""
    return [key for key in dict.fromkeys(ids) if key.isascii() and len(key) <= MAX_ID]


def _start(sort: ProductSort) -> int:
    return 2**62 if WALKS[sort].down else 0


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _categories(rows: Sequence[tuple[str, int, str, str | None, int]]) -> Iterator[Category]:
    children: dict[str | None, list[str]] = {}
    for category_id, _, _, parent_id, _ in rows:
        children.setdefault(parent_id, []).append(category_id)
    for category_id, _, name, parent_id, count in rows:
        yield Category(category_id, name, parent_id, tuple(children.get(category_id, ())), count)
