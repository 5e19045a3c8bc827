"""What a data scientist looks at before deciding on groups: trials, features, how they relate, the groups of one k."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from personalization.segmentation.clustering import (
    Labels,
    Matrix,
    Method,
    Scaling,
    Trial,
    centroids,
    explore,
    nearest,
    numbers,
)
from personalization.segmentation.errors import NotEnoughVariety
from personalization.segmentation.features import FeatureTable

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

_LEAST_SHARE = 0.03


@dataclass(frozen=True, slots=True)
class Projection:
    """Customers on the plane of the two directions in which they differ most (Pearson 1901).

    `points` has a row a customer; `explained` is the share of the variance in each direction; `loadings` is what each
    feature adds to a direction, by key, the sign being that with which the largest one is positive.
    """

    points: Matrix
    explained: tuple[float, float]
    loadings: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Exploration:
    """All of it. `matrix` is scaled, with a column each of `scaling.columns`; `labels` are places of the `k` groups."""

    table: FeatureTable
    scaling: Scaling
    matrix: Matrix
    trials: tuple[Trial, ...]
    correlation: Matrix
    projection: Projection
    k: int
    suggested: bool
    labels: Labels

    @property
    def keys(self) -> tuple[str, ...]:
        """The features that groups are found on."""
        return tuple(each.key for each in self.scaling.columns)

    def profile(self, key: str, group: int) -> float | None:
        """The mean of a feature in a group, in its unit; None when it is missing of everyone there."""
        values = numbers(self.table, key)[self.labels == group]
        known = values[~np.isnan(values)]
        return float(known.mean()) if len(known) else None


def look(
    table: FeatureTable,
    sizes: Sequence[int],
    *,
    keys: Collection[str] = (),
    k: int | None = None,
    progress: Progress = lambda doing, done, total: None,
) -> Exploration:
    """Explore the groups of a table on these features, all numeric ones unless named. The same for the same table.

    Raises:
        InvalidFeatures: a key is not that of a numeric feature.
        NotEnoughVariety: fewer different customers than groups, or features that are all the same.
    """
    scaling = Scaling.of(table, keys)
    matrix = scaling.matrix(table)
    total, trials = len(sizes) * len(Method), []
    progress("trying numbers of groups", 0, total)
    for trial in explore(matrix, sizes):
        trials.append(trial)
        progress("trying numbers of groups", len(trials), total)
    chosen = k or suggested(trials)
    labels = nearest(matrix, centroids(matrix, chosen))
    names = tuple(each.key for each in scaling.columns)
    return Exploration(
        table, scaling, matrix, tuple(trials), correlation(matrix), project(matrix, names), chosen, k is None, labels
    )


def suggested(trials: Sequence[Trial]) -> int:
    """The number of groups whose k-means trial has the greatest sum of silhouette and stability, of those without a
    group under 3 % of customers, or of all when none is: a start to look from, not a choice."""
    means = [each for each in trials if each.method is Method.KMEANS]
    if not means:
        raise NotEnoughVariety("no number of groups was tried by k-means")
    even = [each for each in means if each.sizes[-1] >= _LEAST_SHARE] or means
    return max(even, key=lambda each: (each.silhouette + each.stability, -each.k)).k


def correlation(matrix: Matrix) -> Matrix:
    """Pearson's correlation of each pair of columns; none of them is constant."""
    return np.asarray(np.atleast_2d(np.corrcoef(matrix, rowvar=False)), dtype=np.float64)


def project(matrix: Matrix, keys: Sequence[str]) -> Projection:
    """The first two principal components, the second 0 where there is one column only."""
    centred = matrix - matrix.mean(axis=0)
    _, strengths, directions = np.linalg.svd(centred, full_matrices=False)
    axes, share = np.zeros((2, matrix.shape[1])), np.zeros(2)
    for place in range(min(2, len(strengths))):
        direction = directions[place]
        axes[place] = direction * (np.sign(direction[np.abs(direction).argmax()]) or 1.0)
        share[place] = strengths[place] ** 2 / max(float(np.square(strengths).sum()), 1e-12)
    loadings = {key: (float(axes[0, place]), float(axes[1, place])) for place, key in enumerate(keys)}
    return Projection(centred @ axes.T, (float(share[0]), float(share[1])), loadings)
