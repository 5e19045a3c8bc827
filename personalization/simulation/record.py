"""What a simulation found: the reward of what was served, beside chance, the best fixed action and the oracle."""

from collections.abc import Sequence
from dataclasses import dataclass

WINDOW = 500
"""Decisions in one point of a curve."""


@dataclass(frozen=True, slots=True)
class Means:
    """Mean rewards to expect over some decisions. `oracle` always takes what is best; `fixed` are by action."""

    served: float
    chance: float
    oracle: float
    fixed: tuple[float, ...]

    @property
    def best_fixed(self) -> float:
        """The best of the policies that always take one action."""
        return max(self.fixed)

    @property
    def share(self) -> float:
        """How much of the gap between chance and the oracle was closed: 0 is chance, 1 the oracle."""
        return self._share_of(self.served)

    @property
    def fixed_share(self) -> float:
        """The same of the best fixed action."""
        return self._share_of(self.best_fixed)

    def _share_of(self, reward: float) -> float:
        gap = self.oracle - self.chance
        return (reward - self.chance) / gap if gap else 0.0


class Record:
    """The rewards to expect of every decision, in order. Expected, not drawn: so there is no luck in it."""

    def __init__(self) -> None:
        self._served: list[float] = []
        self._rewards: list[tuple[float, ...]] = []

    def __len__(self) -> int:
        return len(self._served)

    def add(self, distribution: Sequence[float], rewards: Sequence[float]) -> None:
        """A decision by its distribution, and what each action would earn there."""
        self._served.append(sum(chance * reward for chance, reward in zip(distribution, rewards, strict=True)))
        self._rewards.append(tuple(rewards))

    def means(self, first: int, last: int) -> Means:
        """Over the decisions from `first` up to `last`, at least one."""
        served, rewards = self._served[first:last], self._rewards[first:last]
        count = len(served)
        if not count:
            raise ValueError(f"there are no decisions from {first} to {last}")
        fixed = tuple(sum(each) / count for each in zip(*rewards, strict=True))
        return Means(sum(served) / count, sum(fixed) / len(fixed), sum(map(max, rewards)) / count, fixed)

    def curve(self, window: int = WINDOW) -> list[tuple[int, Means]]:
        """The means of one window after the other, each with the number of decisions made by its end."""
        return [
            (first + window, self.means(first, first + window)) for first in range(0, len(self) - window + 1, window)
        ]
