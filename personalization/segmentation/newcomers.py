"""The features that a few orders tell of one customer, on the request path, as `features.sql` would give them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_DAY = timedelta(days=1)
_SEASONS = ("WINTER", "WINTER", "SPRING", "SPRING", "SPRING", "SUMMER", "SUMMER", "SUMMER")


@dataclass(frozen=True, slots=True)
class Purchase:
    """One order: when (aware), how many units, and what was paid; negative is a refund."""

    at: datetime
    units: int
    cents: int


def features_of(purchases: Sequence[Purchase], now: datetime, days: int | None) -> Mapping[str, float | str | None]:
    """`recency`, `tenure`, `frequency`, `monetary`, `basket_size` and `season` as of now, looking back so many days.

    None of it is there for somebody without a purchase before now; purchases that are later do not exist.
    """
    known = [each for each in purchases if each.at < now]
    if not known:
        return {}
    period = [each for each in known if days is None or each.at >= now - days * _DAY]
    orders = [each for each in period if each.cents >= 0]
    return {
        "recency": (now - max(each.at for each in known)) / _DAY,
        "tenure": (now - min(each.at for each in known)) / _DAY,
        "frequency": float(len(orders)),
        "monetary": sum(each.cents for each in period) / 100,
        "basket_size": sum(each.units for each in orders) / len(orders) if orders else None,
        "season": _favourite(orders),
    }


def _favourite(orders: Sequence[Purchase]) -> str | None:
    counts = Counter(_season(each.at.month) for each in orders)
    return min(counts, key=lambda season: (-counts[season], season), default=None)


def _season(month: int) -> str:
    return "WINTER" if month == 12 else "AUTUMN" if month > 8 else _SEASONS[month - 1]
