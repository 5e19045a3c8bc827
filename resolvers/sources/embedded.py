"""The embedded shop: the E-Commerce API as a SQLite store on this machine, read off the event loop.

The catalogue never changes while it is open, so what was read is remembered, in bounds: a batch that is remembered
whole is answered at once, anything else is one trip to a small pool of threads. Orders and baskets are always read.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Generic, TypeVar

from opentelemetry.trace import Tracer

from personalization.clock import Clock, Deadline
from personalization.events import Persona
from resolvers.errors import SourceRefused, UnknownCategory, UnknownProduct
from resolvers.sources.cursor import decode_cursor, encode_cursor
from resolvers.sources.embedded_desks import Desk, Desks
from resolvers.sources.embedded_queries import CURRENCY, Listing, Outline, Place, Reader, Record, ShelfKey
from resolvers.sources.embedded_search import asked
from resolvers.sources.source import (
    MAX_PAGE,
    Basket,
    BasketLine,
    CatalogQuery,
    Category,
    Coupon,
    Customer,
    Order,
    Price,
    Product,
    ProductPage,
    ProductSort,
    ShelfQuery,
    Stock,
)

MAX_UNITS = 99
WHOLE_SHOP = 0
EVERYWHERE = ""

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """A bounded memory of what was read; the oldest entries go first. What does not exist is never remembered."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        return self._values[key]

    def known(self, keys: Iterable[K]) -> dict[K, V]:
        """What is remembered of the keys."""
        values = self._values
        return {key: values[key] for key in keys if key in values}

    def keep(self, found: dict[K, V]) -> None:
        """Remember, and forget what is over the limit."""
        self._values |= found
        while len(self._values) > self._limit:
            del self._values[next(iter(self._values))]


