"""One model that learns from joined decisions, and its versions in the registry. Blocks; has no clock of its own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog

from personalization.bandit.canaries import Canary, check_canaries
from personalization.bandit.lessons import Refusal
from personalization.bandit.vw import Snapshot, VwLearner, VwPolicy, WeightHealth
from personalization.bandit.vw_settings import VwSettings
from personalization.errors import InvalidDistribution, InvalidModel, ModelError, RegistryUnavailable
from personalization.events import JoinedDecision
from personalization.registry import ModelRegistry, StoredModel
from personalization.registry_records import DataRange, Manifest, label_of

LOG = "log"
"""The member of a manifest's evidence that names the log of its offsets."""

BY = "gateway learn"
MOST_CULPRITS = 16
VERSIONS_KEPT = 50


class MakeLearner(Protocol):
    """Makes a learner that begins with nothing, or goes on from a model and its canaries; `VwLearner` itself, say."""

    def __call__(
        self, settings: VwSettings, model: bytes | None = None, *, canaries: Sequence[Canary] = ()
    ) -> VwLearner: ...


_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Position:
    """How far a log was read: everything below `offsets`, which are by `topic/partition`."""

    log_id: str = ""
    offsets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where learning goes on: the label of a version, or None for a new model, and how far that one had read.

    `passed_over` newer versions were damaged, so what they had learned is to be learned again.
    """

    version: str | None
    position: Position
    passed_over: int

    def known(self, log_id: str, topic: str, partition: int) -> int:
        """Below this offset of this log everything is learned; of another log nothing is."""
        return self.position.offsets.get(f"{topic}/{partition}", 0) if log_id == self.position.log_id else 0


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of a checkpoint: the version, if any was needed, and what had made the model sick."""

    manifest: Manifest | None
    health: WeightHealth | None
    culprits: tuple[JoinedDecision, ...]


