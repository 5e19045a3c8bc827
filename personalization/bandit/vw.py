"""VowpalWabbit: the policy that serves a model, and the learner that makes it. The only importer of the library.

VW is not safe against hostile input: one event with an infinite cost freezes a model for good, and a file that was cut
off loads silently. Everything is checked before VW sees it, and models travel with canaries.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from vowpalwabbit import Workspace

from personalization.bandit.canaries import Canary, canaries_of
from personalization.bandit.lessons import Refusal, lesson_of
from personalization.bandit.sampling import floored, normalized
from personalization.bandit.vw_examples import lesson_text, question_text
from personalization.bandit.vw_settings import VwSettings
from personalization.errors import InvalidDistribution, InvalidFeature, InvalidModel
from personalization.events import DecisionContext, JoinedDecision

MOST_CANARIES = 8
LARGEST_WEIGHT = 1e4
"""Costs are 0 to 1, so weights are of that size; one far above it has run away."""


class VwPolicy:
    """Serves a model: SquareCB's distribution over the actions, mixed with the floor. One thread at a time uses it."""

    def __init__(self, model: bytes, settings: VwSettings, version: str) -> None:
        """
        Raises:
            InvalidModel: VW cannot load the bytes. A file that was cut off may load all the same: check canaries.
        """
        self._workspace = _loaded(settings, model)
        self._floor_share = settings.floor_share
        self._version = version

    @property
    def version(self) -> str:
        return self._version

    def distribution(self, context: DecisionContext, actions: Sequence[str]) -> tuple[float, ...]:
        """SquareCB's probabilities, renormalized in float64, with none below the floor."""
        if not actions:
            raise InvalidDistribution(f"no actions to choose from at {context.placement!r}, give at least one")
        given = _predicted(self._workspace, question_text(context, actions))
        return floored(normalized(given, len(actions)), self._floor_share / len(actions))


@dataclass(frozen=True, slots=True)
class WeightHealth:
    """The state of a model's weights: how many there are, the largest magnitude, whether all are finite."""

    weights: int
    largest: float
    finite: bool

    @property
    def well(self) -> bool:
        """Whether the model may be served: finite, and no weight has run away."""
        return self.finite and self.largest <= LARGEST_WEIGHT


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model as it is stored: its bytes, and what it answers to some of the contexts that it learned from last."""

    model: bytes
    canaries: tuple[Canary, ...]


class VwLearner:
    """Learns joined decisions in order. Its workspace is never asked: predictions change the bytes of a model."""

    def __init__(
        self,
        settings: VwSettings,
        model: bytes | None = None,
        *,
        canaries: Sequence[Canary] = (),
        known_actions: Collection[str] | None = None,
    ) -> None:
        """Begin with nothing, or go on from what `model` had learned.

        `canaries` are the ones stored with it; they are asked again until lessons bring newer ones. `known_actions` are
        those that exist, when that is known.

        Raises:
            InvalidModel: VW cannot load the bytes.
        """
        self._settings = settings
        self._workspace = Workspace(arg_list=settings.arguments()) if model is None else _loaded(settings, model)
        self._known_actions = None if known_actions is None else frozenset(known_actions)
        asked = [(each.context, each.actions) for each in canaries]
        self._recent: deque[tuple[DecisionContext, tuple[str, ...]]] = deque(asked, maxlen=MOST_CANARIES)

    def learn(self, joined: JoinedDecision) -> Refusal | None:
        """Learn from one decision; or why nothing was learned: then the model is bit for bit what it was."""
        lesson = lesson_of(joined, self._known_actions)
        if isinstance(lesson, Refusal):
            return lesson
        try:
            text = lesson_text(lesson)
        except InvalidFeature:
            return Refusal.INVALID_FEATURE
        _learn(self._workspace, text)
        asked = lesson.context, lesson.actions
        if asked not in self._recent:
            self._recent.append(asked)
        return None

    def model(self) -> bytes:
        """All that was learned. The same lessons in the same order give the same bytes, in every process."""
        return _bytes(self._workspace)

    def snapshot(self) -> Snapshot:
        """The model with up to 8 canaries: it is read back, so that what was not written whole is found now.

        Raises:
            InvalidModel: what was written does not read back as it was.
            InvalidDistribution: the model answers with no distribution.
        """
        model = self.model()
        policy = VwPolicy(model, self._settings, "snapshot")
        if _bytes(policy._workspace) != model:
            raise InvalidModel(f"a model of {len(model)} bytes does not read back as it was written")
        return Snapshot(model, canaries_of(policy, tuple(self._recent)))

    def health(self) -> WeightHealth:
        """How the weights are; reads every one, so ask now and then only."""
        try:
            weights = orjson.loads(self._workspace.json_weights())["weights"]
        except orjson.JSONDecodeError:  # VW stops writing at the first weight that is not finite
            return WeightHealth(0, inf, finite=False)
        # Behind each weight stand its adaptive and its normalizing state, which freeze a model just the same.
        values = [self._workspace.get_weight(each["index"], state) for each in weights for state in range(3)]
        largest = max((abs(each["value"]) for each in weights), default=0.0)
        return WeightHealth(len(weights), largest, all(isfinite(each) for each in values))


def _loaded(settings: VwSettings, model: bytes) -> Workspace:
    with TemporaryDirectory(prefix="vw-") as folder:
        file = Path(folder) / "model.vw"
        file.write_bytes(model)
        # The counters are part of what was learned: without them, going on gives other bytes than never having stopped.
        more = ["--initial_regressor", str(file), "--preserve_performance_counters"]
        try:
            return Workspace(arg_list=[*settings.arguments(), *more])
        except RuntimeError as error:
            raise InvalidModel(f"VW cannot load a model of {len(model)} bytes: {error}") from error


def _bytes(workspace: Workspace) -> bytes:
    with TemporaryDirectory(prefix="vw-") as folder:
        file = Path(folder) / "model.vw"
        workspace.save(file)
        return file.read_bytes()


# `Workspace.predict` and `Workspace.learn` wrap each line in a Python object, which takes four times as long as parsing
# and predicting together. These do what they do with what is below the wrapper; a test holds them together.


def _predicted(workspace: Workspace, text: str) -> list[float]:
    examples = workspace._parse(text)
    try:
        workspace.predict_multi(examples)
        predicted: list[float] = examples[0].get_action_scores()
    finally:
        workspace._finish_example_multi_ex(examples)
    return predicted


def _learn(workspace: Workspace, text: str) -> None:
    examples = workspace._parse(text)
    try:
        workspace.learn_multi(examples)
    finally:
        workspace._finish_example_multi_ex(examples)
