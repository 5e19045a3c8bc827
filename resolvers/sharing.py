"""Reads shared by all visits: what one of them is reading from the shop right now, no other asks for again."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from personalization.clock import Deadline
from personalization.errors import DeadlineExceeded
from resolvers.sources.source import (
    CatalogQuery,
    Category,
    CommerceSource,
    Coupon,
    Price,
    Product,
    ProductPage,
    ShelfQuery,
    Stock,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedRead(Generic[K, V]):
    """One kind of read. Keys that are on their way are waited for, all others are read in one batch.

    A batch goes on when the visit that began it is gone, for others may wait for it. Nothing is remembered.
    """

    def __init__(self, read: Callable[[Sequence[K], Deadline], Awaitable[Sequence[V]]]) -> None:
        self._read = read
        self._flying: dict[K, asyncio.Future[V]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, keys: Sequence[K], deadline: Deadline) -> Sequence[V]:
        """The values of `keys`, in their order, within this deadline; as the read that is shared, it may raise."""
        shared = any(key in self._flying for key in keys)
        try:
            return await self._values(keys, deadline)
        except DeadlineExceeded:
            if not shared or not deadline.remaining():
                raise
        return await self._read(keys, deadline)  # the deadline that passed was another visit's

    async def _values(self, keys: Sequence[K], deadline: Deadline) -> Sequence[V]:
        missing = [key for key in dict.fromkeys(keys) if key not in self._flying]
        if missing:
            self._begin(missing, deadline)
        waiting = [self._flying[key] for key in keys]
        try:
            async with asyncio.timeout(deadline.remaining()):
                return [await asyncio.shield(future) for future in waiting]
        except TimeoutError as error:
            raise DeadlineExceeded("no time was left for a read that is shared") from error

    def _begin(self, keys: Sequence[K], deadline: Deadline) -> None:
        loop = asyncio.get_running_loop()
        futures = {key: loop.create_future() for key in keys}
        self._flying.update(futures)
        task = loop.create_task(self._run(futures, deadline))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, futures: dict[K, "asyncio.Future[V]"], deadline: Deadline) -> None:
        try:
            values = await self._read(list(futures), deadline)
            found: Sequence[V | BaseException] = list(values)
        except Exception as error:
            found = [error] * len(futures)
        except BaseException:
            for key, future in futures.items():
                self._flying.pop(key, None)
                future.cancel()
            raise
        for (key, future), value in zip(futures.items(), found, strict=True):
            self._flying.pop(key, None)
            if isinstance(value, BaseException):
                future.set_exception(value)
                future.exception()  # marks it retrieved: all who waited may be gone
            else:
                future.set_result(value)


class SharedReads:
    """The reads that are the same for everyone."""

    def __init__(self, source: CommerceSource) -> None:
        self.products: SharedRead[str, Product | None] = SharedRead(source.products)
        self.prices: SharedRead[str, Price | None] = SharedRead(source.prices)
        self.stock: SharedRead[str, Stock | None] = SharedRead(source.stock)
        self.coupons: SharedRead[str, tuple[Coupon, ...]] = SharedRead(source.coupons)
        self.categories: SharedRead[str, Category | None] = SharedRead(source.categories)
        self.shelves: SharedRead[ShelfQuery, tuple[Product, ...]] = SharedRead(source.shelves)
        self.pages: SharedRead[CatalogQuery, ProductPage] = SharedRead(_each(source.catalog))
        self.counts: SharedRead[CatalogQuery, int] = SharedRead(_each(source.catalog_count))
        self.trees: SharedRead[None, Sequence[Category]] = SharedRead(
            _each(lambda _, until: source.category_tree(until))
        )


def _each(read: Callable[[K, Deadline], Awaitable[V]]) -> Callable[[Sequence[K], Deadline], Awaitable[Sequence[V]]]:
    """A read of many that the shop is asked for one by one, all at once."""

    async def read_each(keys: Sequence[K], deadline: Deadline) -> Sequence[V]:
        return await asyncio.gather(*(read(key, deadline) for key in keys))

    return read_each
