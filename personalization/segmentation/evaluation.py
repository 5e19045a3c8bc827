"""Whether segments mean something for the future: who buys after a date, by segment and by RFM quintiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from personalization.lake.shop_tables import ORDER_LINES, write_shop_table
from personalization.segmentation.clustering import numbers, numeric_keys
from personalization.segmentation.definitions import SegmentSet, define
from personalization.segmentation.errors import EmptyPeriod, SegmentationError
from personalization.segmentation.features import FeatureTable, compute_features
from personalization.segmentation.transactions import Transaction

Numbers = NDArray[np.float64]

_RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class Recipe:
    """How segments are made: on which features (all when none is named), how many groups, and whether by their worth.

    By worth, a feature weighs what it told of who bought again within the past: the square of Somers' D (1962),
    2 AUC - 1.
    """

    features: tuple[str, ...]
    by_worth: bool
    k: int

    def __str__(self) -> str:
        return f"{self.k} segments on {', '.join(self.features) or 'all features'}{', by worth' * self.by_worth}"


RECENCY_FREQUENCY_MONETARY = ("recency", "frequency", "monetary")
PACE = (*RECENCY_FREQUENCY_MONETARY, "recent_orders", "active_months")
RECIPES = tuple(
    Recipe(features, by_worth, k)
    for k in (6, 8, 10, 12)
    for by_worth in (True, False)
    for features in (PACE, RECENCY_FREQUENCY_MONETARY, ())
)
"""What is chosen from; the first is taken where the past is too short to choose in."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of a segment at the cut there are, the share that is foretold to buy, and the share that did."""

    key: str
    customers: int
    foretold: float
    bought: float


@dataclass(frozen=True, slots=True)
class Foresight:
    """The area under the ROC curve of each score for buying again; 0.5 is chance. `bought` is the share who did.

    `chosen` says whether the recipe was chosen within the past, and not given or taken for want of one. `error` is the
    standard error of the difference of both areas, by the bootstrap over customers.
    """

    customers: int
    bought: float
    segments: float
    rfm: float
    error: float
    recipe: Recipe
    chosen: bool
    rates: tuple[Rate, ...]


def evaluate(transactions: Sequence[Transaction], cut: datetime, *, k: int | None = None, seed: int = 0) -> Foresight:
    """How well what is known at `cut` tells who buys from then on.

    Segments are made, and their rates of buying again counted, within the first part: as of a date as long before the
    cut as the data go on after it, or in the middle of the first part if that is later. A customer scores the rate of
    its segment at the cut; RFM is the sum of quintiles. Which of the `RECIPES` (of `k` segments) is taken is settled
    in the same way one such date earlier, by who bought until the cut: nothing from after it is looked at.

    Raises:
        EmptyPeriod: nobody, or everybody known at the cut, buys after it.
        NoCustomers, NotEnoughVariety: too little before the cut, or before the date within the first part.
    """
    last = max((each.at for each in transactions), default=cut)
    if last < cut:
        raise EmptyPeriod(f"nobody bought anything from {cut.isoformat()} on; choose an earlier --cut")
    first = min(each.at for each in transactions)
    inner = _earlier(cut, last - cut, first)
    past = _Span.of(transactions, inner, cut)
    future = _Span.of(transactions, cut, None)
    if future.again.all() or not future.again.any():
        raise EmptyPeriod("all or none of the customers buy after the cut, so nothing can be told apart")
    offered = RECIPES if k is None else tuple(dict.fromkeys(replace(each, k=k) for each in RECIPES))
    best = _best(transactions, past, _earlier(inner, last - cut, first), offered, seed)
    recipe = best or offered[0]
    told = _Told.of(past, recipe, seed)
    scores, rfm = told.scores(future.table), _rfm(future.table)
    return Foresight(
        len(future.again),
        float(future.again.mean()),
        auc(scores, future.again),
        auc(rfm, future.again),
        _error(scores, rfm, future.again, seed),
        recipe,
        best is not None,
        told.rates_of(future),
    )


