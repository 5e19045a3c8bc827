"""The policies that a candidate has to be better than, beside the live one."""

from collections.abc import Mapping, Sequence

from personalization.bandit.policy import Policy
from personalization.bandit.uniform import Uniform
from personalization.errors import InvalidDistribution
from personalization.events import DecisionContext
from personalization.learning.estimators import LoggedChoice

UNIFORM = Uniform().version
BEST_FIXED = "best fixed"


class Fixed:
    """Always the same action at a placement, whatever the context; even chances where its action is not offered.

    It is judged, never served: it gives probabilities of zero.
    """

    def __init__(self, actions: Mapping[str, str]) -> None:
        """`actions` are by placement."""
        self._actions = dict(actions)

    @property
    def version(self) -> str:
        return BEST_FIXED

    def distribution(self, context: DecisionContext, actions: Sequence[str]) -> tuple[float, ...]:
        """1 for the placement's action."""
        fixed = self._actions.get(context.placement)
        if fixed not in actions:
            return Uniform().distribution(context, actions)
        return tuple(1.0 if each == fixed else 0.0 for each in actions)


def best_fixed(rows: Sequence[LoggedChoice]) -> Fixed:
    """The action of each placement that earned most by SNIPS; chosen on the rows it is judged on, which favours it."""
    sums: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        weight = 1.0 / row.probability
        total = sums.setdefault((row.context.placement, row.actions[row.index]), [0.0, 0.0])
        total[0] += weight
        total[1] += weight * row.reward
    best: dict[str, tuple[float, str]] = {}
    for (placement, action), (weight, reward) in sorted(sums.items()):
        best[placement] = max(best.get(placement, (float("-inf"), "")), (reward / weight, action))
    return Fixed({placement: action for placement, (_, action) in best.items()})


def distributions_of(policy: Policy, rows: Sequence[LoggedChoice]) -> list[tuple[float, ...]]:
    """What a policy gives for each row.

    Raises:
        InvalidDistribution: it gives no distribution for one of them.
    """
    given = [policy.distribution(row.context, row.actions) for row in rows]
    for row, distribution in zip(rows, given, strict=True):
        if len(distribution) != len(row.actions) or not all(0.0 <= each <= 1.0 for each in distribution):
            raise InvalidDistribution(f"{policy.version} gives {list(distribution)} for {len(row.actions)} actions")
    return given
