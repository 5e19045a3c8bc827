"""What is odd in a shop's order lines, by month: months without any, lines twice, refunds, clocks that run ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.etl import literal
from personalization.lake.parquet import rows_in
from personalization.lake.shop_tables import ORDER_LINES

_SQL = Path(__file__).parent / "sql" / "quality.sql"


@dataclass(frozen=True, slots=True)
class Month:
    """Order lines of one month, counted from year 0: how many differ, and how many of these are odd.

    `repeated` counts lines that are there once more, `of_shared_orders` those whose order is another customer's too,
    `ahead` those placed later than now.
    """

    month: int
    lines: int
    repeated: int
    refunds: int
    without_units: int
    of_shared_orders: int
    ahead: int

    def __str__(self) -> str:
        return f"{self.month // 12:04}-{self.month % 12 + 1:02}"


@dataclass(frozen=True, slots=True)
class Quality:
    """The months that have lines, oldest first."""

    months: tuple[Month, ...]

    def within(self, first: int, last: int) -> tuple[Month, ...]:
        """The months between two, both included."""
        return tuple(each for each in self.months if first <= each.month <= last)

    def gaps(self, first: int, last: int) -> tuple[str, ...]:
        """Months between two, both included, that have no lines although an earlier one has some."""
        there = {each.month for each in self.months}
        begun = min(there, default=last + 1)
        return tuple(_named(month) for month in range(max(first, begun), last + 1) if month not in there)

    def remarks(self, first: int, last: int) -> tuple[str, ...]:
        """What is odd in the months between two, both included, and what becomes of it; a sentence each."""
        months = self.within(first, last)
        counts = (
            (sum(each.repeated for each in months), "are there more than once and counted once"),
            (sum(each.refunds for each in months), "have negative amounts and are taken off as refunds"),
            (sum(each.without_units for each in months), "have no units and count for money alone"),
            (sum(each.of_shared_orders for each in months), "have an order id that another customer has too"),
            (sum(each.ahead for each in self.months), "were placed in the future, by a wrong clock, and are not read"),
        )
        return tuple(f"{count:,} order lines {what}" for count, what in counts if count)


def quality_of(tables: Mapping[str, Path], now: datetime) -> Quality:
    """What there is in the order lines of `SHOP_TABLES`; `now` is aware. Blocks.

    Raises:
        LakeError: the table cannot be read.
    """
    sql = Template(_SQL.read_text()).substitute(now=literal(now))
    with TemporaryDirectory() as folder, DuckDbRunner(spill=Path(folder)) as runner:
        runner.register_parquet(ORDER_LINES, [tables[ORDER_LINES]])
        target = Path(folder) / "quality.parquet"
        runner.run_to_parquet(sql, target)
        return Quality(tuple(_month(row) for row in rows_in(target)))


def _month(row: Mapping[str, object]) -> Month:
    return Month(*(int(str(row[name])) for name in _MEMBERS))


def _named(month: int) -> str:
    return f"{month // 12:04}-{month % 12 + 1:02}"


_MEMBERS: Sequence[str] = ("month", "lines", "repeated", "refunds", "without_units", "of_shared_orders", "ahead")
