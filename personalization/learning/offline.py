"""Candidates made anew from logged decisions, and judged on later ones. Blocks; reads and writes nothing itself.

The same rows give the same models, byte for byte, in every process.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from personalization.bandit.lessons import Refusal
from personalization.bandit.policy import Policy
from personalization.bandit.vw import Snapshot, VwLearner, VwPolicy
from personalization.bandit.vw_settings import VwSettings
from personalization.errors import NotEnoughRows
from personalization.events import JoinedDecision
from personalization.learning.estimators import LoggedChoice, logged_choice
from personalization.learning.promotion import PromotionRules, Trial, judge
from personalization.registry_records import DataRange

CANDIDATES: Mapping[str, VwSettings] = MappingProxyType(
    {
        "standard": VwSettings(),
        "cautious": VwSettings(gamma_scale=3.0),
        "bold": VwSettings(gamma_scale=30.0),
        "context only": VwSettings(interactions=("ca",)),
        "all pairs": VwSettings(interactions=("ca", "ka", "sa", "cka", "csa", "ksa")),
        "slow": VwSettings(learning_rate=0.1),
    }
)
"""What is tried: how much is explored, which interactions there are, how fast is learned."""

HELD_OUT = 0.3
LEAST_ROWS = 20

Progress = Callable[[str, int, int], None]
"""Is told what is being done, and how much of how much of it is done."""


@dataclass(frozen=True, slots=True)
class Split:
    """Joined decisions in the order in which they were closed: the earlier to learn from, the later to judge on."""

    learned: tuple[JoinedDecision, ...]
    held_out: tuple[JoinedDecision, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that was made anew, and what of the rows nothing was learned from."""

    name: str
    settings: VwSettings
    snapshot: Snapshot
    data: DataRange
    refused: Mapping[Refusal, int]


@dataclass(frozen=True, slots=True)
class Study:
    """All candidates and how they were judged. `unjudged` are the held out rows that no policy can be judged on."""

    candidates: tuple[Candidate, ...]
    trial: Trial
    unjudged: Mapping[Refusal, int]

    def best(self) -> Candidate | None:
        """The candidate that may take over; None when none may."""
        best = self.trial.best()
        return None if best is None else next(each for each in self.candidates if each.name == best.scores.policy)


def split(rows: Sequence[JoinedDecision], held_out: float = HELD_OUT) -> Split:
    """The last `held_out` share of the rows to judge on, all before it to learn from, whatever order they come in.

    Raises:
        NotEnoughRows: there are fewer than 20.
    """
    if len(rows) < LEAST_ROWS:
        raise NotEnoughRows(f"there are {len(rows)} joined decisions, at least {LEAST_ROWS} are needed")
    ordered = tuple(sorted(rows, key=lambda row: (row.joined_at, row.decision.id)))
    boundary = round(len(ordered) * (1.0 - held_out))
    return Split(ordered[:boundary], ordered[boundary:])


def rebuild(name: str, settings: VwSettings, rows: Sequence[JoinedDecision], progress: Progress) -> Candidate:
    """A model of these rows, learned one after the other from nothing.

    Raises:
        NotEnoughRows: there was nothing to learn in them.
        InvalidModel, InvalidDistribution: with these settings they make no sound model.
    """
    learner, refused = VwLearner(settings), Counter[Refusal]()
    times = []
    for number, row in enumerate(rows):
        if number % 1_000 == 0:
            progress(name, number, len(rows))
        refusal = learner.learn(row)
        if refusal is None:
            times.append(row.decision.at)
        else:
            refused[refusal] += 1
    progress(name, len(rows), len(rows))
    if not times:
        raise NotEnoughRows(f"none of {len(rows)} joined decisions can be learned from: {dict(refused)}")
    return Candidate(name, settings, learner.snapshot(), DataRange(min(times), max(times), len(times)), refused)


def study(
    parts: Split,
    live: Policy | None,
    candidates: Mapping[str, VwSettings] = CANDIDATES,
    rules: PromotionRules | None = None,
    progress: Progress = lambda doing, done, total: None,
) -> Study:
    """Make all candidates of the earlier rows, and judge them on the later ones.

    Raises:
        NotEnoughRows: there is nothing to learn from, or nothing to judge on.
        InvalidModel, InvalidDistribution: a candidate, or the live policy, is broken.
    """
    rows, unjudged = _judgeable(parts.held_out)
    if not rows:
        raise NotEnoughRows(f"none of {len(parts.held_out)} held out decisions can be judged on: {dict(unjudged)}")
    made = tuple(rebuild(name, settings, parts.learned, progress) for name, settings in candidates.items())
    progress("judging", 0, 1)
    trial = judge([VwPolicy(each.snapshot.model, each.settings, each.name) for each in made], live, rows, rules)
    progress("judging", 1, 1)
    return Study(made, trial, unjudged)


def _judgeable(joined: Sequence[JoinedDecision]) -> tuple[list[LoggedChoice], Counter[Refusal]]:
    rows, refused = [], Counter[Refusal]()
    for each in joined:
        row = logged_choice(each)
        if isinstance(row, Refusal):
            refused[row] += 1
        else:
            rows.append(row)
    return rows, refused
