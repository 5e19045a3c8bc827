"""From the hub into the raw zone of the lake: every event once, whoever is killed when."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date
from itertools import groupby

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from personalization.errors import HubUnavailable, PartitionLost
from personalization.hub.groups import Place
from personalization.hub.topics import (
    DECISIONS,
    EXPOSURE_EVENTS,
    EXPOSURES,
    JOINED,
    OUTCOMES,
    Consumer,
    Hub,
    StoredEvent,
)
from personalization.lake.errors import LakeUnavailable
from personalization.lake.layout import Lake, RawFile, RawPlace
from personalization.lake.locks import locked
from personalization.lake.parquet import write_table
from personalization.lake.tables import raw_table
from personalization.metrics import total

GROUP = "lake"
TOPICS = (DECISIONS, OUTCOMES, JOINED, EXPOSURES, EXPOSURE_EVENTS)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LakePace:
    """How much is written at once: what came within `linger` seconds, but at most `events` in memory.

    `batch` events are read at a time, waiting up to `wait` seconds; what fails is tried again after `backoff`. A single
    run waits up to `settle` for partitions that are still a killed member's: longer than a lease lasts.
    """

    linger: float = 30.0
    events: int = 50_000
    batch: int = 2_000
    wait: float = 0.25
    backoff: float = 1.0
    settle: float = 12.0


class LakeWriter:
    """A member of the group that writes the raw zone. Run as many as there are partitions.

    Files come first, durably, then the group's offsets. After a crash between the two the events are read again, and
    those whose offsets are in the lake already are passed over: the names of the files say which. A lock a place keeps
    a member that lost a partition without knowing it from writing beside the new one.
    """

    def __init__(
        self,
        hub: Hub,
        lake: Lake,
        metrics: "LakeMetrics",
        *,
        topics: Sequence[str] = TOPICS,
        pace: LakePace | None = None,
    ) -> None:
        self._hub = hub
        self._lake = lake
        self._metrics = metrics
        self._topics = tuple(topics)
        self._pace = pace or LakePace()
        self._held: dict[Place, list[StoredEvent]] = {}
        self._count = 0
        self._since: float | None = None
        self._source = ""
        self._consumer: Consumer | None = None
        self._assigned = False

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop; then write what is held and leave the group.

        Raises:
            HubUnavailable: the hub was away at the start.
            GroupMismatch: the group of this name reads other topics.
            LakeUnavailable: the lake could not be written when it was told to stop; the events stay in the hub.
        """
        async with await self._joined() as consumer:
            while not stop.is_set():
                await self._poll(consumer, stop)
                if self._due():
                    await self._flush(tuple(self._held), stop)

    async def run_once(self) -> None:
        """Write what is in the hub now, and leave the group. What running members read is left to them.

        Raises:
            HubUnavailable, GroupMismatch, LakeUnavailable: as `run`.
        """
        stop = asyncio.Event()
        stop.set()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._pace.settle
        async with await self._joined() as consumer:
            while True:
                batch = await consumer.poll_batch(self._pace.batch, 0.0 if self._assigned else self._pace.wait)
                self._hold(batch)
                if self._count >= self._pace.events:
                    await self._flush(tuple(self._held), stop)
                if not batch and (self._assigned or loop.time() >= until):
                    break
            await self._flush(tuple(self._held), stop)

    async def _joined(self) -> Consumer:
        self._source = await self._hub.log_id()
        self._consumer = self._hub.consumer(GROUP, self._topics, self._on_assign, self._on_revoke)
        return self._consumer

    async def _poll(self, consumer: Consumer, stop: asyncio.Event) -> None:
        try:
            self._hold(await consumer.poll_batch(self._pace.batch, self._pace.wait))
        except HubUnavailable as error:
            _log.warning("lake_waits_for_hub", cause=type(error.__cause__).__name__)
            await self._pause(stop)

    def _hold(self, batch: Sequence[StoredEvent]) -> None:
        for each in batch:
            self._held.setdefault((each.topic, each.partition), []).append(each)
        self._count += len(batch)
        if batch and self._since is None:
            self._since = asyncio.get_running_loop().time()
        self._metrics.held.set(self._count)

    def _due(self) -> bool:
        if self._since is None:
            return False
        age = asyncio.get_running_loop().time() - self._since
        return self._count >= self._pace.events or age >= self._pace.linger

    async def _flush(self, places: Sequence[Place], stop: asyncio.Event) -> None:
        """Write what is held of these places, then commit it; wait for a lake that is away, unless told to stop."""
        while True:
            try:
                with self._metrics.seconds.time():
                    for place in places:
                        await self._write(place)
            except OSError as error:
                self._metrics.failures.inc()
                _log.warning("lake_not_written", kind=type(error).__name__)
                if stop.is_set():
                    raise LakeUnavailable(f"the lake cannot be written: {error.strerror}") from error
                await self._pause(stop)
            else:
                break
        await self._commit({place: self._held[place][-1].offset + 1 for place in places if self._held.get(place)})
        self._drop(places)

    async def _write(self, place: Place) -> None:
        events = self._held.get(place)
        if events:
            files, rows = await asyncio.to_thread(write_raw, self._lake, self._source, events)
            self._metrics.files.labels(place[0]).inc(files)
            self._metrics.events.labels(place[0]).inc(rows)
            _log.info("lake_written", topic=place[0], partition=place[1], files=files, rows=rows)

    async def _commit(self, offsets: Mapping[Place, int]) -> None:
        """Tell the group; when that fails the events are read again, and known by their offsets."""
        if not offsets or self._consumer is None:
            return
        try:
            await self._consumer.commit(offsets)
        except (HubUnavailable, PartitionLost) as error:
            _log.warning("lake_not_committed", kind=type(error).__name__)

    def _drop(self, places: Sequence[Place]) -> None:
        for place in places:
            self._count -= len(self._held.pop(place, ()))
        if not self._held:
            self._since = None
        self._metrics.held.set(self._count)

    async def _on_assign(self, places: Sequence[Place]) -> None:
        self._assigned = True

    async def _on_revoke(self, places: Sequence[Place]) -> None:
        stop = asyncio.Event()
        stop.set()
        try:
            await self._flush(places, stop)
        except LakeUnavailable:
            self._drop(places)  # whoever has the partition next reads them
            raise

    async def _pause(self, stop: asyncio.Event) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), self._pace.backoff)


