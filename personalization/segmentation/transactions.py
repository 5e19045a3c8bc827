"""Purchases of any shop as a file of three columns, and what is wrong with them told before they are used."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

from personalization.segmentation.errors import InvalidTransactions


@dataclass(frozen=True, slots=True)
class Transaction:
    """A purchase; `at` is in UTC, `cents` negative for a refund."""

    customer: str
    at: datetime
    cents: int


@dataclass(frozen=True, slots=True)
class Usable:
    """The transactions that can be used, and a sentence for each thing that was found odd about the others or them."""

    transactions: tuple[Transaction, ...]
    notes: tuple[str, ...]


def read_transactions(path: Path) -> list[Transaction]:
    """The rows of a CSV with columns `customer`, `timestamp` (ISO 8601, UTC unless it says) and `value` (money).

    Raises:
        InvalidTransactions: the file, a column or a row is not so; the message names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if not {"customer", "timestamp", "value"} <= set(rows.fieldnames or ()):
                raise InvalidTransactions(f"{path} needs the columns customer, timestamp, value; has {rows.fieldnames}")
            return [_transaction(row, place) for place, row in enumerate(rows, 2)]
    except (OSError, UnicodeError, csv.Error) as error:
        raise InvalidTransactions(f"{path} cannot be read: {error}") from error


def usable(transactions: Sequence[Transaction], now: datetime) -> Usable:
    """Those that are not from the future, each once: a clock that ran ahead would move the end of the data.

    Raises:
        InvalidTransactions: none is left.
    """
    past = [each for each in transactions if each.at <= now]
    once = tuple(dict.fromkeys(past))
    if not once:
        raise InvalidTransactions(f"none of {len(transactions):,} transactions is from before {now.isoformat()}")
    ahead, twice = len(transactions) - len(past), len(past) - len(once)
    refunds, gaps = sum(each.cents < 0 for each in once), list(_missing_months(once))
    notes = (
        ahead and f"{ahead:,} from after {now:%Y-%m-%d %H:%M} UTC are left out: a clock ran ahead",
        twice and f"{twice:,} are there twice, with all their values, and count once",
        refunds and f"{refunds:,} are negative: refunds, taken off the money paid, and no orders",
        gaps and f"nobody bought anything in {', '.join(gaps)}: are months missing?",
    )
    return Usable(once, tuple(each for each in notes if each))


def _missing_months(transactions: Sequence[Transaction]) -> Iterator[str]:
    months = {each.at.year * 12 + each.at.month - 1 for each in transactions}
    for month in range(min(months), max(months)):
        if month not in months:
            yield f"{month // 12:04}-{month % 12 + 1:02}"


def _transaction(row: dict[str, str], place: int) -> Transaction:
    try:
        value, at = float(row["value"]), datetime.fromisoformat(row["timestamp"])
        if not row["customer"] or not isfinite(value):
            raise ValueError("a customer and a finite value are needed")
    except (ValueError, TypeError) as error:
        raise InvalidTransactions(f"line {place}: {error}") from error
    aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return Transaction(row["customer"], aware, round(value * 100))
