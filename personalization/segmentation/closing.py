"""What a shop's tables say as of the end of a period, as closings freeze it: features, and segments by their file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import nan
from pathlib import Path

import numpy as np

from personalization.classification.dataset import Frozen, Period
from personalization.classification.table import UNKNOWN, Schema, Table
from personalization.clock import Clock
from personalization.events import Persona
from personalization.lake.shop_tables import ORDER_LINES, write_shop_table
from personalization.segmentation.definitions import SegmentSet
from personalization.segmentation.errors import EmptyPeriod, InvalidSegments, MissingMonths
from personalization.segmentation.features import FeatureTable, Kind, compute_features
from personalization.segmentation.quality import Quality, quality_of
from personalization.segmentation.transactions import Transaction

OF_TRANSACTIONS = ("recency", "tenure", "frequency", "monetary", "season")
"""The features that differ between customers of whom nothing but transactions is known."""


@dataclass(frozen=True, slots=True)
class ShopClosings:
    """A `ClosingSource` over the tables of a shop.

    `known` are the features that are true as of a date, and so may be learned from; others only decide segments, where
    the definitions use them. `accept_gaps` closes although months without any order lie within the look-back.
    """

    tables: Mapping[str, Path]
    segments: SegmentSet
    known: Sequence[str]
    clock: Clock
    categories: Sequence[str] = ()
    accept_gaps: bool = False

    def observe(self, period: Period) -> Frozen:
        """All that is known as of the end of the period.

        Raises:
            EmptyPeriod: nobody ordered in it.
            MissingMonths: months before it, that features look back to, have no orders at all.
            NoCustomers, InvalidSegments, LakeError: see `compute_features` and `SegmentSet.assign`.
        """
        remarks = self._checked(period)
        found = features_at(self.tables, period, self.segments.days, self.categories)
        return Frozen(
            period,
            table_of(found, self.known),
            self.segments.assign(found),
            {each.key: each.name for each in self.segments.segments},
            tuple(str(role) if role else Persona.DIRECT_CUSTOMER.value for role in found.columns["role"]),
            self.segments.days,
            remarks,
        )

    def _checked(self, period: Period) -> tuple[str, ...]:
        """Remarks on the months that the features look back to."""
        quality = quality_of(self.tables, self.clock.now())
        last = period.year * 12 + period.month - 1
        first = self._first(period, quality)
        if not quality.within(last, last):
            raise EmptyPeriod(f"nobody ordered anything in {period}; there are orders of {_months(quality)}")
        gaps = quality.gaps(first, last)
        if gaps and not self.accept_gaps:
            raise MissingMonths(
                f"there are no orders at all of {', '.join(gaps)}, which the features of {period} look back to: "
                "bring them, or accept the gap by --accept-gaps"
            )
        remarks = quality.remarks(first, last)
        return remarks if not gaps else (*remarks, f"no orders at all of {', '.join(gaps)}: accepted")

    def _first(self, period: Period, quality: Quality) -> int:
        if self.segments.days is None:
            return min((each.month for each in quality.months), default=0)
        since = period.end - timedelta(days=self.segments.days)
        return since.year * 12 + since.month - 1


def features_at(
    tables: Mapping[str, Path], period: Period, days: int | None, categories: Sequence[str] = ()
) -> FeatureTable:
    """The features as of the end of a period, that look back so many days; None: to the first order. Blocks.

    Raises:
        NoCustomers, EmptyPeriod, LakeError: see `compute_features`.
    """
    since = None if days is None else period.end - timedelta(days=days)
    return compute_features(tables, until=period.end, since=since, categories=categories)


def table_of(found: FeatureTable, known: Sequence[str]) -> Table:
    """The features of these names as a table to learn from, a column at a time.

    Raises:
        InvalidSegments: there is no feature of a name.
    """
    kinds = {each.key: each.kind for each in found.features}
    missing = [name for name in known if name not in kinds]
    if missing:
        raise InvalidSegments(f"there are no features {', '.join(missing)}")
    numbers = tuple(name for name in known if kinds[name] is Kind.NUMERIC)
    categories = tuple(name for name in known if kinds[name] is Kind.CATEGORICAL)
    values = np.empty((len(found.customers), len(numbers)), dtype=np.float64)
    for index, name in enumerate(numbers):
        values[:, index] = [nan if value is None else value for value in found.columns[name]]
    words = tuple(
        tuple(UNKNOWN if value is None else str(value) for value in found.columns[name]) for name in categories
    )
    return Table(Schema(numbers, categories), found.customers, values, words)


def transactions_as_tables(folder: Path, transactions: Iterable[Transaction]) -> Mapping[str, Path]:
    """Transactions as the order lines of a shop of whom nothing else is known. Blocks; raises `OSError` of the disk."""
    rows = ((t.customer, f"{t.customer} {t.at.isoformat()}", "", "", 1, t.cents, t.cents, t.at) for t in transactions)
    return {ORDER_LINES: write_shop_table(folder, ORDER_LINES, rows)}


def _months(quality: Quality) -> str:
    return f"{quality.months[0]} to {quality.months[-1]}" if quality.months else "no month"
