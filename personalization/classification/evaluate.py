"""Judges a classifier on rows it never saw, beside the majority, a logistic regression and the live model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from personalization.classification.dataset import Dataset, Frozen, Part, Rows
from personalization.classification.logistic import fit_logistic
from personalization.classification.model import Classifier
from personalization.registry_records import Json

BINS = 10
RESAMPLES = 1000
_LEAST = 1e-15
_SHARE = 1e-4


@dataclass(frozen=True, slots=True)
class Marks:
    """How well the rows were told.

    `calibration` is the expected calibration error of the chosen segment in ten bins of probability, 0 at best (Naeini
    and others, 2015). `confusion` counts rows by true segment, then by told segment, in the order of `segments`.
    """

    rows: int
    segments: tuple[str, ...]
    macro_f1: float
    log_loss: float
    calibration: float
    recall: Mapping[str, float]
    support: Mapping[str, int]
    confusion: tuple[tuple[int, ...], ...]

    def record(self) -> dict[str, Json]:
        """For the registry."""
        return {
            "rows": self.rows,
            "macro_f1": round(self.macro_f1, 6),
            "log_loss": round(self.log_loss, 6),
            "calibration": round(self.calibration, 6),
            "recall": {name: round(value, 6) for name, value in self.recall.items()},
            "support": dict(self.support),
            "segments": list(self.segments),
            "confusion": [list(row) for row in self.confusion],
        }


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference of macro-F1 and its 95 % interval."""

    middle: float
    lower: float
    upper: float

    def record(self) -> dict[str, Json]:
        """For the registry."""
        return {name: round(getattr(self, name), 6) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that the gates look at. `live` and `gain_on_live` are None without a live model of the same columns.

    Gains are by how much the candidate's macro-F1 is higher, on the same rows.
    """

    candidate: Marks
    majority: Marks
    logistic: Marks
    live: Marks | None
    gain_on_live: Interval | None
    gain_on_majority: Interval
    feature_drift: Mapping[str, float]
    prediction_drift: float | None

    def record(self) -> dict[str, Json]:
        """For the registry."""
        return {
            "candidate": self.candidate.record(),
            "majority": self.majority.record(),
            "logistic": self.logistic.record(),
            "live": None if self.live is None else self.live.record(),
            "gain_on_live": None if self.gain_on_live is None else self.gain_on_live.record(),
            "gain_on_majority": self.gain_on_majority.record(),
            "feature_drift": {name: round(value, 6) for name, value in self.feature_drift.items()},
            "prediction_drift": None if self.prediction_drift is None else round(self.prediction_drift, 6),
        }


def evaluate(
    dataset: Dataset, candidate: Classifier, live: Classifier | None, closed: Frozen, before: Frozen | None
) -> Evaluation:
    """Marks on the test rows of the data set; drift from the closing before to the one that is closed."""
    rows, trained = dataset.parts[Part.TEST], dataset.parts[Part.TRAIN]
    segments = tuple(sorted({*rows.labels, *candidate.segments, *(live.segments if live else ())}))
    spread = _spread(candidate.score(rows.table).probabilities, candidate.segments, segments)
    common = _majority(trained, len(rows), segments)
    logistic = fit_logistic(trained)
    plain = _spread(logistic.probabilities(rows.table), logistic.segments, segments)
    served = None
    if live is not None and live.schema == rows.table.schema:
        served = _spread(live.score(rows.table).probabilities, live.segments, segments)
    drifted = before if before is not None and before.table.schema == closed.table.schema else None
    return Evaluation(
        candidate=marks(rows.labels, spread, segments),
        majority=marks(rows.labels, common, segments),
        logistic=marks(rows.labels, plain, segments),
        live=None if served is None else marks(rows.labels, served, segments),
        gain_on_live=None if served is None else gain(rows.labels, spread, served, segments),
        gain_on_majority=gain(rows.labels, spread, common, segments),
        feature_drift={} if drifted is None else feature_drift(drifted, closed),
        prediction_drift=None if drifted is None else _prediction_drift(candidate, drifted, closed),
    )


def marks(labels: Sequence[str], probabilities: Any, segments: Sequence[str]) -> Marks:
    """The marks of probabilities, shape (rows, segments). Segments that no row has or was told are not averaged."""
    index = {segment: place for place, segment in enumerate(segments)}
    truth = np.array([index[label] for label in labels])
    told = probabilities.argmax(axis=1)
    table = _confusion(truth, told, len(segments))
    of_truth, hits = table.sum(axis=1), table.diagonal()
    chosen = np.maximum(probabilities[np.arange(len(truth)), truth], _LEAST)
    return Marks(
        rows=len(labels),
        segments=tuple(segments),
        macro_f1=_macro_f1(table),
        log_loss=float(-np.log(chosen).mean()),
        calibration=_calibration(probabilities.max(axis=1), told == truth),
        recall={name: float(hits[i] / of_truth[i]) for name, i in index.items() if of_truth[i]},
        support={name: int(of_truth[i]) for name, i in index.items() if of_truth[i]},
        confusion=tuple(tuple(int(cell) for cell in row) for row in table),
    )


def gain(labels: Sequence[str], ours: Any, theirs: Any, segments: Sequence[str], seed: int = 7) -> Interval:
    """By how much our macro-F1 is higher than theirs: a percentile bootstrap of the rows, in pairs."""
    index = {segment: place for place, segment in enumerate(segments)}
    truth = np.array([index[label] for label in labels])
    mine, other = ours.argmax(axis=1), theirs.argmax(axis=1)
    chance = np.random.default_rng(seed)

    def difference(rows: Any) -> float:
        size = len(segments)
        mine_f1 = _macro_f1(_confusion(truth[rows], mine[rows], size))
        return mine_f1 - _macro_f1(_confusion(truth[rows], other[rows], size))

    drawn = [difference(chance.integers(0, len(truth), len(truth))) for _ in range(RESAMPLES)]
    lower, upper = np.percentile(drawn, [2.5, 97.5])
    return Interval(difference(np.arange(len(truth))), float(lower), float(upper))


def feature_drift(before: Frozen, now: Frozen) -> dict[str, float]:
    """Population stability index of each column: of numbers by tenths of the closing before, of categories by value.

    Below 0.1 nothing to speak of, above 0.25 another population, by rule of thumb (Siddiqi, Credit Risk Scorecards).
    """
    schema = now.table.schema
    found: dict[str, float] = {}
    for name in schema.numbers:
        old, new = np.asarray(before.table.column(name)), np.asarray(now.table.column(name))
        edges = np.unique(np.nanquantile(old, np.linspace(0.1, 0.9, 9))) if not np.isnan(old).all() else np.empty(0)
        found[name] = stability(_tenths(old, edges), _tenths(new, edges))
    for name in schema.categories:
        found[name] = stability(Counter(before.table.column(name)), Counter(now.table.column(name)))
    return found


def stability(before: Mapping[Any, int], now: Mapping[Any, int]) -> float:
    """The population stability index of two counts by bin; 0 for equal shares."""
    total, fresh = max(sum(before.values()), 1), max(sum(now.values()), 1)
    index = 0.0
    for place in {*before, *now}:
        old, new = max(before.get(place, 0) / total, _SHARE), max(now.get(place, 0) / fresh, _SHARE)
        index += (new - old) * log(new / old)
    return index


def _tenths(values: Any, edges: Any) -> Counter[int]:
    bins = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right"))
    return Counter(bins.tolist())


def _prediction_drift(model: Classifier, before: Frozen, now: Frozen) -> float:
    old, new = (Counter(model.score(each.table).best.tolist()) for each in (before, now))
    return stability(old, new)


def _confusion(truth: Any, told: Any, size: int) -> Any:
    return np.bincount(truth * size + told, minlength=size * size).reshape(size, size)


def _macro_f1(table: Any) -> float:
    either = table.sum(axis=1) + table.sum(axis=0)
    there = either > 0
    return float((2 * table.diagonal()[there] / either[there]).mean())


def _calibration(sure: Any, right: Any) -> float:
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    total = 0.0
    for place in range(BINS):
        inside = bins == place
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    return float(total)


def _majority(trained: Rows, rows: int, segments: Sequence[str]) -> Any:
    """The shares of the rows trained on, for each row."""
    counts = Counter(trained.labels)
    shares = np.array([counts[segment] / len(trained) for segment in segments])
    return np.tile(shares, (rows, 1))


def _spread(probabilities: Any, known: Sequence[str], segments: Sequence[str]) -> Any:
    """The same probabilities over more segments; those a model does not know have none."""
    spread = np.zeros((len(probabilities), len(segments)))
    for index, segment in enumerate(known):
        spread[:, segments.index(segment)] = probabilities[:, index]
    return spread
