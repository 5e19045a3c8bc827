"""What to expect of an action in a context: means that lean on coarser ones; cross-fitted, for doubly robust values."""

from collections.abc import Callable, Sequence
from zlib import crc32

from personalization.events import DecisionContext
from personalization.learning.estimators import LoggedChoice

FOLDS = 5
LEANING = 10.0
"""So many rows' worth of the coarser mean go into each finer one."""

_MEMBERS: tuple[Callable[[DecisionContext], str | None], ...] = (
    lambda context: context.placement,
    lambda context: context.persona,
    lambda context: context.category,
    lambda context: context.season,
    lambda context: context.segment,
    lambda context: context.region,
)

Key = tuple[str | None, ...]


class RewardModel:
    """Mean rewards of an action by placement, then persona, category, season, segment and region, one finer each time.

    A mean of n rows is `(sum + 10 * coarser) / (n + 10)`, from the mean of all rows down to the finest that was seen.
    An estimate with it is unbiased however wrong it is; a good one makes the interval narrow.
    """

    def __init__(self, rows: Sequence[LoggedChoice]) -> None:
        self._sums: dict[Key, list[float]] = {}
        total = self._sums[()] = [0.0, 0.0]
        for row in rows:
            total[0] += 1
            total[1] += row.reward
            for key in _keys(row.actions[row.index], row.context):
                group = self._sums.setdefault(key, [0.0, 0.0])
                group[0] += 1
                group[1] += row.reward

    def expected(self, context: DecisionContext, action: str) -> float:
        """The reward to expect; 0 from no rows at all."""
        count, total = self._sums[()]
        mean = total / count if count else 0.0
        for key in _keys(action, context):
            group = self._sums.get(key)
            if group is None:
                break
            mean = (group[1] + LEANING * mean) / (group[0] + LEANING)
        return mean


def cross_fitted(rows: Sequence[LoggedChoice], folds: int = FOLDS) -> list[tuple[float, ...]]:
    """What is expected of each action of each row, by a model of the other folds; one cluster is in one fold."""
    fold_of = [crc32(row.cluster.encode()) % folds for row in rows]
    models = [
        RewardModel([row for row, fold in zip(rows, fold_of, strict=True) if fold != left_out])
        for left_out in range(folds)
    ]
    return [
        tuple(models[fold].expected(row.context, action) for action in row.actions)
        for row, fold in zip(rows, fold_of, strict=True)
    ]


def _keys(action: str, context: DecisionContext) -> list[Key]:
    """From the coarsest group to the finest."""
    key: Key = (action,)
    keys = [key]
    for member in _MEMBERS:
        key = (*key, member(context))
        keys.append(key)
    return keys
