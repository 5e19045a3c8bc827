"""What a policy would have earned, told from what another one logged. Pure: rows in, numbers out.

A row is an explored decision: its action was drawn with the logged probability p. A candidate gives that action the
probability pi, and `w = pi / p` is the row's weight. Over n rows, with rewards r and a reward model q:

- IPS (Horvitz and Thompson 1952): `mean(w r)`. Unbiased; wide where weights are large.
- SNIPS (Swaminathan and Joachims 2015): `sum(w r) / sum(w)`. Nearly unbiased, within the range of the rewards.
- DR (Dudik, Langford and Li 2011): `mean(sum_a pi(a) q(a) + w (r - q(chosen)))`. Unbiased whatever q is, so long as
  q was not made of the row itself (cross-fitting, Chernozhukov et al. 2018; `reward_model.py`); narrow where q is good.

Rows of one subject are not independent. Each estimate is therefore linearized into one influence value a row, these
are summed by subject, and the variance is that of sums over G independent clusters (Liang and Zeger 1986, with the
factor G / (G - 1)): `G / (G - 1) * sum_g (sum_{i in g} psi_i)^2 / n^2`. Intervals are normal. With one row a subject
this is the textbook variance of a mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum, sqrt
from statistics import NormalDist

from personalization.bandit.lessons import Refusal, explored, lesson_of
from personalization.events import DecisionContext, JoinedDecision

SIGMAS = 4.0
"""How many standard errors the weights of a constant action may be off before the logged probabilities are doubted."""


@dataclass(frozen=True, slots=True)
class LoggedChoice:
    """An explored decision and its reward.

    The action at `index` was drawn from `distribution`. `cluster` names whom rows belong to that are not independent.
    """

    context: DecisionContext
    actions: tuple[str, ...]
    distribution: tuple[float, ...]
    index: int
    reward: float
    cluster: str

    @property
    def probability(self) -> float:
        """That of the action that was drawn."""
        return self.distribution[self.index]


class Method(StrEnum):
    """How a value was estimated."""

    IPS = "IPS"
    SNIPS = "SNIPS"
    DR = "DR"


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its standard error, and the bounds between which it is with the confidence asked for."""

    value: float
    error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, and how far each row bends it: influence values, in the order of the rows, of mean zero."""

    value: float
    influence: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A policy on logged rows.

    `effective` is Kish's effective sample size, `sum(w)^2 / sum(w^2)`: so many rows of the policy's own would say as
    much. `weight_mean` is 1 but for chance where the logged probabilities are true.
    """

    estimates: Mapping[Method, Estimate]
    effective: float
    weight_mean: float
    weight_most: float


@dataclass(frozen=True, slots=True)
class WeightSum:
    """The mean weight of the policy that always takes one action, over the rows that offered it.

    `error` is the standard error of that mean if the logged probabilities are true. What was drawn is independent
    given the probabilities, so it needs no clusters.
    """

    rows: int
    mean: float
    error: float

    @property
    def sound(self) -> bool:
        """Whether chance explains how far the mean is from 1."""
        return abs(self.mean - 1.0) <= SIGMAS * self.error + 1e-9


def logged_choice(joined: JoinedDecision) -> LoggedChoice | Refusal:
    """The row that a joined decision gives, or why it gives none: what learners refuse, estimators refuse."""
    decision = joined.decision
    if not explored(decision):
        return Refusal.NOT_EXPLORED
    lesson = lesson_of(joined)
    if isinstance(lesson, Refusal):
        return lesson
    cluster = decision.subject or decision.session or decision.id
    return LoggedChoice(decision.context, decision.actions, decision.distribution, lesson.index, joined.reward, cluster)


