"""What may be learned from a joined decision: the check that every one passes before a model sees it."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from math import fsum, isfinite

from personalization.bandit.sampling import POLICY_TOLERANCE, sample
from personalization.events import HOLDBACK, MOST_REWARD, Decision, DecisionContext, DecisionMode, JoinedDecision

MOST_ACTIONS = 64
LEAST_PROBABILITY = 1e-4
"""Least probability that is learned from: it bounds the weight of a lesson, and no floor is below it."""

_EXPLORED = frozenset({DecisionMode.LOG_ONLY, DecisionMode.ONLINE})


class Refusal(StrEnum):
    """Why nothing is learned from a joined decision."""

    NOT_EXPLORED = "NOT_EXPLORED"
    NOT_DISPLAYED = "NOT_DISPLAYED"
    INVALID_ACTIONS = "INVALID_ACTIONS"
    UNKNOWN_ACTION = "UNKNOWN_ACTION"
    INVALID_PROBABILITY = "INVALID_PROBABILITY"
    INVALID_DISTRIBUTION = "INVALID_DISTRIBUTION"
    INVALID_REWARD = "INVALID_REWARD"
    INVALID_FEATURE = "INVALID_FEATURE"

    @property
    def poison(self) -> bool:
        """Whether the record is broken and belongs into quarantine; the others are sound, there is nothing to learn."""
        return self not in {Refusal.NOT_EXPLORED, Refusal.NOT_DISPLAYED}


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a model learns from: the action at `index` had this cost (0 to 1) and was tried with this probability."""

    context: DecisionContext
    actions: tuple[str, ...]
    index: int
    cost: float
    probability: float


def explored(decision: Decision) -> bool:
    """Whether chance chose, with the logged probability: only such decisions say what other policies are worth.

    The default served to the holdback group, to everyone while an apprentice learns, or because something failed is
    logged with the probability 1 that it had. It is no sample of the other actions, so learners and estimators leave
    it out; the holdback group is the other arm of a plain comparison.
    """
    return decision.mode in _EXPLORED and decision.reason != HOLDBACK


def lesson_of(joined: JoinedDecision, known_actions: Collection[str] | None = None) -> Lesson | Refusal:
    """What to learn, or why nothing. `known_actions` are those that exist, when that is known.

    An explored decision teaches its reward: cost `1 - reward / 3`. One of mode `APPRENTICE` teaches to imitate: an
    action drawn evenly by the hash of the decision's id costs 0 if it is the one that was served and 1 otherwise.
    """
    decision = joined.decision
    imitated = decision.mode is DecisionMode.APPRENTICE
    if not imitated and not explored(decision):
        return Refusal.NOT_EXPLORED
    refusal = _actions(decision, known_actions) or _chances(decision) or _reward(joined)
    if refusal is not None:
        return refusal
    if not joined.displayed:
        return Refusal.NOT_DISPLAYED
    return _imitation(decision) if imitated else _experience(joined)


def _actions(decision: Decision, known: Collection[str] | None) -> Refusal | None:
    actions = decision.actions
    if not 0 < len(actions) <= MOST_ACTIONS or len(set(actions)) != len(actions):
        return Refusal.INVALID_ACTIONS
    if decision.action not in actions or (known is not None and not set(actions) <= set(known)):
        return Refusal.UNKNOWN_ACTION
    return None


def _chances(decision: Decision) -> Refusal | None:
    if not LEAST_PROBABILITY <= decision.probability <= 1.0:  # NaN is not
        return Refusal.INVALID_PROBABILITY
    distribution = decision.distribution
    sound = (
        len(distribution) == len(decision.actions)
        and all(isfinite(each) and each >= 0.0 for each in distribution)
        and abs(fsum(distribution) - 1.0) <= POLICY_TOLERANCE
        and abs(distribution[decision.actions.index(decision.action)] - decision.probability) <= POLICY_TOLERANCE
    )
    return None if sound else Refusal.INVALID_DISTRIBUTION


def _reward(joined: JoinedDecision) -> Refusal | None:
    return None if 0.0 <= joined.reward <= MOST_REWARD else Refusal.INVALID_REWARD  # NaN is not


def _experience(joined: JoinedDecision) -> Lesson:
    decision = joined.decision
    return Lesson(
        decision.context,
        decision.actions,
        decision.actions.index(decision.action),
        1.0 - joined.reward / MOST_REWARD,
        decision.probability,
    )


def _imitation(decision: Decision) -> Lesson:
    even = 1.0 / len(decision.actions)
    index = sample((even,) * len(decision.actions), f"apprentice/{decision.id}")
    cost = 0.0 if decision.actions[index] == decision.action else 1.0
    return Lesson(decision.context, decision.actions, index, cost, even)
