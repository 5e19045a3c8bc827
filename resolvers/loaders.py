"""The loaders of one visit: reads of the same kind go to the shop in one batch, and each thing is read once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from functools import cached_property
from typing import Any, TypeVar

from opentelemetry.trace import Tracer

from personalization.clock import Deadline
from resolvers.batching import BatchLoader, LoaderMetrics
from resolvers.segmenting import MOST_ORDERS
from resolvers.sharing import Hold, SharedRead, SharedReads
from resolvers.sources.source import (
    CatalogQuery,
    Category,
    CommerceSource,
    Coupon,
    Customer,
    Order,
    Price,
    Product,
    ProductPage,
    ShelfQuery,
    Stock,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Read = Callable[[Sequence[K], Deadline], Awaitable[Sequence[V]]]


class Loaders:
    """One loader for each kind of read, made when it is first needed: most pages need few, or none.

    Plain reads may take as long as the visit (`deadline`); reads that only personalization needs give up at
    `personal_deadline`, so that the default can still be given.
    """

    def __init__(
        self,
        source: CommerceSource,
        reads: SharedReads,
        *,
        deadline: Deadline,
        personal_deadline: Deadline,
        tracer: Tracer,
        metrics: LoaderMetrics,
    ) -> None:
        self._source = source
        self._reads = reads
        self._deadline = deadline
        self._personal_deadline = personal_deadline
        self._tracer = tracer
        self._metrics = metrics
        self._made: list[BatchLoader[Any, Any]] = []
        self._hold = Hold(deadline)

    @cached_property
    def products(self) -> BatchLoader[str, Product | None]:
        """Products by id."""
        return self._sharer("products", self._reads.products, self._deadline)

    @cached_property
    def prices(self) -> BatchLoader[str, Price | None]:
        """Prices by product id."""
        return self._sharer("prices", self._reads.prices, self._deadline)

    @cached_property
    def stock(self) -> BatchLoader[str, Stock | None]:
        """Stock by product id."""
        return self._sharer("stock", self._reads.stock, self._deadline)

    @cached_property
    def coupons(self) -> BatchLoader[str, tuple[Coupon, ...]]:
        """Coupons by product id."""
        return self._sharer("coupons", self._reads.coupons, self._deadline)

    @cached_property
    def categories(self) -> BatchLoader[str, Category | None]:
        """Categories by id."""
        return self._sharer("categories", self._reads.categories, self._deadline)

    @cached_property
    def customers(self) -> BatchLoader[str, Customer | None]:
        """Customers by id, for personalization."""
        return self._reader("customers", self._source.customers, self._personal_deadline)

    @cached_property
    def orders(self) -> BatchLoader[str, tuple[Order, ...]]:
        """The latest orders by customer id, for personalization."""
        return self._reader(
            "orders", lambda ids, until: self._source.orders(ids, MOST_ORDERS, until), self._personal_deadline
        )

    @cached_property
    def shelves(self) -> BatchLoader[ShelfQuery, tuple[Product, ...]]:
        """Ranked lists, for personalization."""
        return self._sharer("shelves", self._reads.shelves, self._personal_deadline)

    async def page(self, query: CatalogQuery) -> ProductPage:
        """A page of the catalog; raises as the source does."""
        [page] = await self._reads.pages([query], self._deadline, self._hold)
        return page

    async def count(self, query: CatalogQuery) -> int:
        """How many products the query lists."""
        [count] = await self._reads.counts([query], self._deadline, self._hold)
        return count

    async def category_tree(self) -> Sequence[Category]:
        """Every category, parents before children."""
        [tree] = await self._reads.trees([None], self._deadline, self._hold)
        return tree

    def orders_of(self, customer_id: str) -> "asyncio.Future[tuple[Order, ...]]":
        """A customer's latest orders; no loader is made until they are asked for."""
        return self.orders.load(customer_id)

    def customer(self, id_: str) -> "asyncio.Future[Customer | None]":
        """A customer; no loader is made until one is asked for."""
        return self.customers.load(id_)

    def _sharer(self, name: str, read: SharedRead[K, V], until: Deadline) -> BatchLoader[K, V]:
        hold = self._hold  # and not `self` in what the loader refers to: a circle is freed late
        return self._reader(name, lambda keys, until: read(keys, until, hold), until)

    def _reader(self, name: str, read: Read[K, V], until: Deadline) -> BatchLoader[K, V]:
        # Not `BatchLoader[K, V](...)`: to call an alias takes as long as to make the loader.
        loader: BatchLoader[K, V] = BatchLoader(
            name, lambda keys: read(keys, until), tracer=self._tracer, metrics=self._metrics
        )
        self._made.append(loader)
        return loader

    def cancel(self) -> None:
        """Stop the reads that nobody waits for any more, and let go of what was read."""
        for loader in self._made:
            loader.cancel()
        self._hold.end()

    def know(self, products: Iterable[Product]) -> None:
        """Remember products that came with a list, so that nobody reads them again."""
        for product in products:
            self.products.prime(product.id, product)