class LakeMetrics:
    """What the writer tells about itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter("gateway_lake_events_total", "Events written to the lake.", ["topic"], registry=registry)
        self.files = Counter("gateway_lake_files_total", "Files written to the lake.", ["topic"], registry=registry)
        self.failures = Counter(
            "gateway_lake_failures_total", "Writes that failed and were tried again.", registry=registry
        )
        self.seconds = Histogram("gateway_lake_write_seconds", "Time to write what was held.", registry=registry)
        self.held = Gauge(
            "gateway_lake_held_events",
            "Events read from the hub that wait to be written.",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def summary(self) -> dict[str, float]:
        """What matters most, by name: events written, files, events held."""
        named = (("events", self.events), ("files", self.files), ("held", self.held))
        return {name: total(metric) for name, metric in named}


def write_raw(lake: Lake, source: str, events: Sequence[StoredEvent]) -> tuple[int, int]:
    """Write events of one place, in their order, that the lake does not have; how many files and rows that were.

    Blocks; raises `OSError` of the disk. What was written before stays, whole.
    """
    place = RawPlace(events[0].topic, source, events[0].partition)
    files = rows = 0
    with locked(lake.raw / place.topic / f".lock-{source}-{place.partition}"):
        last = lake.last_offset(place)
        fresh = [each for each in events if each.offset > last]
        for file, some in _files(place, fresh):
            write_table(lake.path(file), raw_table(place.topic, some))
            files, rows = files + 1, rows + len(some)
    return files, rows


def _files(place: RawPlace, events: Sequence[StoredEvent]) -> Iterator[tuple[RawFile, Sequence[StoredEvent]]]:
    """The events by day, in order, each file without a gap: so its name says exactly what is in it."""
    numbered = enumerate(events)
    for (day, _), group in groupby(numbered, key=lambda each: (_day(each[1]), each[1].offset - each[0])):
        some = [event for _, event in group]
        yield RawFile(place, some[0].offset, some[-1].offset, day), some


def _day(stored: StoredEvent) -> date:
    return stored.appended_at.astimezone(UTC).date()
