"""The loaders of one visit: reads of the same kind go to the shop in one batch, and each thing is read once."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from opentelemetry.trace import Tracer

from personalization.clock import Deadline
from resolvers.batching import BatchLoader, LoaderMetrics
from resolvers.sources.source import (
    Category,
    CommerceSource,
    Coupon,
    Customer,
    Price,
    Product,
    ShelfQuery,
    Stock,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Read = Callable[[Sequence[K], Deadline], Awaitable[Sequence[V]]]


class Loaders:
    """One loader for each kind of read.

    Plain reads may take as long as the visit (`deadline`); reads that only personalization needs give up at
    `personal_deadline`, so that the default can still be given.
    """

    def __init__(
        self,
        source: CommerceSource,
        *,
        deadline: Deadline,
        personal_deadline: Deadline,
        tracer: Tracer,
        metrics: LoaderMetrics,
    ) -> None:
        def reader(name: str, read: Read[K, V], until: Deadline) -> BatchLoader[K, V]:
            return BatchLoader(name, lambda keys: read(keys, until), tracer=tracer, metrics=metrics)

        self.products: BatchLoader[str, Product | None] = reader("products", source.products, deadline)
        self.prices: BatchLoader[str, Price | None] = reader("prices", source.prices, deadline)
        self.stock: BatchLoader[str, Stock | None] = reader("stock", source.stock, deadline)
        self.coupons: BatchLoader[str, tuple[Coupon, ...]] = reader("coupons", source.coupons, deadline)
        self.categories: BatchLoader[str, Category | None] = reader("categories", source.categories, deadline)
        self.customers: BatchLoader[str, Customer | None] = reader("customers", source.customers, personal_deadline)
        self.shelves: BatchLoader[ShelfQuery, tuple[Product, ...]] = reader(
            "shelves", source.shelves, personal_deadline
        )

        self._all = (
            self.products,
            self.prices,
            self.stock,
            self.coupons,
            self.categories,
            self.customers,
            self.shelves,
        )

    def cancel(self) -> None:
        """Stop the reads that nobody waits for any more."""
        for loader in self._all:
            loader.cancel()

    def know(self, products: Iterable[Product]) -> None:
        """Remember products that came with a list, so that nobody reads them again."""
        for product in products:
            self.products.prime(product.id, product)
