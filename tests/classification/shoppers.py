"""Made-up customers whose segment follows from what they buy, and a source that gives them by period."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from personalization.classification.dataset import Frozen, Period
from personalization.classification.table import Schema, Table, Value

SCHEMA = Schema(("orders", "value", "recency"), ("persona", "region"))
NAMES = {"often": "Buys often", "rich": "Buys much", "rare": "Buys rarely"}


@dataclass(frozen=True, slots=True)
class Shoppers:
    """The same customers each period, with other purchases; `noise` is the share whose segment is by chance."""

    size: int = 400
    noise: float = 0.05
    noisy_periods: Mapping[str, float] = field(default_factory=dict)

    def observe(self, period: Period) -> Frozen:
        """As the protocol says."""
        chance = Random(f"{period}")
        noise = self.noisy_periods.get(str(period), self.noise)
        rows: list[Mapping[str, Value]] = []
        labels = []
        for _ in range(self.size):
            segment = chance.choice(sorted(NAMES))
            rows.append(_row(chance, segment))
            labels.append(chance.choice(sorted(NAMES)) if chance.random() < noise else segment)
        table = Table.of(SCHEMA, [f"c{number}" for number in range(self.size)], rows)
        return Frozen(period, table, tuple(labels), NAMES, tuple(str(row["persona"]) for row in rows))


def _row(chance: Random, segment: str) -> Mapping[str, Value]:
    return {
        "orders": chance.gauss(12 if segment == "often" else 3, 1.5),
        "value": chance.gauss(90 if segment == "rich" else 20, 8),
        "recency": None if chance.random() < 0.1 else chance.gauss(80 if segment == "rare" else 10, 6),
        "persona": "BUILDER" if segment == "rich" and chance.random() < 0.8 else "DIRECT_CUSTOMER",
        "region": chance.choice(["north", "south", None]),
    }
