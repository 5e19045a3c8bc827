"""The journal: events on their way into the hub, off the path of the request that made them."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

import structlog
from opentelemetry.trace import SpanContext
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from personalization.errors import HubUnavailable, JournalFull
from personalization.hub.topics import Hub, NewEvent
from personalization.tracing import headers_of

_log = structlog.get_logger()


class Identified(Protocol):
    """An event with an id of its own, which is its key in the hub too."""

    @property
    def id(self) -> str:
        """Unique within its topic."""
        ...


E = TypeVar("E", bound=Identified)


@dataclass(frozen=True, slots=True)
class Line(Generic[E]):
    """What one journal carries: events of one kind (`what`, a plural), into one topic, as bytes.

    `encode` answers with None for an event that no JSON can hold. `metrics` is the beginning of the names of its
    metrics.
    """

    what: str
    topic: str
    encode: Callable[[Sequence[E]], Sequence[bytes | None]]
    metrics: str


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """How long and how much the journal waits.

    `linger` is the longest (in seconds) an event waits for others, so at most what was recorded in that time
    and during one write is lost to kill -9. `capacity` bounds the events held in memory, `batch` those written
    at once. While the hub is away a write is tried again after `backoff` seconds, doubled up to `most_backoff`;
    a closing journal gives up after `closing` seconds.
    """

    linger: float = 0.03
    capacity: int = 10_000
    batch: int = 2_000
    backoff: float = 0.1
    most_backoff: float = 5.0
    closing: float = 5.0


class Journal(Generic[E]):
    """Takes events at once and writes them to the hub in groups. Use it from one event loop.

    While the hub is away events are kept, up to the capacity; after that `record` raises `JournalFull`. Events
    are lost only when the process dies, when the hub is still away at the end of `aclose`, or when one cannot be
    written as JSON; the last two are counted under the result `lost`.
    """

    def __init__(
        self, line: Line[E], hub: Hub, registry: CollectorRegistry, limits: JournalLimits | None = None
    ) -> None:
        self._line = line
        self._hub = hub
        self._limits = limits or JournalLimits()
        self._fresh: list[tuple[E, SpanContext]] = []
        self._queue: deque[NewEvent] = deque()
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._metrics = _JournalMetrics(line.metrics, line.what, registry)

    def record(self, event: E, span: SpanContext) -> None:
        """Take an event and the span that made it; returns at once.

        Raises:
            JournalFull: the queue is at its capacity, or the journal is closing; the event was not taken.
        """
        held = len(self._queue) + len(self._fresh)
        if held >= self._limits.capacity or self._closing:
            raise JournalFull(f"{held} {self._line.what} wait for the hub, no more are taken")
        if not self._fresh and self._loop is not None:
            self._loop.call_soon(self._encode)
        self._fresh.append((event, span))

    async def start(self) -> None:
        """Begin to write; events recorded before are written first."""
        if self._task is None:
            self._loop = asyncio.get_running_loop()
            self._encode()
            self._task = asyncio.create_task(self._run(), name=f"journal of {self._line.what}")

    async def aclose(self) -> None:
        """Write what is held, for at most `closing` seconds; count what could not be written. Safe to call twice."""
        self._closing = True
        self._encode()
        self._some.set()
        self._enough.set()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=self._limits.closing)
            for task in late:
                task.cancel()
                await asyncio.wait({task})
        self._lose(len(self._queue))
        self._queue.clear()

    def _encode(self) -> None:
        """Encode what one turn of the event loop took, at its end: all at once costs half of one after the other.

        In a thread it would take the interpreter from all requests of that moment.
        """
        fresh, self._fresh = self._fresh, []
        values = self._line.encode([event for event, _ in fresh])
        self._queue += [
            NewEvent(event.id, event.id, value, headers_of(span))
            for (event, span), value in zip(fresh, values, strict=True)
            if value is not None
        ]
        self._lose(values.count(None))
        if self._queue:
            self._some.set()
        if len(self._queue) >= self._limits.batch:
            self._enough.set()

    async def _run(self) -> None:
        while self._queue or not self._closing:
            await self._some.wait()
            await self._linger()
            await self._flush()
            if not self._closing:
                self._rest()

    def _rest(self) -> None:
        """Forget wake-ups that no longer hold."""
        if len(self._queue) < self._limits.batch:
            self._enough.clear()
        if not self._queue:
            self._some.clear()

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(self._limits.linger):
                await self._enough.wait()
        except TimeoutError:
            return

    async def _flush(self) -> None:
        batch = tuple(islice(self._queue, self._limits.batch))
        if not batch:
            return
        written = await self._write(batch)
        for _ in batch:
            self._queue.popleft()
        self._metrics.held.set(len(self._queue))
        self._metrics.events.labels("written").inc(written)
        self._lose(len(batch) - written)

    async def _write(self, events: Sequence[NewEvent]) -> int:
        """How many of the events are in the hub: all of them or, when it refuses them for good, none."""
        pause = self._limits.backoff
        while True:
            try:
                with self._metrics.seconds.time():
                    await self._hub.append(self._line.topic, events)
            except HubUnavailable as error:
                self._metrics.retries.inc()
                cause = type(error.__cause__).__name__
                _log.warning("journal_waits_for_hub", of=self._line.what, held=len(self._queue), cause=cause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._limits.most_backoff)
            except Exception:  # whatever a hub may raise, the journal of the other events goes on
                _log.exception("journal_batch_refused", of=self._line.what, events=len(events))
                return 0
            else:
                return len(events)

    def _lose(self, events: int) -> None:
        if events:
            self._metrics.events.labels("lost").inc(events)
            _log.error("journal_lost_events", of=self._line.what, events=events)


class _JournalMetrics:
    def __init__(self, prefix: str, what: str, registry: CollectorRegistry) -> None:
        self.events = Counter(
            f"{prefix}_{what}_total",
            f"{what.capitalize()} that left the journal: `written` to the hub, or `lost`.",
            ["result"],
            registry=registry,
        )
        self.retries = Counter(
            f"{prefix}_retries_total",
            "Writes that found the hub unavailable and were tried again.",
            registry=registry,
        )
        self.seconds = Histogram(
            f"{prefix}_write_seconds", f"Time to write one batch of {what} durably.", registry=registry
        )
        self.held = Gauge(
            f"{prefix}_held_{what}",
            f"{what.capitalize()} that wait in memory for the hub.",
            registry=registry,
            multiprocess_mode="livesum",
        )
