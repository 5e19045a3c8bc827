"""Loads of one visit, gathered into batches.

Not Strawberry's DataLoader, for three reasons: it dispatches a batch after two turns of the event loop, it keeps a
failed batch in its memo, and it hands one future to everybody who waits for a key, so that a field that misses its
deadline cancels that key for all others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import perf_counter
from typing import Generic, TypeVar

from opentelemetry.context import attach
from opentelemetry.trace import Span, StatusCode, Tracer, get_current_span, set_span_in_context
from prometheus_client import CollectorRegistry, Counter, Histogram

from resolvers.errors import SourceUnavailable

K = TypeVar("K")
V = TypeVar("V")

MAX_BATCH_SIZE = 250
QUIET_TURNS = 5
LONGEST_TURNS = 50
SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500)
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class LoaderSeries:
    """The time series of one loader."""

    __slots__ = ("failed", "ok", "partial", "size", "wait")

    def __init__(self, loader: str, size: Histogram, wait: Histogram, batches: Counter) -> None:
        self.size = size.labels(loader)
        self.wait = wait.labels(loader)
        self.ok = batches.labels(loader, "ok")
        self.partial = batches.labels(loader, "partial")
        self.failed = batches.labels(loader, "error")


class LoaderMetrics:
    """The metrics of all loaders. Made once; a visit's loaders share it."""

    __slots__ = ("_batches", "_series", "_size", "_wait")

    def __init__(self, registry: CollectorRegistry) -> None:
        self._size = Histogram(
            "gateway_loader_batch_size", "Different keys in a batch.", ("loader",), registry=registry, buckets=SIZES
        )
        self._wait = Histogram(
            "gateway_loader_wait_seconds",
            "Time from a batch's first load to its values.",
            ("loader",),
            registry=registry,
            buckets=SECONDS,
        )
        self._batches = Counter("gateway_loader_batches", "Batches fetched.", ("loader", "outcome"), registry=registry)
        self._series: dict[str, LoaderSeries] = {}

    def series(self, loader: str) -> LoaderSeries:
        """The series of the loader of that name; names come from code, never from a client."""
        series = self._series.get(loader)
        if series is None:
            series = self._series[loader] = LoaderSeries(loader, self._size, self._wait, self._batches)
        return series