def evaluate(
    rows: Sequence[LoggedChoice],
    distributions: Sequence[Sequence[float]],
    predicted: Sequence[Sequence[float]],
) -> Evaluation:
    """All three estimates of the policy that gives these distributions, one for each of at least one row.

    `predicted` is what the reward model expects of each action of each row, fitted without the row itself.

    Raises:
        ValueError: not one distribution and one prediction for each row, or no row.
    """
    if not rows:
        raise ValueError("there is nothing to evaluate a policy on: no rows")
    chosen = [distribution[row.index] for row, distribution in zip(rows, distributions, strict=True)]
    weights = [pi / row.probability for row, pi in zip(rows, chosen, strict=True)]
    mean, squares = fsum(weights) / len(rows), fsum(each * each for each in weights)
    return Evaluation(
        estimates={
            Method.IPS: mean_of([weight * row.reward for row, weight in zip(rows, weights, strict=True)]),
            Method.SNIPS: _snips(rows, weights, mean),
            Method.DR: mean_of(
                [
                    fsum(pi * q for pi, q in zip(distribution, expected, strict=True))
                    + weight * (row.reward - expected[row.index])
                    for row, weight, distribution, expected in zip(rows, weights, distributions, predicted, strict=True)
                ]
            ),
        },
        effective=(mean * len(rows)) ** 2 / squares if squares else 0.0,
        weight_mean=mean,
        weight_most=max(weights),
    )


def difference(one: Estimate, other: Estimate) -> Estimate:
    """One estimate less another over the same rows; what they share cancels, so the interval is that of pairs."""
    pairs = zip(one.influence, other.influence, strict=True)
    return Estimate(one.value - other.value, tuple(mine - theirs for mine, theirs in pairs))


def interval(estimate: Estimate, clusters: Sequence[str], confidence: float = 0.95) -> Interval:
    """The two-sided interval of an estimate; `clusters` names each row's.

    With fewer than two clusters nothing is known about the error: it is infinite.
    """
    error = _clustered_error(estimate.influence, clusters)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2.0) * error
    return Interval(estimate.value, error, estimate.value - reach, estimate.value + reach)


def weight_sums(rows: Sequence[LoggedChoice]) -> Mapping[str, WeightSum]:
    """The check of the log itself, by action: `mean(1[chosen] / p)` is 1 but for chance, or the log is not true.

    It also tells when whether a row is here depends on what was chosen: when some actions are seen to be displayed
    only once they are clicked, say.
    Its variance under the logged probabilities is that of a Bernoulli draw, scaled: `sum(1 / p - 1) / n^2`.
    """
    totals: dict[str, list[float]] = {}
    for row in rows:
        for place, (action, probability) in enumerate(zip(row.actions, row.distribution, strict=True)):
            if probability > 0.0:
                total = totals.setdefault(action, [0.0, 0.0, 0.0])
                total[0] += 1
                total[1] += (place == row.index) / probability
                total[2] += 1.0 / probability - 1.0
    return {
        action: WeightSum(int(count), weight / count, sqrt(variance) / count)
        for action, (count, weight, variance) in sorted(totals.items())
    }


def mean_of(values: Sequence[float]) -> Estimate:
    """The mean of at least one value."""
    mean = fsum(values) / len(values)
    return Estimate(mean, tuple(each - mean for each in values))


def _snips(rows: Sequence[LoggedChoice], weights: Sequence[float], mean: float) -> Estimate:
    """A ratio of means; linearized, its influence is `w (r - value) / mean(w)`. Zero where no row has any weight."""
    if mean == 0.0:
        return Estimate(0.0, (0.0,) * len(rows))
    value = fsum(weight * row.reward for row, weight in zip(rows, weights, strict=True)) / (mean * len(rows))
    return Estimate(
        value, tuple(weight * (row.reward - value) / mean for row, weight in zip(rows, weights, strict=True))
    )


def _clustered_error(influence: Sequence[float], clusters: Sequence[str]) -> float:
    sums: dict[str, float] = {}
    for psi, cluster in zip(influence, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + psi
    count = len(sums)
    if count < 2:
        return float("inf")
    return sqrt(count / (count - 1) * fsum(each * each for each in sums.values())) / len(influence)
