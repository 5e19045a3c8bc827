"""How customers moved between segments from one date to a later one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NEW = "new"
"""Where customers come from who had not ordered before the earlier date."""


@dataclass(frozen=True, slots=True)
class Movement:
    """Customers by where they were and where they are; `rows` are the segments and, last, `NEW`, `columns` segments."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: Mapping[tuple[str, str], int]

    @property
    def stayed(self) -> float:
        """The share of those who were in a segment before that is in it still; 1 of nobody."""
        known = sum(count for (before, _), count in self.counts.items() if before != NEW)
        same = sum(count for (before, after), count in self.counts.items() if before == after)
        return same / known if known else 1.0

    def share(self, before: str, after: str) -> float | None:
        """The share of a row that is in a column now; None where nobody was."""
        total = sum(self.counts.get((before, each), 0) for each in self.columns)
        return self.counts.get((before, after), 0) / total if total else None

    def size_before(self, key: str) -> int:
        """How many were in a segment at the earlier date and are known still."""
        return sum(self.counts.get((key, each), 0) for each in self.columns)


def movement(keys: Sequence[str], before: Mapping[str, str], after: Mapping[str, str]) -> Movement:
    """The transitions between segments; `before` and `after` are from customer to key, of those known at each date.

    Whoever is in `before` only is left out: all features are of what was bought, and that does not vanish.
    """
    counts = Counter((before.get(customer, NEW), key) for customer, key in after.items())
    return Movement((*keys, NEW), tuple(keys), dict(counts))
