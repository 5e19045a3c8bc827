"""The journal: events on their way into the hub, off the path of the request that made them."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Generic, TypeVar

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from personalization.errors import HubUnavailable, JournalFull
from personalization.journal.parcels import Recorded
from personalization.journal.writing import JournalWriter

_log = structlog.get_logger()

E = TypeVar("E")

PARCEL: Final = 64
"""So many events are packed together: enough to share what they have in common, few enough not to be noticed."""


@dataclass(frozen=True, slots=True)
class Line(Generic[E]):
    """What one journal carries: events of one kind (`what`, a plural), into one topic, as parcels.

    `pack` raises TypeError for what no JSON can hold. `metrics` is the beginning of the names of its metrics.
    """

    what: str
    topic: str
    pack: Callable[[Sequence[Recorded[E]]], bytes]
    metrics: str


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """How long and how much the journal waits.

    `linger` is the longest (in seconds) an event waits for others, so at most what was recorded in that time
    and during one write is lost to kill -9. `capacity` bounds the events held in memory, `batch` those written
    at once, but for the last parcel. While the hub is away a write is tried again after `backoff` seconds, doubled up
    to `most_backoff`; a closing journal gives up after `closing` seconds.
    """

    linger: float = 0.03
    capacity: int = 10_000
    batch: int = 2_000
    backoff: float = 0.1
    most_backoff: float = 5.0
    closing: float = 5.0


@dataclass(frozen=True, slots=True)
class _Parcel:
    events: int
    data: bytes


class Journal(Generic[E]):
    """Takes events at once and has them written to the hub in groups. Use it from one event loop.

    While the hub is away events are kept, up to the capacity; after that `record` raises `JournalFull`. Events
    are lost only when the process dies, when the hub is still away at the end of `aclose`, or when one cannot be
    written as JSON; the last two are counted under the result `lost`.
    """

    def __init__(
        self, line: Line[E], writer: JournalWriter, registry: CollectorRegistry, limits: JournalLimits | None = None
    ) -> None:
        self._line = line
        self._writer = writer
        self._limits = limits or JournalLimits()
        self._fresh: list[Recorded[E]] = []
        self._parcels: deque[_Parcel] = deque()
        self._packed = 0
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._metrics = _JournalMetrics(line.metrics, line.what, registry)

    def record(self, event: E, parent: str | None) -> None:
        """Take an event and the `traceparent` of the span that made it, None for none; returns at once.

        Raises:
            JournalFull: the queue is at its capacity, or the journal is closing; the event was not taken.
        """
        fresh = self._fresh
        held = self._packed + len(fresh)
        if held >= self._limits.capacity or self._closing:
            raise JournalFull(f"{held} {self._line.what} wait for the hub, no more are taken")
        if not held:
            self._some.set()
        fresh.append((event, parent))
        if len(fresh) >= PARCEL:
            self._pack()

    async def start(self) -> None:
        """Begin to write; events recorded before are written first."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"journal of {self._line.what}")

    async def aclose(self) -> None:
        """Write what is held, for at most `closing` seconds; count what could not be written. Safe to call twice."""
        self._closing = True
        self._some.set()
        self._enough.set()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=self._limits.closing)
            for task in late:
                task.cancel()
                await asyncio.wait({task})
        self._lose(self._packed + len(self._fresh))
        self._packed = 0
        self._fresh.clear()
        self._parcels.clear()

    def _pack(self) -> None:
        """Make a parcel of what was not packed yet, but for what cannot be."""
        fresh, self._fresh = self._fresh, []
        try:
            self._add(len(fresh), self._line.pack(fresh))
        except TypeError:
            for each in fresh:
                self._pack_alone(each)
        if self._packed >= self._limits.batch:
            self._enough.set()

    def _pack_alone(self, recorded: Recorded[E]) -> None:
        try:
            self._add(1, self._line.pack([recorded]))
        except TypeError:
            self._lose(1)

    def _add(self, events: int, data: bytes) -> None:
        self._parcels.append(_Parcel(events, data))
        self._packed += events

    async def _run(self) -> None:
        while self._parcels or self._fresh or not self._closing:
            await self._some.wait()
            await self._linger()
            await self._flush()
            if not self._closing:
                self._rest()

    def _rest(self) -> None:
        """Forget wake-ups that no longer hold."""
        if self._packed < self._limits.batch:
            self._enough.clear()
        if not self._parcels and not self._fresh:
            self._some.clear()

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(self._limits.linger):
                await self._enough.wait()
        except TimeoutError:
            return

    async def _flush(self) -> None:
        if self._fresh:
            self._pack()
        batch = self._batch()
        if not batch:
            return
        events = sum(parcel.events for parcel in batch)
        written = await self._write([parcel.data for parcel in batch])
        for _ in batch:
            self._parcels.popleft()
        self._packed -= events
        self._metrics.held.set(self._packed)
        if written:
            self._metrics.events.labels("written").inc(events)
        else:
            self._lose(events)

    def _batch(self) -> Sequence[_Parcel]:
        """The parcels that are written next."""
        before = accumulate((parcel.events for parcel in self._parcels), initial=0)
        return [parcel for parcel, events in zip(self._parcels, before, strict=False) if events < self._limits.batch]

    async def _write(self, parcels: Sequence[bytes]) -> bool:
        """Whether these are in the hub; they are not only where it refuses them for good."""
        pause = self._limits.backoff
        while True:
            try:
                with self._metrics.seconds.time():
                    await self._writer.write(self._line.topic, parcels)
            except HubUnavailable as error:
                self._metrics.retries.inc()
                _log.warning("journal_waits_for_hub", of=self._line.what, held=self._packed, why=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._limits.most_backoff)
            except Exception:  # whatever a hub may raise, the journal of the other events goes on
                _log.exception("journal_batch_refused", of=self._line.what, parcels=len(parcels))
                return False
            else:
                return True

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
