"""Groups of customers: features made comparable, and k-means and Gaussian mixtures over a range of sizes."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture

from personalization.segmentation.errors import InvalidFeatures, NotEnoughVariety
from personalization.segmentation.features import FeatureTable, Kind

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]
Predict = Callable[[Matrix], Labels]

_EVEN: Mapping[str, float] = MappingProxyType({})
_LEAST_WEIGHT = 0.02
_SKEWED = 1.0
_SILHOUETTE_ROWS = 2_000
_RESAMPLED_SHARE = 0.8


class Method(StrEnum):
    """How groups are found."""

    KMEANS = "kmeans"
    MIXTURE = "mixture"


@dataclass(frozen=True, slots=True)
class Column:
    """How one numeric feature becomes comparable: gaps take `fill`, `log` is ln(1 + x), then (x - mean) / scale.

    The scale is the standard deviation, over the weight that the feature was given.
    """

    key: str
    fill: float
    log: bool
    mean: float
    scale: float


@dataclass(frozen=True, slots=True)
class Scaling:
    """What makes the numeric features of a table comparable; made once, it fits later tables too."""

    columns: tuple[Column, ...]

    @classmethod
    def of(cls, table: FeatureTable, keys: Collection[str] = (), weights: Mapping[str, float] = _EVEN) -> "Scaling":
        """The scaling of these numeric features, all unless named; what is the same for everyone is left out.

        Gaps take the median. Features that are never negative and have a skewness over 1 are taken by logarithm.
        A feature with a weight of 2 counts as if it were spread twice as far; those without one weigh 1.

        Raises:
            InvalidFeatures: a key is not that of a numeric feature, or a value is infinite.
            NotEnoughVariety: no feature differs between customers.
        """
        columns = [_column(each, numbers(table, each), weights.get(each, 1.0)) for each in numeric_keys(table, keys)]
        found = tuple(each for each in columns if each is not None)
        if not found:
            raise NotEnoughVariety(f"all {len(table.customers)} customers are equal in every feature")
        return cls(found)

    def matrix(self, table: FeatureTable) -> Matrix:
        """The comparable features: a row a customer, a column each of `columns`. `KeyError` when one is not there."""
        return np.column_stack([_scaled(each, numbers(table, each.key)) for each in self.columns])


@dataclass(frozen=True, slots=True)
class Trial:
    """How good one number of groups is, by one method.

    `silhouette` is in [-1, 1] (Rousseeuw 1987; of at most 2,000 customers); `stability` is the mean adjusted Rand
    index (Hubert and Arabie 1985) between the groups and those found again in samples of 80 %; `sizes` are shares,
    the largest first.
    """

    method: Method
    k: int
    silhouette: float
    stability: float
    sizes: tuple[float, ...]


def numeric_keys(table: FeatureTable, keys: Collection[str] = ()) -> tuple[str, ...]:
    """The numeric features of a table, or those of `keys`, in the order of the table.

    Raises:
        InvalidFeatures: a key is not among them; the message says which there are.
    """
    numeric = tuple(each.key for each in table.features if each.kind is Kind.NUMERIC)
    wrong = sorted(set(keys) - set(numeric))
    if wrong:
        raise InvalidFeatures(f"no numeric feature {', '.join(wrong)}; there are {', '.join(numeric)}")
    return tuple(each for each in numeric if not keys or each in keys)


def numbers(table: FeatureTable, key: str) -> Matrix:
    """The values of a numeric feature, a customer each; NaN is missing.

    Raises:
        InvalidFeatures: one is infinite.
    """
    values = np.array([np.nan if each is None else float(each) for each in table.columns[key]], dtype=np.float64)
    if np.isinf(values).any():
        raise InvalidFeatures(f"{key} of customer {table.customers[int(np.isinf(values).argmax())]} is infinite")
    return values


def explore(
    matrix: Matrix, sizes: Sequence[int], *, methods: Sequence[Method] = tuple(Method), samples: int = 5, seed: int = 0
) -> Iterator[Trial]:
    """Try each number of groups by each method, one trial after the other, the same for the same seed.

    Raises:
        NotEnoughVariety: fewer different customers than groups.
    """
    for k in sizes:
        check_variety(matrix, k)
        for method in methods:
            yield _trial(matrix, method, k, samples, seed)


def centroids(matrix: Matrix, k: int, *, seed: int = 0) -> Matrix:
    """The centres of `k` groups by k-means, the largest group first; a customer belongs to the nearest.

    Raises:
        NotEnoughVariety: fewer different customers than groups.
    """
    check_variety(matrix, k)
    fitted = KMeans(k, n_init=10, random_state=seed).fit(matrix)
    order = np.argsort(-np.bincount(fitted.labels_, minlength=k), kind="stable")
    return np.asarray(fitted.cluster_centers_[order], dtype=np.float64)


def nearest(matrix: Matrix, centres: Matrix) -> Labels:
    """The place of the nearest centre of each row, the first of equals."""
    distances = np.stack([np.square(matrix - centre).sum(axis=1) for centre in centres], axis=1)
    return np.asarray(distances.argmin(axis=1), dtype=np.int64)


def check_variety(matrix: Matrix, k: int) -> None:
    """Raise `NotEnoughVariety` unless there are at least two groups and more different customers than groups."""
    different = len(np.unique(matrix, axis=0))
    if k < 2 or different <= k:
        raise NotEnoughVariety(
            f"{k} groups: at least 2, and {k + 1} different customers are needed, there are {different}"
        )


def _trial(matrix: Matrix, method: Method, k: int, samples: int, seed: int) -> Trial:
    labels = _fit(matrix, method, k, seed)(matrix)
    counts = np.bincount(labels, minlength=k)
    rows = min(len(matrix), _SILHOUETTE_ROWS)
    whole = len(np.unique(labels)) > 1
    silhouette = silhouette_score(matrix, labels, sample_size=rows, random_state=seed) if whole else -1.0
    return Trial(
        method,
        k,
        float(silhouette),
        _stability(matrix, labels, method, k, samples, seed),
        tuple(sorted((float(each) / len(matrix) for each in counts), reverse=True)),
    )


def _stability(matrix: Matrix, labels: Labels, method: Method, k: int, samples: int, seed: int) -> float:
    scores = []
    for number in range(samples):
        drawn = np.random.default_rng([seed, number])
        rows = drawn.choice(len(matrix), max(k + 1, round(len(matrix) * _RESAMPLED_SHARE)), replace=False)
        scores.append(adjusted_rand_score(labels, _fit(matrix[rows], method, k, seed + 1 + number)(matrix)))
    return float(np.mean(scores))


def _fit(matrix: Matrix, method: Method, k: int, seed: int) -> Predict:
    if method is Method.KMEANS:
        means = KMeans(k, n_init=4, random_state=seed).fit(matrix)
        return lambda rows: np.asarray(means.predict(rows), dtype=np.int64)
    mixture = GaussianMixture(k, covariance_type="diag", reg_covar=1e-3, max_iter=300, random_state=seed).fit(matrix)
    return lambda rows: np.asarray(mixture.predict(rows), dtype=np.int64)


def _column(key: str, values: Matrix, weight: float) -> Column | None:
    if np.isnan(values).all() or weight < _LEAST_WEIGHT:
        return None
    fill = float(np.nanmedian(values))
    filled = np.where(np.isnan(values), fill, values)
    log = bool(filled.min() >= 0.0 and skewness(filled) > _SKEWED)
    taken = np.log1p(filled) if log else filled
    mean, scale = float(taken.mean()), float(taken.std())
    return None if scale < 1e-12 else Column(key, fill, log, mean, scale / weight)


def _scaled(column: Column, values: Matrix) -> Matrix:
    filled = np.where(np.isnan(values), column.fill, values)
    taken = np.log1p(np.maximum(filled, 0.0)) if column.log else filled
    return np.asarray((taken - column.mean) / column.scale, dtype=np.float64)


def skewness(values: Matrix) -> float:
    """The third standardized moment; 0 of values that are all the same."""
    spread = float(values.std())
    return 0.0 if spread < 1e-12 else float(np.mean(((values - values.mean()) / spread) ** 3))
