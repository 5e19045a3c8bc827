"""Keep an index of the shop fresh: read whole, swapped whole, and the last good one kept when a reading fails."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog
from opentelemetry.context import Context
from opentelemetry.trace import Status, StatusCode, Tracer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from personalization.clock import Clock, Deadline
from personalization.errors import PersonaError
from resolvers.errors import SourceRefused, SourceUnavailable
from resolvers.sources.oscar_calls import within
from resolvers.sources.oscar_catalogue import CatalogueReader
from resolvers.sources.oscar_index import OscarIndex

Value = TypeVar("Value")

_log = structlog.get_logger()

# A reading may take this many times the interval between two of them, but never less than the least.
_PATIENCE, _LEAST_PATIENCE_S = 2.0, 60.0
# As long as there is no index at all, the shop is tried more often.
_EMPTY_RETRY_S = 2.0


class RefreshMetrics:
    """Readings of the shop, and what the index holds and since when."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.refreshes = Counter(
            "gateway_oscar_refreshes", "Readings of the whole shop for the index.", ["outcome"], registry=registry
        )
        self.seconds = Histogram(
            "gateway_oscar_refresh_seconds",
            "Duration of a reading of the whole shop.",
            buckets=(0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0),
            registry=registry,
        )
        self.timestamp = Gauge(
            "gateway_oscar_index_timestamp_seconds",
            "When the shop was read for the index, in Unix seconds; its age is the time now less this.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.products = Gauge(
            "gateway_oscar_index_products",
            "Products in the index.",
            registry=registry,
            multiprocess_mode="livemin",
        )


class IndexKeeper:
    """Holds the index and refreshes it every `refresh_s` seconds, from the first question on, or from `start`.

    Questions to the index run one after the other on a thread of their own.
    """

    def __init__(
        self, reader: CatalogueReader, refresh_s: float, *, clock: Clock, tracer: Tracer, registry: CollectorRegistry
    ) -> None:
        self._reader = reader
        self._refresh_s = refresh_s
        self._clock = clock
        self._tracer = tracer
        self._metrics = RefreshMetrics(registry)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="oscar-index")
        self._index: OscarIndex | None = None
        self._loading: asyncio.Task[None] | None = None
        self._repeating: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Begin to refresh, and load the index. Raises `SourceUnavailable`; it is then tried again and again."""
        self._begin()
        await self.refresh()

    async def current(self, deadline: Deadline) -> OscarIndex:
        """The index; loads it first where there is none yet, for everybody who waits at once.

        Raises `DeadlineExceeded` where that takes too long (it goes on all the same), `SourceUnavailable`.
        """
        deadline.check("the index of the shop")
        if self._index is None:
            self._begin()
            async with within(deadline, "its index"):
                await self.refresh()
        if self._index is None:
            raise SourceUnavailable("the index of the shop was closed")
        return self._index

    async def ask(self, question: Callable[[OscarIndex], Value], deadline: Deadline) -> Value:
        """The answer of the current index to a question that blocks."""
        index = await self.current(deadline)
        async with within(deadline, "its index"):
            # Handed over without awaiting in between: `_swap` closes an index behind the questions handed over before.
            return await asyncio.get_running_loop().run_in_executor(self._thread, question, index)

    async def refresh(self) -> None:
        """Read the shop now; joins a reading that is under way. Raises `SourceUnavailable`, `DeadlineExceeded`."""
        if self._closed:
            raise SourceUnavailable("the source was closed")
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._load(), name="oscar-index-load")
            self._loading.add_done_callback(_retrieved)
        await asyncio.shield(self._loading)

    async def aclose(self) -> None:
        """Stop refreshing and let go of the index; safe to call twice."""
        self._closed = True
        tasks = [task for task in (self._repeating, self._loading) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._swap(None)
        self._thread.shutdown(wait=False)

    async def _load(self) -> None:
        began, at = self._clock.monotonic(), self._clock.now().timestamp()
        # A trace of its own: the visit that happens to come first is not what the reading belongs to.
        with self._tracer.start_as_current_span(
            "oscar.index.refresh", context=Context(), record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                index = await self._read()
            except PersonaError as error:
                span.set_status(Status(StatusCode.ERROR))
                self._metrics.refreshes.labels("failed").inc()
                _log.warning("oscar_index_refresh_failed", error=type(error).__name__, reason=str(error))
                raise
            span.set_attribute("oscar.index.products", len(index.products))
        self._swap(index)
        self._metrics.refreshes.labels("ok").inc()
        self._metrics.seconds.observe(self._clock.monotonic() - began)
        self._metrics.timestamp.set(at)
        self._metrics.products.set(len(index.products))

    async def _read(self) -> OscarIndex:
        deadline = Deadline.after(max(_LEAST_PATIENCE_S, _PATIENCE * self._refresh_s), self._clock)
        known = self._index.order_by_id if self._index is not None else {}
        try:
            state = await self._reader.read(known, deadline)
        except SourceRefused as error:
            raise SourceUnavailable(f"the shop cannot be indexed: {error}") from error
        return await asyncio.to_thread(OscarIndex, state)

    def _begin(self) -> None:
        if self._repeating is None and not self._closed:
            self._repeating = asyncio.create_task(self._repeat(), name="oscar-index-refresh")

    async def _repeat(self) -> None:
        while True:
            was_empty = self._index is None
            await asyncio.sleep(min(_EMPTY_RETRY_S, self._refresh_s) if was_empty else self._refresh_s)
            if was_empty and self._index is not None:
                continue  # read in the meantime, by those who asked first: it is as fresh as any
            try:
                await self.refresh()
            except PersonaError:
                continue  # counted and logged where it failed; the last good index stays

    def _swap(self, index: OscarIndex | None) -> None:
        old, self._index = self._index, index
        if old is not None:
            self._thread.submit(old.close)


def _retrieved(task: asyncio.Task[None]) -> None:
    """Take note of the error, so that a reading nobody waits for any more does not complain of it."""
    if not task.cancelled():
        task.exception()
