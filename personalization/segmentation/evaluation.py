"""Whether segments mean something for the future: who buys after a date, by segment and by RFM quintiles."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from personalization.lake.shop_tables import ORDER_LINES, write_shop_table
from personalization.segmentation.definitions import define
from personalization.segmentation.errors import EmptyPeriod, InvalidTransactions
from personalization.segmentation.features import FeatureTable, compute_features

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Transaction:
    """A purchase; `at` is in UTC, `cents` negative for a refund."""

    customer: str
    at: datetime
    cents: int


@dataclass(frozen=True, slots=True)
class Foresight:
    """The area under the ROC curve of each score for buying again; 0.5 is chance. `bought` is the share who did."""

    customers: int
    bought: float
    segments: float
    rfm: float


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


def evaluate(transactions: Sequence[Transaction], cut: datetime, *, k: int = 6, seed: int = 0) -> Foresight:
    """How well what is known at `cut` tells who buys from then on.

    Segments are made, and their rates of buying again counted, within the first part: as of a date as long before the
    cut as the data go on after it. A customer scores the rate of its segment at the cut; RFM is the sum of quintiles.

    Raises:
        EmptyPeriod: nobody, or everybody known at the cut, buys after it.
        NoCustomers, NotEnoughVariety: too little before the cut, or before the date within the first part.
    """
    last = max((each.at for each in transactions), default=cut)
    if last < cut:
        raise EmptyPeriod(f"nobody bought anything from {cut.isoformat()} on; choose an earlier --cut")
    inner = cut - (last - cut)
    before, now = _features(transactions, inner), _features(transactions, cut)
    segments = define(before, k, seed=seed)
    again = _buyers(transactions, inner, cut)
    members = list(zip(before.customers, segments.assign(before), strict=True))
    rates = {each.key: _rate([name in again for name, key in members if key == each.key]) for each in segments.segments}
    buyers = _buyers(transactions, cut, None)
    bought = np.array([name in buyers for name in now.customers], dtype=bool)
    if bought.all() or not bought.any():
        raise EmptyPeriod("all or none of the customers buy after the cut, so nothing can be told apart")
    scores = np.array([rates[key] for key in segments.assign(now)])
    return Foresight(len(bought), float(bought.mean()), auc(scores, bought), auc(_rfm(now), bought))


def auc(scores: Numbers, positive: NDArray[np.bool_]) -> float:
    """The chance that a positive has the higher score of a pair, ties half (Mann and Whitney 1947)."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    yes = int(positive.sum())
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * (len(positive) - yes)))


def _features(transactions: Sequence[Transaction], until: datetime) -> FeatureTable:
    rows = ((t.customer, f"{t.customer} {t.at.isoformat()}", "", "", 1, t.cents, t.cents, t.at) for t in transactions)
    with TemporaryDirectory() as folder:
        return compute_features({ORDER_LINES: write_shop_table(Path(folder), ORDER_LINES, rows)}, until=until)


def _buyers(transactions: Sequence[Transaction], since: datetime, until: datetime | None) -> frozenset[str]:
    return frozenset(t.customer for t in transactions if t.cents > 0 and t.at >= since and (not until or t.at < until))


def _rate(again: Sequence[bool]) -> float:
    """The share, with one who does and one who does not added, so that small segments are not certain."""
    return (sum(again) + 1) / (len(again) + 2)


def _rfm(table: FeatureTable) -> Numbers:
    signs = {"recency": -1.0, "frequency": 1.0, "monetary": 1.0}
    values = (np.array(table.columns[key], dtype=np.float64) * sign for key, sign in signs.items())
    return np.asarray(sum(_quintiles(each) for each in values), dtype=np.float64)


def _quintiles(values: Numbers) -> Numbers:
    edges = np.quantile(values, [0.2, 0.4, 0.6, 0.8])
    return np.searchsorted(edges, values, side="right").astype(np.float64) + 1.0


def _transaction(row: dict[str, str], place: int) -> Transaction:
    try:
        value, at = float(row["value"]), datetime.fromisoformat(row["timestamp"])
        if not row["customer"] or not isfinite(value):
            raise ValueError("a customer and a finite value are needed")
    except (ValueError, TypeError) as error:
        raise InvalidTransactions(f"line {place}: {error}") from error
    aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return Transaction(row["customer"], aware, round(value * 100))