class BatchLoader(Generic[K, V]):
    """Loads values by key in batches, and remembers them for as long as the visit lives.

    `fetch` gets different keys, at most `max_batch_size`, and answers with one value or exception for each, in order.
    Loads made within `QUIET_TURNS` turns of the event loop of one another share a batch. A load gets its own future: to
    cancel it disturbs nobody else. What failed is not remembered, so that a later load tries again.
    """

    __slots__ = (
        "_fetch",
        "_known",
        "_name",
        "_pending",
        "_series",
        "_since",
        "_tasks",
        "_tracer",
        "_waiting",
        "max_batch_size",
    )

    def __init__(
        self,
        name: str,
        fetch: Callable[[Sequence[K]], Awaitable[Sequence[V | Exception]]],
        *,
        tracer: Tracer,
        metrics: LoaderMetrics,
        max_batch_size: int = MAX_BATCH_SIZE,
    ) -> None:
        self.max_batch_size = max_batch_size
        self._name = name
        self._fetch = fetch
        self._tracer = tracer
        self._series = metrics.series(name)
        self._known: dict[K, asyncio.Future[V]] = {}
        self._waiting: dict[K, list[asyncio.Future[V]]] = {}
        self._pending: list[K] = []
        self._since = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def load(self, key: K) -> asyncio.Future[V]:
        """The value of `key`: remembered, on its way, or in the next batch."""
        known = self._known.get(key)
        if known is not None:
            return known
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V] = loop.create_future()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(future)
            return future
        self._waiting[key] = [future]
        if not self._pending:
            self._since = perf_counter()
            loop.call_soon(self._turn, loop, 0, QUIET_TURNS, LONGEST_TURNS)
        self._pending.append(key)
        return future

    async def load_many(self, keys: Iterable[K]) -> list[V]:
        """The values of `keys`, in their order.

        Raises:
            Exception: what the first key in order that failed, failed with.
        """
        return [await future for future in [self.load(key) for key in keys]]

    def prime(self, key: K, value: V) -> None:
        """Remember a value that came another way, unless one is known; whoever waits for the key gets it now."""
        if key in self._known:
            return
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(value)
        self._remember(key, value)

    def clear(self, key: K) -> None:
        """Forget the value, so that the next load fetches it."""
        self._known.pop(key, None)

    def cancel(self) -> None:
        """Stop the fetches under way: nobody waits for them any more."""
        for task in self._tasks:
            task.cancel()

    def _turn(self, loop: asyncio.AbstractEventLoop, seen: int, quiet: int, left: int) -> None:
        """One turn of the loop: wait on while loads keep coming, then send the batch."""
        grown = len(self._pending)
        if left == 0 or (grown == seen and quiet == 0):
            self._send(loop)
        else:
            loop.call_soon(self._turn, loop, grown, quiet - 1 if grown == seen else QUIET_TURNS, left - 1)

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        keys = [key for key in self._pending if self._is_wanted(key)]
        self._pending = []
        for start in range(0, len(keys), self.max_batch_size):
            task = loop.create_task(self._run(keys[start : start + self.max_batch_size], self._since))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _is_wanted(self, key: K) -> bool:
        if all(future.done() for future in self._waiting[key]):
            del self._waiting[key]
            return False
        return True

    async def _run(self, keys: list[K], since: float) -> None:
        span = self._span(keys) if get_current_span().is_recording() else None
        try:
            values = await self._fetch(keys)
            self._check(values, len(keys))
        except BaseException as error:
            self._series.failed.inc()
            self._finish(span, error)
            for key in keys:
                self._fail(key, error)
            if not isinstance(error, Exception):
                raise
        else:
            self._deliver(keys, values, span)
        finally:
            self._series.size.observe(len(keys))
            self._series.wait.observe(perf_counter() - since)

    def _span(self, keys: list[K]) -> Span:
        loads = sum(map(len, map(self._waiting.__getitem__, keys)))
        attributes: dict[str, str | int] = {
            "loader.name": self._name,
            "loader.batch_size": len(keys),
            "loader.loads": loads,
        }
        span = self._tracer.start_span(f"loader {self._name}", attributes=attributes)
        attach(set_span_in_context(span))  # never detached: the context is this task's own and goes with it
        return span

    def _check(self, values: Sequence[V | Exception], expected: int) -> None:
        if len(values) != expected:
            raise SourceUnavailable(f"loader {self._name} asked for {expected} values and got {len(values)}")

    def _deliver(self, keys: list[K], values: Sequence[V | Exception], span: Span | None) -> None:
        first: Exception | None = None
        for key, value in zip(keys, values, strict=True):
            if isinstance(value, Exception):
                first = first or value
                self._fail(key, value)
            else:
                self._resolve(key, value)
        (self._series.ok if first is None else self._series.partial).inc()
        self._finish(span, first)

    def _finish(self, span: Span | None, error: BaseException | None) -> None:
        if span is None:
            return
        if error is not None:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
        span.end()

    def _resolve(self, key: K, value: V) -> None:
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(value)
        if key not in self._known:
            self._remember(key, value)

    def _remember(self, key: K, value: V) -> None:
        known: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        known.set_result(value)
        self._known[key] = known

    def _fail(self, key: K, error: BaseException) -> None:
        for future in self._waiting.pop(key, ()):
            if future.done():
                continue
            if isinstance(error, Exception):
                future.set_exception(error)
                future.exception()  # marks it retrieved: a load whose waiter is gone is nothing to report
            else:
                future.cancel()
