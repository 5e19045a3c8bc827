"""Multinomial logistic regression: the plain model that a classifier has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from personalization.classification.dataset import Rows
from personalization.classification.table import Table

PENALTY = 1.0
"""What the squared weights (not the intercepts) weigh, halved, beside the summed loss, as scikit-learn's `C = 1`."""

STEPS = 3000
"""Most steps down."""

TOLERANCE = 1e-4
"""A slope that counts as none."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted regression on numbers, scaled and with their median where missing, and one column a category."""

    segments: tuple[str, ...]
    middle: Any
    mean: Any
    deviation: Any
    levels: tuple[tuple[str, ...], ...]
    weights: Any

    def probabilities(self, table: Table) -> Any:
        """Shape (rows, segments)."""
        return _softmax(self.design(table) @ self.weights)

    def design(self, table: Table) -> Any:
        """The columns that the weights are for, an intercept first."""
        import numpy as np

        numbers = np.where(np.isnan(table.numbers), self.middle, table.numbers)
        columns = [np.ones((len(numbers), 1)), (numbers - self.mean) / self.deviation]
        for levels, column in zip(self.levels, table.categories, strict=True):
            values = np.array(column, dtype=object)[:, None]
            columns.append((values == np.array(levels, dtype=object)[None, :]).astype(np.float64))
        return np.concatenate(columns, axis=1)


def fit_logistic(rows: Rows) -> Logistic:
    """Fit by accelerated descent (Nesterov, with restarts): most likely, with a small penalty on the weights."""
    import numpy as np

    table = rows.table
    filled = [np.nanmedian(column) if not np.isnan(column).all() else 0.0 for column in table.numbers.T]
    middle = np.array(filled)
    numbers = np.where(np.isnan(table.numbers), middle, table.numbers)
    deviation = numbers.std(axis=0)
    segments = tuple(sorted(set(rows.labels)))
    levels = tuple(tuple(sorted(set(column))) for column in table.categories)
    scaled = np.where(deviation > 0, deviation, 1.0)
    blank = Logistic(segments, middle, numbers.mean(axis=0), scaled, levels, None)
    weights = fit_weights(blank.design(table), [segments.index(label) for label in rows.labels], len(segments))
    return Logistic(segments, middle, blank.mean, scaled, levels, weights)


def fit_weights(design: Any, truth: Sequence[int], segments: int) -> Any:
    """Weights of shape (columns, segments); the first column of the design is the intercept, which is not penalized."""
    import numpy as np

    wanted = np.eye(segments)[list(truth)]
    penalties = np.full((design.shape[1], 1), PENALTY)
    penalties[0] = 0.0
    # No second derivative of the loss is larger (Boehning, Multinomial Logistic Regression Algorithm, 1992).
    step = 1.0 / (0.5 * np.linalg.norm(design, 2) ** 2 + PENALTY)
    weights = ahead = np.zeros((design.shape[1], segments))
    pace = 1.0
    for _ in range(STEPS):
        slope = design.T @ (_softmax(design @ ahead) - wanted) + penalties * ahead
        moved = ahead - step * slope
        if (slope * (moved - weights)).sum() > 0:
            pace = 1.0
        faster = (1 + (1 + 4 * pace**2) ** 0.5) / 2
        ahead, weights, pace = moved + (pace - 1) / faster * (moved - weights), moved, faster
        if np.abs(slope).max() < TOLERANCE:
            break
    return weights


def _softmax(margins: Any) -> Any:
    import numpy as np

    shifted = np.exp(margins - margins.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
