"""The online learner: joined decisions from the hub, in order, into models; and these into the registry."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from opentelemetry.trace import Link, Tracer

from personalization.clock import Clock
from personalization.codec import decode_joined
from personalization.errors import HubUnavailable, InvalidEvent, PartitionLost, RegistryUnavailable
from personalization.events import is_shelf
from personalization.hub.groups import Place
from personalization.hub.topics import JOINED, Consumer, Hub, StoredEvent
from personalization.learning.metrics import LEARNED, LearnMetrics
from personalization.learning.quarantine import MADE_SICK, UNREADABLE, Poisoned, quarantine
from personalization.learning.trainer import ModelTrainer, Position, Resumed
from personalization.tracing import TRACEPARENT, context_of

GROUP = "learn"
MOST_LINKS = 32

T = TypeVar("T")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LearnPace:
    """When models are stored: after `lessons` of them, or `seconds` after the last time; and how the hub is read.

    `wait` is the longest look for new events, `batch` of them are learned at once; while the hub or the registry is
    away, what failed is tried again after `backoff` seconds.
    """

    lessons: int = 5_000
    seconds: float = 2.0
    wait: float = 0.25
    batch: int = 500
    backoff: float = 0.5


@dataclass(frozen=True, slots=True)
class Models:
    """The models that learn, one for shelves and one for components and other flags."""

    shelf: ModelTrainer
    component: ModelTrainer

    def at(self, placement: str) -> ModelTrainer:
        """The one that learns from decisions of a placement."""
        return self.shelf if is_shelf(placement) else self.component

    def all(self) -> tuple[ModelTrainer, ModelTrainer]:
        """Both."""
        return self.shelf, self.component


class OnlineLearner:
    """Learns joined decisions, each partition in its order, and stores what was learned before it commits.

    A version in the registry says up to which offsets it has learned; the group commits them afterwards. So a learner
    that was killed goes on from its last version and learns everything after it, once. What may not be learned from is
    in quarantine before anything after it is committed. When the version to go on from is damaged, an older one is
    taken and the events since then are read again.

    Only one learner at a time should run over a registry; `gateway learn` sees to it.
    """

    def __init__(
        self,
        hub: Hub,
        models: Models,
        *,
        clock: Clock,
        tracer: Tracer,
        metrics: LearnMetrics,
        pace: LearnPace | None = None,
    ) -> None:
        self._hub = hub
        self._models = models
        self._clock = clock
        self._tracer = tracer
        self._metrics = metrics
        self._pace = pace or LearnPace()
        self._resumed: Mapping[str, Resumed] = {}
        self._behind: Sequence[Resumed] = ()
        self._log_id = ""
        self._consumer: Consumer | None = None
        self._next: dict[Place, int] = {}
        self._wound: set[Place] = set()
        self._unsaved = False
        self._saved_at = clock.now()
        self._newest: datetime | None = None
        self._events: dict[str, StoredEvent] = {}
        self._culprits: list[Poisoned] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Learn until told to stop; then store what was learned, and leave the group.

        Raises:
            HubUnavailable, RegistryUnavailable: it was away at the start, or at the end; then what was not stored is
            learned again later.
        """
        self._log_id = await self._hub.log_id()
        await self._resume()
        while not stop.is_set():
            self._consumer = self._hub.consumer(GROUP, [JOINED], self._on_assign, self._on_revoke)
            async with self._consumer as consumer:
                await self._read(consumer, stop)

    async def _resume(self) -> None:
        self._resumed = {each.name: await asyncio.to_thread(each.resume) for each in self._models.all()}
        for name, resumed in self._resumed.items():
            _log.info("learning_resumed", model=name, version=resumed.version)
        anything = any(each.version for each in self._resumed.values())
        # A model without a version has had nothing to learn so far, unless the registry is new or was lost.
        self._behind = [each for each in self._resumed.values() if each.passed_over or not anything]

    async def _read(self, consumer: Consumer, stop: asyncio.Event) -> None:
        """Read until told to stop, or until the group was wound back: then it is to be joined anew."""
        while not stop.is_set():
            known = len(self._wound)
            batch = await self._insisting(lambda: consumer.poll_batch(self._pace.batch, self._pace.wait), stop)
            if len(self._wound) > known and self._behind:
                return
            if batch:
                await self._learn(batch, stop)
            if self._due():
                await self._insisting(self._save, stop)

    async def _learn(self, batch: Sequence[StoredEvent], stop: asyncio.Event) -> None:
        news = [each for each in batch if each.offset >= self._next.get((each.topic, each.partition), 0)]
        links = [link for each in news[:MOST_LINKS] if (link := context_of(each.event.headers.get(TRACEPARENT)))]
        with self._tracer.start_as_current_span(
            "learn", links=[Link(each) for each in links], attributes={"learn.events": len(news)}
        ):
            poisoned = await asyncio.to_thread(self._teach, news)
            await self._insisting(lambda: quarantine(self._hub, poisoned), stop)
        for each in poisoned:
            self._metrics.quarantined.labels(each.reason).inc()
        for event in news:
            self._next[event.topic, event.partition] = event.offset + 1
        self._unsaved = self._unsaved or bool(news)

    def _teach(self, events: Sequence[StoredEvent]) -> list[Poisoned]:
        """Learn from these events, in order; those that belong into quarantine. Runs in a thread."""
        poisoned = []
        for stored in events:
            try:
                joined = decode_joined(stored.event.value)
            except InvalidEvent:
                poisoned.append(Poisoned(stored, UNREADABLE))
                continue
            model = self._models.at(joined.decision.context.placement)
            if stored.offset < self._resumed[model.name].known(self._log_id, stored.topic, stored.partition):
                continue
            refusal = model.learn(joined)
            self._metrics.events.labels(model.name, LEARNED if refusal is None else refusal.value).inc()
            if refusal is None:
                self._events[joined.decision.id] = stored
                self._newest = max(self._newest or joined.joined_at, joined.joined_at)
            elif refusal.poison:
                poisoned.append(Poisoned(stored, refusal.value, model.name))
        return poisoned

    def _due(self) -> bool:
        pending = max(each.pending for each in self._models.all())
        late = self._clock.now() - self._saved_at >= timedelta(seconds=self._pace.seconds)
        return self._unsaved and (pending >= self._pace.lessons or late)

    async def _save(self) -> None:
        """Store all models, put into quarantine what made one sick, then commit."""
        offsets = dict(self._next)
        with self._metrics.seconds.time():
            for model in self._models.all():
                await self._store(model, self._position(model.name))
        await quarantine(self._hub, self._culprits)
        self._metrics.quarantined.labels(MADE_SICK).inc(len(self._culprits))
        self._culprits.clear()
        self._events.clear()
        if self._consumer is not None:
            try:
                await self._consumer.commit(offsets)
            except PartitionLost:
                _log.warning("learn_not_committed")
        self._unsaved, self._saved_at = False, self._clock.now()

    def _position(self, model: str) -> Position:
        """How far a model has learned: as far as was read, and elsewhere as far as the version that it grew from."""
        before = self._resumed[model].position
        offsets = dict(before.offsets) if before.log_id == self._log_id else {}
        offsets.update({f"{topic}/{partition}": offset for (topic, partition), offset in self._next.items()})
        return Position(self._log_id, offsets)

    async def _store(self, model: ModelTrainer, position: Position) -> None:
        stored = await asyncio.to_thread(model.checkpoint, position)
        if stored.culprits:
            self._metrics.sick.labels(model.name).inc()
            self._culprits += [
                Poisoned(self._events[each.decision.id], MADE_SICK, model.name) for each in stored.culprits
            ]
        if stored.manifest is not None and stored.health is not None:
            self._metrics.checkpoints.labels(model.name).inc()
            self._metrics.weights.labels(model.name).set(stored.health.weights)
            self._metrics.largest.labels(model.name).set(stored.health.largest)
            if self._newest is not None:
                self._metrics.behind.set((self._clock.now() - self._newest).total_seconds())
            _log.info("model_stored", model=stored.manifest.label, lessons=stored.manifest.metrics["lessons"])

    async def _insisting(self, work: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T:
        """Do it, again and again while the hub or the registry is away, unless it is time to stop."""
        while True:
            try:
                return await work()
            except (HubUnavailable, RegistryUnavailable) as error:
                if stop.is_set():
                    raise
                what = "hub" if isinstance(error, HubUnavailable) else "registry"
                self._metrics.away.labels(what).inc()
                _log.warning("learn_waits", what=what, cause=type(error.__cause__).__name__)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._pace.backoff)

    async def _on_assign(self, places: Sequence[Place]) -> None:
        """Where a model had to fall back to an older version, have the group go back too, once for each partition."""
        new = [place for place in places if place not in self._wound]
        self._wound.update(new)
        if new and self._behind and self._consumer is not None:
            await self._consumer.commit(
                {place: min(each.known(self._log_id, *place) for each in self._behind) for place in new}
            )
            _log.info("learning_goes_back", partitions=len(new), versions=[each.version for each in self._behind])

    async def _on_revoke(self, places: Sequence[Place]) -> None:
        if self._unsaved:
            await self._save()
