"""Reads shared by all visits: what one of them reads from the shop, no other asks for until that one has ended."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
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


class Hold:
    """For how long what a visit reads is shared: until the visit ends, and no longer than it may take."""

    __slots__ = ("_ended", "_releases", "_until")

    def __init__(self, until: Deadline) -> None:
        self._until = until
        self._ended = False
        self._releases: list[Callable[[], None]] = []

    @property
    def is_over(self) -> bool:
        """Whether what was read is shared no more."""
        return self._ended or self._until.remaining() <= 0

    def add(self, release: Callable[[], None]) -> None:
        """Have something released in the end."""
        self._releases.append(release)

    def end(self) -> None:
        """The visit has ended: what came of its reads is kept by now, if it may be."""
        self._ended = True
        for release in self._releases:
            release()
        self._releases.clear()


class _Batch(Generic[K, V]):
    """One read of some keys: on its way, or come and held."""

    __slots__ = ("error", "hold", "keys", "values", "waiting")

    def __init__(self, keys: Sequence[K], hold: Hold) -> None:
        self.keys = keys
        self.hold = hold
        self.values: dict[K, V] | None = None
        self.error: Exception | None = None
        self.waiting: list[asyncio.Future[None]] = []

    @property
    def is_shared(self) -> bool:
        """Whether whoever comes now may have the values."""
        return self.values is None or not self.hold.is_over

    async def come(self, deadline: Deadline) -> dict[K, V]:
        """The values, waited for until the deadline. Who waits may be cancelled, which disturbs nobody else."""
        if self.values is None and self.error is None:
            loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            self.waiting.append(waiter)
            timer = loop.call_later(deadline.remaining(), _too_late, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
        if self.values is None:
            raise self.error or DeadlineExceeded("the read that is shared was given up")
        return self.values

    def tell(self) -> None:
        """Let those go on who wait."""
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
        self.waiting.clear()


class SharedRead(Generic[K, V]):
    """One kind of read. Keys that are on their way are waited for, all others are read in one batch.

    A batch goes on when the visit that began it is gone, for others may wait for it. What it read is shared until that
    visit has ended: by then what came of it is kept, and who comes in between needs not ask again. Nobody who joins
    prolongs that.
    """

    def __init__(self, read: Callable[[Sequence[K], Deadline], Awaitable[Sequence[V]]]) -> None:
        self._read = read
        self._shared: dict[K, _Batch[K, V]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, keys: Sequence[K], deadline: Deadline, hold: Hold) -> Sequence[V]:
        """The values of `keys`, in their order, within this deadline; as the read that is shared, it may raise.

        What is read now is shared while `hold` lasts.
        """
        batches = {key: batch for key in keys if (batch := self._shared.get(key)) and batch.is_shared}
        joined = bool(batches)
        missing = [key for key in dict.fromkeys(keys) if key not in batches]
        if missing:
            batches |= dict.fromkeys(missing, self._begin(missing, deadline, hold))
        try:
            return [(await batches[key].come(deadline))[key] for key in keys]
        except DeadlineExceeded:
            if not joined or not deadline.remaining():
                raise
        return await self._read(keys, deadline)  # the deadline that passed was another visit's

    def forget(self) -> None:
        """Share with nobody who comes from now on what was begun before."""
        self._shared.clear()

    def _begin(self, keys: Sequence[K], deadline: Deadline, hold: Hold) -> _Batch[K, V]:
        batch: _Batch[K, V] = _Batch(keys, hold)
        self._shared.update(dict.fromkeys(keys, batch))
        task = asyncio.get_running_loop().create_task(self._run(batch, deadline))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return batch

    async def _run(self, batch: _Batch[K, V], deadline: Deadline) -> None:
        try:
            values = await self._read(batch.keys, deadline)
            batch.values = dict(zip(batch.keys, values, strict=True))
        except Exception as error:
            batch.error = error
        finally:
            if batch.values is None or batch.hold.is_over:
                self._release(batch)
            else:
                batch.hold.add(partial(self._release, batch))
            batch.tell()

    def _release(self, batch: _Batch[K, V]) -> None:
        for key in batch.keys:
            if self._shared.get(key) is batch:
                del self._shared[key]


def _too_late(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_exception(DeadlineExceeded("no time was left for a read that is shared"))


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

    def forget(self) -> None:
        """Something has changed: share with nobody who comes from now on what was begun before."""
        for read in (
            self.products,
            self.prices,
            self.stock,
            self.coupons,
            self.categories,
            self.shelves,
            self.pages,
            self.counts,
            self.trees,
        ):
            read.forget()


def _each(read: Callable[[K, Deadline], Awaitable[V]]) -> Callable[[Sequence[K], Deadline], Awaitable[Sequence[V]]]:
    """A read of many that the shop is asked for one by one, all at once."""

    async def read_each(keys: Sequence[K], deadline: Deadline) -> Sequence[V]:
        return await asyncio.gather(*(read(key, deadline) for key in keys))

    return read_each