class EmbeddedSource:
    """`CommerceSource` over the store that `prepare_store` built.

    Search takes words only: each word must begin a word of the product's name, brand, size or categories; a search
    without a word finds nothing. A word that begins very many words stands for the sixteen most frequent of them.
    `RELEVANCE` puts products that have every word whole in their name first, by popularity in each group; without
    search it is `POPULAR`. Shelves hold a hundred products at most. Coupons are those on record, whatever their dates.
    """

    def __init__(self, desks: Desks, outline: Outline) -> None:
        self._desks = desks
        self._outline = outline
        self._categories = {category.id: category for category in outline.categories}
        self._records = Remembered[str, Record](8192)
        self._coupons = Remembered[str, tuple[Coupon, ...]](8192)
        self._customers = Remembered[str, Customer](8192)
        self._shelves = Remembered[ShelfKey, tuple[str, ...]](2048)
        self._pages = Remembered[tuple[Listing, Place | None, int], ProductPage](512)
        self._counts = Remembered[Listing, int](2048)

    @classmethod
    def open(
        cls, path: Path, clock: Clock, tracer: Tracer, *, baskets: Path | None = None, threads: int = 4
    ) -> "EmbeddedSource":
        """The shop in the store at `path`; baskets are kept beside it unless told otherwise.

        Reads some 150 rows, so call it off the event loop. Raises `sqlite3.Error` where there is no whole store.
        """
        with closing(Reader(path)) as reader:
            outline = reader.outline()
        return cls(Desks(path, baskets or path.with_name("baskets.sqlite"), clock, tracer, threads), outline)

    @property
    def regions(self) -> frozenset[str]:
        """The regions that have shelves of their own (synthetic)."""
        return self._outline.regions - {EVERYWHERE}

    async def products(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Product | None]:
        """Products by id."""
        records = await self._recorded(ids, "reading products", deadline)
        return [records[key].product if key in records else None for key in ids]

    async def prices(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[Price | None]:
        """The card price at the latest purchase on record, and the median list price."""
        records = await self._recorded(product_ids, "reading prices", deadline)
        return [records[key].price if key in records else None for key in product_ids]

    async def stock(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[Stock | None]:
        """Stock by product id (synthetic)."""
        records = await self._recorded(product_ids, "reading stock", deadline)
        return [records[key].stock if key in records else None for key in product_ids]

    async def coupons(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[tuple[Coupon, ...]]:
        """Coupons by product id, those of past campaigns too."""
        found = await self._recalled(self._coupons, product_ids, "reading coupons", Reader.coupons, deadline)
        return [found.get(key, ()) for key in product_ids]

    async def categories(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Category | None]:
        """Categories by id."""
        deadline.check("reading categories")
        return [self._categories.get(key) for key in ids]

    async def category_tree(self, deadline: Deadline) -> Sequence[Category]:
        """Departments, their categories and types; siblings with most products first."""
        deadline.check("reading the category tree")
        return self._outline.categories

    async def catalog(self, query: CatalogQuery, deadline: Deadline) -> ProductPage:
        """A page of the catalog."""
        deadline.check("listing products")
        if not 1 <= query.first <= MAX_PAGE:
            raise SourceRefused(f"a page holds 1 to {MAX_PAGE} products; received {query.first}")
        listing = self._listing(query)
        place = self._place(listing, query.after)
        key = (listing, place, query.first)
        pages = self._pages.known([key])
        if not pages:
            rows = await self._desks.run(
                "listing products", lambda desk: desk.reader.page(listing, place, query.first + 1), deadline
            )
            pages = {key: self._page(listing, rows, query.first)}
            self._pages.keep(pages)
        return pages[key]

    async def catalog_count(self, query: CatalogQuery, deadline: Deadline) -> int:
        """How many products the query lists; known beforehand for categories, counted for a search."""
        deadline.check("counting products")
        listing = self._listing(query)
        if listing.words is None:
            return self._size(query.category_id)
        counts = self._counts.known([listing])
        if not counts:
            number = await self._desks.run("counting products", lambda desk: desk.reader.count(listing), deadline)
            counts = {listing: number}
            self._counts.keep(counts)
        return counts[listing]

    async def shelves(self, queries: Sequence[ShelfQuery], deadline: Deadline) -> Sequence[tuple[Product, ...]]:
        """Ranked lists. Regions that are not known count as none."""
        keys = [self._shelf_key(query) for query in queries]
        lists = await self._recalled(self._shelves, keys, "reading shelves", Reader.shelves, deadline)
        wanted = [lists[key][: max(0, query.limit)] for key, query in zip(keys, queries, strict=True)]
        ids = list(dict.fromkeys(key for shelf in wanted for key in shelf))
        records = await self._recorded(ids, "reading products of shelves", deadline)
        return [tuple(records[key].product for key in shelf) for shelf in wanted]

    def shelf_at_hand(self, query: ShelfQuery) -> Sequence[str] | None:
        """The ids of a ranked list that is remembered."""
        try:
            return self._shelves[self._shelf_key(query)][: max(0, query.limit)]
        except (KeyError, UnknownCategory):
            return None

    async def customers(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Customer | None]:
        """Customers by id. Persona, region and sponsors are synthetic."""
        found = await self._recalled(self._customers, ids, "reading customers", Reader.customers, deadline)
        return [found.get(key) for key in ids]

    async def orders(self, customer_ids: Sequence[str], limit: int, deadline: Deadline) -> Sequence[tuple[Order, ...]]:
        """Each customer's latest orders."""
        most = max(0, limit)
        found = await self._desks.run("reading orders", lambda desk: desk.reader.orders(customer_ids, most), deadline)
        return [found.get(key, ()) for key in customer_ids]

    async def persona_categories(self, deadline: Deadline) -> dict[Persona, tuple[str, ...]]:
        """Categories of the middle level by purchase lines of the customers of each persona."""
        deadline.check("reading the categories of personas")
        return dict(self._outline.personas)

    async def basket(self, basket_id: str, owner: str, deadline: Deadline) -> Basket | None:
        """The owner's basket."""

        def read(desk: Desk) -> Basket | None:
            lines = desk.baskets.lines(basket_id, owner)
            return None if lines is None else _priced(desk.reader, basket_id, owner, lines)

        return await self._desks.run("reading a basket", read, deadline)

    async def add_to_basket(
        self, basket_id: str | None, owner: str, product_id: str, quantity: int, deadline: Deadline
    ) -> Basket:
        """Add units to a basket; when it raises `DeadlineExceeded` in mid-call, they may have been added."""
        deadline.check("adding to a basket")
        if not 1 <= quantity <= MAX_UNITS:
            raise SourceRefused(f"1 to {MAX_UNITS} units can be added at once; received {quantity}")

        def add(desk: Desk) -> Basket:
            record = desk.reader.records([product_id]).get(product_id)
            if record is None:
                raise UnknownProduct(f"there is no product {product_id[:40]!a}")
            units = record.stock.units or 0
            key = desk.baskets.add(basket_id, owner, product_id, quantity, units, deadline)
            return _priced(desk.reader, key, owner, desk.baskets.lines(key, owner) or [])

        return await self._desks.run("adding to a basket", add, deadline)

    async def aclose(self) -> None:
        """Let go of connections and threads; safe to call twice."""
        await self._desks.aclose()

    async def _recorded(self, ids: Sequence[str], doing: str, deadline: Deadline) -> dict[str, Record]:
        return await self._recalled(self._records, ids, doing, Reader.records, deadline)

    async def _recalled(
        self,
        memory: Remembered[K, V],
        keys: Sequence[K],
        doing: str,
        read: Callable[[Reader, Iterable[K]], dict[K, V]],
        deadline: Deadline,
    ) -> dict[K, V]:
        """What exists of the keys: from memory, and the rest in one trip."""
        deadline.check(doing)
        known = memory.known(keys)
        missing = [key for key in keys if key not in known]
        if missing:
            found = await self._desks.run(doing, lambda desk: read(desk.reader, missing), deadline)
            memory.keep(found)
            known |= found
        return known

    def _listing(self, query: CatalogQuery) -> Listing:
        key = self._category_key(query.category_id)
        if query.search is None and query.sort is ProductSort.RELEVANCE:
            return Listing(key, None, ProductSort.POPULAR)
        return Listing(key, None if query.search is None else asked(query.search), query.sort)

    def _category_key(self, category_id: str | None) -> int:
        if category_id is None:
            return WHOLE_SHOP
        try:
            return self._outline.keys[category_id]
        except KeyError as error:
            raise UnknownCategory(f"there is no category {category_id[:40]!a}") from error

    def _size(self, category_id: str | None) -> int:
        return self._outline.products if category_id is None else self._categories[category_id].product_count

    def _shelf_key(self, query: ShelfQuery) -> ShelfKey:
        region = query.region if query.region in self._outline.regions else None
        return query.kind, self._category_key(query.category_id), region or EVERYWHERE

    def _place(self, listing: Listing, after: str | None) -> Place | None:
        if after is None:
            return None
        stage, rank = decode_cursor(self._name(listing), after)
        return int(stage), int(rank)

    def _page(self, listing: Listing, rows: list[tuple[Place, Record]], first: int) -> ProductPage:
        shown = rows[:first]
        self._records.keep({record.product.id: record for _, record in shown})
        name = self._name(listing)
        cursors = tuple(encode_cursor(name, place) for place, _ in shown)
        return ProductPage(tuple(record.product for _, record in shown), cursors, has_next=len(rows) > first)

    def _name(self, listing: Listing) -> str:
        """Tells lists apart; a store built anew has other lists, since ranks may have moved."""
        outline = self._outline
        return f"{outline.build}/{outline.products}/{listing.category_key}/{listing.words}/{listing.sort}"


def _priced(reader: Reader, basket_id: str, owner: str, lines: list[tuple[str, int]]) -> Basket:
    """The basket at today's prices; what the shop no longer has is left out."""
    records = reader.records(product_id for product_id, _ in lines)
    return Basket(
        id=basket_id,
        owner=owner,
        lines=tuple(BasketLine(key, units, records[key].price.amount) for key, units in lines if key in records),
        currency=CURRENCY,
    )
