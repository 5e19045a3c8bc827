"""Trains the classifier of a closing: full rows, rows of customers as if they were new, and a temperature."""

from collections.abc import Callable, Sequence
from math import exp, log, sqrt

from personalization.classification.dataset import Dataset, Part, Rows
from personalization.classification.model import Classifier, TrainSettings, fit, softmax
from personalization.classification.table import Table

NEWCOMER = ("persona", "role", "region", "recency", "tenure", "frequency", "monetary", "basket_size", "season")
"""Columns that are known, from orders, of somebody who was never seen at a closing; see `newcomers.py`."""

_EACH = 4
_COOL, _HOT = 0.25, 8.0
_GOLDEN = (sqrt(5) - 1) / 2


def train(dataset: Dataset, settings: TrainSettings, known: Sequence[str] = NEWCOMER) -> Classifier:
    """A classifier that was trained and calibrated without the rows it will be tested on.

    Each fourth row to train on is there a second time with only the columns `known`, so that the model has seen
    newcomers too. The temperature is the one that makes the validation rows most likely (Guo and others, On Calibration
    of Modern Neural Networks, 2017).
    """
    rows, validation = dataset.parts[Part.TRAIN], dataset.parts[Part.VALIDATION]
    model = fit(_with_newcomers(rows, known), validation, settings)
    return model.tempered(_temperature(model, validation))


def _with_newcomers(rows: Rows, known: Sequence[str]) -> Rows:
    """Each segment's rows, and each fourth of them blank."""
    chosen = range(0, len(rows), _EACH)
    blank = rows.table.take(chosen).blanked(known)
    return Rows(Table.joined([rows.table, blank]), rows.labels + tuple(rows.labels[row] for row in chosen))


def _temperature(model: Classifier, rows: Rows) -> float:
    """Between 0.25 and 8; 1 where no row is of a segment the model knows."""
    import numpy as np

    known = {segment: index for index, segment in enumerate(model.segments)}
    usable = [row for row, label in enumerate(rows.labels) if label in known]
    if not usable:
        return 1.0
    margins = model.margins(rows.table)[usable]
    truth = np.array([known[rows.labels[row]] for row in usable])

    def loss(log_temperature: float) -> float:
        chosen = softmax(margins / exp(log_temperature))[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(chosen, 1e-15)).mean())

    return round(exp(least(loss, log(_COOL), log(_HOT))), 6)


def least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls and then rises is least, to a millionth of the range: golden section."""
    tolerance = (high - low) * 1e-6
    while high - low > tolerance:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if function(left) < function(right):
            high = right
        else:
            low = left
    return (low + high) / 2
