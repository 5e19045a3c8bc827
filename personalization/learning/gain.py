"""What personalization is worth: what decisions earned, beside those of who was held back. Pure: rows in, numbers out.

Who is held back is a matter of a hash of the subject, so the two groups are drawn from one population at random, and
no subject is in both: the gain is a plain difference of two independent means. Rows of one subject are not
independent, so the error of each mean is clustered by subject (`estimators.py`), and that of the gain is the root of
the sum of their squares.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import hypot
from statistics import NormalDist

from personalization.events import HOLDBACK, DecisionMode, JoinedDecision
from personalization.learning.estimators import Interval, interval, mean_of

LEAST_SUBJECTS = 30


class GainVerdict(StrEnum):
    """What may be said of a gain."""

    BETTER = "better"
    WORSE = "worse"
    IN_DOUBT = "no difference beyond doubt"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the two groups at a placement: its displayed decisions, whose they are, and their mean reward."""

    rows: int
    subjects: int
    reward: Interval


@dataclass(frozen=True, slots=True)
class Gain:
    """What a placement's decisions earned more than the default, a decision; `gain` is None where an arm is empty."""

    placement: str
    decided: Arm | None
    held_back: Arm | None
    gain: Interval | None

    @property
    def verdict(self) -> GainVerdict:
        """Below 30 subjects in an arm nothing is said; else what the interval allows."""
        arms = (self.decided, self.held_back)
        if self.gain is None or any(arm is None or arm.subjects < LEAST_SUBJECTS for arm in arms):
            return GainVerdict.NOT_ENOUGH_DATA
        if self.gain.low > 0.0:
            return GainVerdict.BETTER
        return GainVerdict.WORSE if self.gain.high < 0.0 else GainVerdict.IN_DOUBT


def gains_over_holdback(rows: Iterable[JoinedDecision], confidence: float = 0.95) -> list[Gain]:
    """The gain at each placement, in the order of their names; two-sided intervals of this confidence.

    Compared is what was displayed while a model decided (mode `ONLINE`): drawn, or held back.
    """
    arms: dict[str, tuple[list[JoinedDecision], list[JoinedDecision]]] = {}
    for row in rows:
        if row.displayed and row.decision.mode is DecisionMode.ONLINE:
            pair = arms.setdefault(row.decision.context.placement, ([], []))
            pair[row.decision.reason == HOLDBACK].append(row)
    return [_gain(placement, *arms[placement], confidence) for placement in sorted(arms)]


def _gain(placement: str, drawn: Sequence[JoinedDecision], held: Sequence[JoinedDecision], confidence: float) -> Gain:
    decided, held_back = _arm(drawn, confidence), _arm(held, confidence)
    if decided is None or held_back is None:
        return Gain(placement, decided, held_back, None)
    value = decided.reward.value - held_back.reward.value
    error = hypot(decided.reward.error, held_back.reward.error)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2.0) * error
    return Gain(placement, decided, held_back, Interval(value, error, value - reach, value + reach))


def _arm(rows: Sequence[JoinedDecision], confidence: float) -> Arm | None:
    if not rows:
        return None
    decisions = [row.decision for row in rows]
    clusters = [each.subject or each.session or each.id for each in decisions]
    reward = interval(mean_of([row.reward for row in rows]), clusters, confidence)
    return Arm(len(rows), len(set(clusters)), reward)