def worth(table: FeatureTable, again: NDArray[np.bool_], keys: Sequence[str] = ()) -> Mapping[str, float]:
    """What each numeric feature tells of who buys again: the square of Somers' D; 0 of one that is missing somewhere.

    Nothing is known when all or none do: then each weighs 1.
    """
    keys = numeric_keys(table, keys)
    if again.all() or not again.any():
        return dict.fromkeys(keys, 1.0)
    columns = ((key, numbers(table, key)) for key in keys)
    return {key: 0.0 if np.isnan(each).any() else (2.0 * auc(each, again) - 1.0) ** 2 for key, each in columns}


def auc(scores: Numbers, positive: NDArray[np.bool_]) -> float:
    """The chance that a positive has the higher score of a pair, ties half (Mann and Whitney 1947)."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    yes = int(positive.sum())
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * (len(positive) - yes)))


@dataclass(frozen=True, slots=True)
class _Span:
    """What is known as of a date, and who of the customers buys from it until the end of the span."""

    table: FeatureTable
    again: NDArray[np.bool_]

    @classmethod
    def of(cls, transactions: Sequence[Transaction], since: datetime, until: datetime | None) -> "_Span":
        table = _features(transactions, since)
        buyers = _buyers(transactions, since, until)
        return cls(table, np.array([name in buyers for name in table.customers], dtype=bool))


@dataclass(frozen=True, slots=True)
class _Told:
    """Segments made within a span, and how likely the customers of each bought again in it."""

    segments: SegmentSet
    rates: Mapping[str, float]

    @classmethod
    def of(cls, span: _Span, recipe: Recipe, seed: int) -> "_Told":
        weights = worth(span.table, span.again, recipe.features) if recipe.by_worth else {}
        segments = define(span.table, recipe.k, features=recipe.features, weights=weights, seed=seed)
        members = list(zip(segments.assign(span.table), span.again, strict=True))
        keys = [each.key for each in segments.segments]
        return cls(segments, {key: _rate([bool(again) for at, again in members if at == key]) for key in keys})

    def scores(self, table: FeatureTable) -> Numbers:
        return np.array([self.rates[key] for key in self.segments.assign(table)])

    def rates_of(self, span: _Span) -> tuple[Rate, ...]:
        """Each segment that someone is in, the most likely first."""
        keys = np.array(self.segments.assign(span.table))
        found = (
            Rate(key, int((keys == key).sum()), rate, float(span.again[keys == key].mean()))
            for key, rate in self.rates.items()
            if (keys == key).any()
        )
        return tuple(sorted(found, key=lambda each: -each.foretold))


def _earlier(at: datetime, span: timedelta, first: datetime) -> datetime:
    """So long before a date, but not before the middle of what there is."""
    return max(at - span, first + (at - first) / 2)


def _best(
    transactions: Sequence[Transaction], past: _Span, earlier: datetime, offered: Sequence[Recipe], seed: int
) -> Recipe | None:
    """The recipe that, made in the span before, tells most of who bought in the past; None when that is too short."""
    if past.again.all() or not past.again.any():
        return None
    try:
        before = _Span.of(transactions, earlier, past.table.until)
        scored = [(auc(_Told.of(before, each, seed).scores(past.table), past.again), each) for each in offered]
    except SegmentationError:
        return None
    return max(scored, key=lambda each: each[0])[1]


def _error(first: Numbers, second: Numbers, positive: NDArray[np.bool_], seed: int) -> float:
    """The standard error of the difference of two areas over the same customers, by the bootstrap."""
    drawn = np.random.default_rng(seed)
    gaps = []
    for _ in range(_RESAMPLES):
        rows = drawn.integers(0, len(positive), len(positive))
        if 0 < positive[rows].sum() < len(rows):
            gaps.append(auc(first[rows], positive[rows]) - auc(second[rows], positive[rows]))
    return float(np.std(gaps)) if gaps else float("nan")


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