class ModelTrainer:
    """Teaches one model, keeps its versions, and makes them live where `publish` says so.

    Every version grows out of the one before. With `publish` the live version is the one to go on from: after a
    rollback, or when another model was promoted, learning goes on from that, with what was learned since the last
    checkpoint on top. Without, versions are candidates and grow out of each other.

    A model that turns sick (weights that are not finite or have run away, no distribution, bytes that do not read back)
    is never stored: it is made again from the last version, without the decisions that made it sick.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        name: str,
        settings: VwSettings,
        *,
        publish: bool = True,
        make: MakeLearner = VwLearner,
    ) -> None:
        self.name = name
        self._make = make
        self.refused: Counter[Refusal] = Counter()
        self.learned = 0
        self._registry = registry
        self._settings = settings
        self._publish = publish
        self._base: Manifest | None = None
        self._bytes: bytes | None = None
        self._learner = make(settings)
        self._pending: list[JoinedDecision] = []

    @property
    def pending(self) -> int:
        """Lessons since the last checkpoint."""
        return len(self._pending)

    @property
    def version(self) -> str | None:
        """The label of the version that this model grew out of; None for a new one."""
        return None if self._base is None else self._base.label

    def resume(self) -> Resumed:
        """Go on from the version to go on from, or the newest sound one before it.

        Raises:
            RegistryUnavailable: it cannot be read.
        """
        versions = self._ancestry()
        for passed_over, version in enumerate(versions):
            stored = self._sound(version)
            if stored is not None:
                self._grow_from(stored)
                data = stored.manifest.data
                position = Position(str(stored.manifest.evidence.get(LOG, "")), {} if data is None else data.offsets)
                return Resumed(stored.manifest.label, position, passed_over)
        return Resumed(None, Position(), len(versions))

    def learn(self, joined: JoinedDecision) -> Refusal | None:
        """Learn from one decision, or why nothing was learned."""
        refusal = self._learner.learn(joined)
        if refusal is None:
            self._pending.append(joined)
            self.learned += 1
        else:
            self.refused[refusal] += 1
        return refusal

    def checkpoint(self, position: Position) -> Stored:
        """Store what was learned as the next version, and make it live if it is to be; nothing when nothing was.

        Raises:
            RegistryUnavailable: it cannot be written; all is as before, so try again.
        """
        self._adopt_what_is_live()
        if not self._pending:
            return Stored(None, None, ())
        snapshot, culprits = self._healthy()
        if snapshot is None:
            self._pending.clear()
            return Stored(None, None, culprits)
        health = self._learner.health()
        manifest = self._registry.add(
            self.name,
            snapshot.model,
            canaries=snapshot.canaries,
            parents=() if self._base is None else (self._base.label,),
            data_range=self._data_range(position),
            settings=self._settings.record(),
            metrics=self._metrics(health),
            evidence={"by": BY, LOG: position.log_id},
        )
        self._base, self._bytes = manifest, snapshot.model
        self._pending.clear()
        if self._publish:
            self._registry.promote(self.name, manifest.version, {"by": BY, "because": "learned online"})
        self._registry.prune(self.name, VERSIONS_KEPT)
        return Stored(manifest, health, culprits)

    def _ancestry(self) -> Sequence[int]:
        """The versions that learning may go on from, best first: the live one and older ones, else those made here."""
        newest_first = self._registry.versions(self.name)[::-1]
        live = self._registry.pointer(self.name).live if self._publish else None
        if live is not None:
            return tuple(each for each in newest_first if each <= live)
        return tuple(each for each in newest_first if self._made_here(each))

    def _made_here(self, version: int) -> bool:
        try:
            return self._registry.manifest(self.name, version).evidence.get("by") == BY
        except RegistryUnavailable:
            raise
        except ModelError:
            return True  # damaged, so it will be passed over, and what it had learned is learned again

    def _sound(self, version: int) -> StoredModel | None:
        try:
            stored = self._registry.load(self.name, version)
            settings = VwSettings.of(stored.manifest.settings)
            check_canaries(VwPolicy(stored.data, settings, stored.manifest.label), stored.manifest.canaries)
        except RegistryUnavailable:
            raise
        except (ModelError, InvalidDistribution) as error:
            _log.error("model_passed_over", model=label_of(self.name, version), reason=type(error).__name__)
            return None
        return stored

    def _grow_from(self, stored: StoredModel) -> None:
        """The settings are those of the version: an exploration that won offline is kept."""
        self._settings = VwSettings.of(stored.manifest.settings)
        self._base, self._bytes = stored.manifest, stored.data
        self._learner = self._make(self._settings, stored.data, canaries=stored.manifest.canaries)

    def _adopt_what_is_live(self) -> None:
        if not self._publish or (self._base is None and not self._registry.versions(self.name)):
            return
        live = self._registry.pointer(self.name).live
        if live is None or (self._base is not None and live == self._base.version):
            return
        stored = self._sound(live)
        if stored is not None:
            _log.info("model_adopted", model=stored.manifest.label, instead_of=self.version)
            self._grow_from(stored)
            for each in self._pending:
                self._learner.learn(each)

    def _healthy(self) -> tuple[Snapshot | None, tuple[JoinedDecision, ...]]:
        """A sound snapshot of what was learned, if there is any lesson left, and what had to be left out for it."""
        snapshot = _snapshot(self._learner)
        if snapshot is not None:
            return snapshot, ()
        _log.error("model_sick", model=self.name, since=self.version, lessons=len(self._pending))
        relearned = _Relearning(self._settings, self._bytes, self._make)
        relearned.teach(self._pending)
        self._learner = relearned.learner
        self._pending = relearned.kept
        return (_snapshot(self._learner) if self._pending else None), tuple(relearned.culprits)

    def _data_range(self, position: Position) -> DataRange:
        times = sorted(each.decision.at for each in self._pending)
        first: datetime = times[0]
        events = len(times)
        if self._base is not None and self._base.data is not None:
            first, events = min(first, self._base.data.first), events + self._base.data.events
        return DataRange(first, times[-1], events, position.offsets)

    def _metrics(self, health: WeightHealth) -> dict[str, float]:
        return {
            "lessons": float(len(self._pending)),
            "mean_reward": sum(each.reward for each in self._pending) / len(self._pending),
            "weights": float(health.weights),
            "largest_weight": health.largest,
        }


class _Relearning:
    """Learns rows from a sound model on, by halves, and leaves out those after which the model is sick."""

    def __init__(self, settings: VwSettings, model: bytes | None, make: MakeLearner) -> None:
        self._settings = settings
        self._model = model
        self._make = make
        self.learner = make(settings, model)
        self.kept: list[JoinedDecision] = []
        self.culprits: list[JoinedDecision] = []

    def teach(self, rows: Sequence[JoinedDecision]) -> None:
        """Learn what can be learned; with more than 16 culprits it is the model that is wrong, and nothing is."""
        if len(self.culprits) >= MOST_CULPRITS:
            self.culprits.extend(rows)
            return
        for each in rows:
            self.learner.learn(each)
        snapshot = _snapshot(self.learner)
        if snapshot is not None:
            self.kept.extend(rows)
            self._model = snapshot.model
            return
        self.learner = self._make(self._settings, self._model)
        if len(rows) == 1:
            self.culprits.extend(rows)
            return
        middle = len(rows) // 2
        self.teach(rows[:middle])
        self.teach(rows[middle:])


def _snapshot(learner: VwLearner) -> Snapshot | None:
    """The model as it is to be stored; None when it is sick."""
    if not learner.health().well:
        return None
    try:
        return learner.snapshot()
    except (InvalidModel, InvalidDistribution):
        return None
