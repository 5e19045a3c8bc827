"""The online join: drives the joiner from the hub, and writes the rows back to it."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from opentelemetry.trace import Link, Tracer

from personalization.clock import Clock
from personalization.codec import encode_joined
from personalization.errors import HubUnavailable, InvalidEvent, PartitionLost
from personalization.hub.groups import Place
from personalization.hub.topics import JOINED, Consumer, Hub, NewEvent, StoredEvent
from personalization.join.checkpoints import Checkpoints
from personalization.join.joiner import Joined, JoinLimits
from personalization.join.metrics import JoinMetrics
from personalization.join.partition import TOPICS, PartitionJoin
from personalization.join.reward import JoinRules
from personalization.tracing import TRACEPARENT, context_of

GROUP = "join"
MOST_LINKS = 32

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class JoinPace:
    """How the online join goes about its work; times in seconds.

    `slack` is the longest that an event may be on its way into the hub: a decision is joined that much after it
    closes, and what takes longer counts as late. `wait` is the longest look for new events, `checkpoint` lies between
    two checkpoints. `batch` events are read and `rows` written at once; while the hub is away both are tried again
    after `backoff`.
    """

    slack: float = 1.0
    wait: float = 0.25
    checkpoint: float = 5.0
    batch: int = 2_000
    rows: int = 500
    backoff: float = 0.5


class OnlineJoin:
    """A member of the group that joins. Run as many as there are partitions, in one process or in several.

    Each row is appended to the topic `joined` under its decision's id before anything else is remembered, so after
    kill -9 none is lost and none is there twice. Partitions that change hands take their state along where the
    folder of the checkpoints is shared; where it is not, the new member reads again what was still open.
    """

    def __init__(
        self,
        hub: Hub,
        checkpoints: Checkpoints,
        *,
        clock: Clock,
        tracer: Tracer,
        metrics: JoinMetrics,
        rules: JoinRules | None = None,
        limits: JoinLimits | None = None,
        pace: JoinPace | None = None,
    ) -> None:
        self._hub = hub
        self._checkpoints = checkpoints
        self._clock = clock
        self._tracer = tracer
        self._metrics = metrics
        self._rules = rules or JoinRules()
        self._limits = limits or JoinLimits()
        self._pace = pace or JoinPace()
        self._partitions: dict[int, PartitionJoin] = {}
        self._committed: dict[Place, int] = {}
        self._saved_at: datetime | None = None
        self._rows_pending = False
        self._log_id = ""
        self._consumer: Consumer | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Join until told to stop; then save where it stands and leave the group.

        Raises:
            HubUnavailable: the hub was away at the start, or when it was told to stop; then what was not written is
            joined again later.
            GroupMismatch: the group of this name reads other topics.
        """
        self._log_id = await self._hub.log_id()
        self._consumer = self._hub.consumer(GROUP, TOPICS, self._on_assign, self._on_revoke)
        async with self._consumer as consumer:
            while not stop.is_set():
                await self._step(consumer, stop)

    async def _step(self, consumer: Consumer, stop: asyncio.Event) -> None:
        before = self._clock.now()
        try:
            batch = await consumer.poll_batch(self._pace.batch, self._pace.wait)
        except HubUnavailable as error:
            await self._away(error, stop)
            return
        self._take(batch, before)
        rows = [row for each in self._partitions.values() for row in each.advance()]
        await self._write(rows, stop)
        self._metrics.show(self._partitions.values(), self._clock.now())
        if self._due():
            await self._save(tuple(self._partitions))

    def _take(self, batch: Sequence[StoredEvent], before: datetime) -> None:
        results = Counter((stored.topic, self._take_one(stored)) for stored in batch)
        for (topic, result), count in results.items():
            self._metrics.events.labels(topic, result).inc(count)
        if len(batch) < self._pace.batch:
            read = {(each.topic, each.partition) for each in batch}
            for number, partition in self._partitions.items():
                for topic in TOPICS:
                    if (topic, number) not in read:
                        partition.read_until(topic, before)

    def _take_one(self, stored: StoredEvent) -> str:
        """Hand an event to its partition; `taken`, `skipped` or `invalid`."""
        try:
            taken = self._partitions[stored.partition].take(stored)
        except InvalidEvent:
            _log.warning("join_event_invalid", topic=stored.topic, partition=stored.partition, offset=stored.offset)
            return "invalid"
        return "taken" if taken else "skipped"

    async def _write(self, rows: Sequence[Joined], stop: asyncio.Event) -> None:
        """Append the rows durably; until that is done nothing may be saved."""
        self._rows_pending = bool(rows)
        for first in range(0, len(rows), self._pace.rows):
            some = rows[first : first + self._pace.rows]
            links = [Link(context) for each in some[:MOST_LINKS] if (context := context_of(each.origin)) is not None]
            with self._tracer.start_as_current_span("join", links=links, attributes={"join.rows": len(some)}):
                await self._append([_event(each) for each in some], stop)
            self._metrics.count_rows([each.row for each in some])
        self._rows_pending = False

    async def _append(self, events: Sequence[NewEvent], stop: asyncio.Event) -> None:
        """Append to the hub, and wait for it while it is away, unless it is time to stop."""
        while True:
            try:
                await self._hub.append(JOINED, events)
            except HubUnavailable as error:
                if stop.is_set():
                    raise
                await self._away(error, stop)
            else:
                return

    async def _away(self, error: HubUnavailable, stop: asyncio.Event) -> None:
        self._metrics.away.inc()
        _log.warning("join_waits_for_hub", cause=type(error.__cause__).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), self._pace.backoff)

    def _due(self) -> bool:
        now = self._clock.now()
        if self._saved_at is not None and now - self._saved_at < timedelta(seconds=self._pace.checkpoint):
            return False
        self._saved_at = now
        return True

    async def _save(self, partitions: Sequence[int]) -> None:
        """Write the checkpoints of these partitions, then commit; what fails is done by the next one."""
        if self._rows_pending:
            return
        offsets: dict[Place, int] = {}
        with self._metrics.seconds.time():
            for number in partitions:
                partition = self._partitions[number]
                if partition.unsaved:
                    await self._write_checkpoint(partition)
                offsets.update(partition.needed_from())
            await self._commit(offsets)

    async def _write_checkpoint(self, partition: PartitionJoin) -> None:
        """Without one the open windows are read again, so a disk that is full stops nobody."""
        try:
            await asyncio.to_thread(self._checkpoints.write, partition.partition, partition.checkpoint(self._log_id))
        except OSError as error:
            self._metrics.unsaved.inc()
            _log.warning("join_checkpoint_not_written", partition=partition.partition, kind=type(error).__name__)
        else:
            partition.unsaved = 0

    async def _commit(self, offsets: Mapping[Place, int]) -> None:
        news = {place: offset for place, offset in offsets.items() if self._committed.get(place) != offset}
        if not news or self._consumer is None:
            return
        try:
            await self._consumer.commit(news)
        except (HubUnavailable, PartitionLost) as error:
            _log.warning("join_not_committed", kind=type(error).__name__)
        else:
            self._committed.update(news)

    async def _on_assign(self, places: Sequence[Place]) -> None:
        for number in sorted({partition for _, partition in places}):
            checkpoint = await asyncio.to_thread(self._checkpoints.read, number, self._log_id)
            slack = timedelta(seconds=self._pace.slack)
            self._partitions[number] = PartitionJoin(number, self._rules, self._limits, slack, checkpoint)
            _log.info("join_partition_taken", partition=number, restored=checkpoint is not None)

    async def _on_revoke(self, places: Sequence[Place]) -> None:
        numbers = sorted({partition for _, partition in places} & self._partitions.keys())
        await self._save(numbers)
        for number in numbers:
            del self._partitions[number]
            _log.info("join_partition_given_up", partition=number)
        for place in places:
            self._committed.pop(place, None)


def _event(joined: Joined) -> NewEvent:
    decision_id = joined.row.decision.id
    headers = {} if joined.origin is None else {TRACEPARENT: joined.origin}
    return NewEvent(decision_id, decision_id, encode_joined(joined.row), headers)
