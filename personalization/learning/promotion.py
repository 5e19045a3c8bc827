"""Whether a candidate may take over: judged on logged rows, against the live policy, even chances and one action.

A candidate is promoted only when the lower bound of what it earns more than the live policy is above zero, and its
estimate is above both others. Every number that was looked at is kept as evidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from personalization.bandit.policy import Policy
from personalization.bandit.uniform import Uniform
from personalization.learning.baselines import BEST_FIXED, UNIFORM, best_fixed, distributions_of
from personalization.learning.estimators import (
    Estimate,
    Evaluation,
    Interval,
    LoggedChoice,
    Method,
    WeightSum,
    difference,
    evaluate,
    interval,
    weight_sums,
)
from personalization.learning.reward_model import cross_fitted
from personalization.registry_records import Json


class Verdict(StrEnum):
    """What is to be done with a candidate."""

    PROMOTE = "promote"
    KEEP_LIVE = "keep the live policy"
    NOT_ENOUGH_DATA = "not enough data"
    LOG_IN_DOUBT = "the log is in doubt"


@dataclass(frozen=True, slots=True)
class PromotionRules:
    """What it takes.

    `confidence` is that of one comparison; with K candidates each is asked for `1 - (1 - confidence) / K` (Bonferroni),
    so that trying more of them does not make a lucky one likelier. Below `least_effective` rows of effective sample
    size, or `least_clusters` subjects, which the normal interval needs, there is not enough data.
    """

    confidence: float = 0.95
    least_effective: float = 300.0
    least_clusters: int = 30
    method: Method = Method.DR


@dataclass(frozen=True, slots=True)
class Scores:
    """A policy's worth on the rows: an interval by each method, and how much of the log speaks of it."""

    policy: str
    values: Mapping[Method, Interval]
    effective: float
    weight_mean: float
    weight_most: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """A candidate's scores, what it earns more than each other policy, and what follows from that."""

    scores: Scores
    gains: Mapping[str, Interval]
    verdict: Verdict

    @property
    def promoted(self) -> bool:
        """Whether it may take over."""
        return self.verdict is Verdict.PROMOTE


@dataclass(frozen=True, slots=True)
class Trial:
    """All that was judged on one set of rows: the policies to beat, the candidates, and the check of the log."""

    rows: int
    clusters: int
    rules: PromotionRules
    live: str
    others: tuple[Scores, ...]
    candidates: tuple[Judgement, ...]
    weight_sums: Mapping[str, WeightSum]

    def best(self) -> Judgement | None:
        """Of the candidates that may take over, the one with the highest lower bound over the live policy."""
        promoted = [each for each in self.candidates if each.promoted]
        return max(promoted, key=lambda each: each.gains[self.live].low, default=None)

    def evidence(self, candidate: str) -> Mapping[str, Json]:
        """Every number behind the verdict on one candidate, for its manifest and its promotion."""
        judged = next(each for each in self.candidates if each.scores.policy == candidate)
        return {
            "verdict": judged.verdict.value,
            "rows": self.rows,
            "subjects": self.clusters,
            "candidates": len(self.candidates),
            "confidence": self.rules.confidence,
            "least_effective": self.rules.least_effective,
            "least_subjects": self.rules.least_clusters,
            "method": self.rules.method.value,
            "live": self.live,
            "scores": [_scores_record(each) for each in (judged.scores, *self.others)],
            "gains": {name: _interval_record(each) for name, each in judged.gains.items()},
            "weight_sums": {
                action: {"rows": each.rows, "mean": each.mean, "error": each.error, "sound": each.sound}
                for action, each in self.weight_sums.items()
            },
        }


def judge(
    candidates: Sequence[Policy], live: Policy | None, rows: Sequence[LoggedChoice], rules: PromotionRules | None = None
) -> Trial:
    """Judge candidates, with versions that differ, on rows that none of them learned from. Takes a while.

    Without a live policy the even chances are what is served, so they are to be beaten by the lower bound. The live
    policy may have learned from these very rows; that favours it.

    Raises:
        ValueError: there are no rows.
        InvalidDistribution: a policy gives no distribution for a row.
    """
    rules = rules or PromotionRules()
    bench = _Bench(rows, rules, len(candidates))
    uniform, fixed = bench.evaluated(Uniform()), bench.evaluated(best_fixed(rows))
    live_label = UNIFORM if live is None else live.version
    others = {UNIFORM: uniform, BEST_FIXED: fixed}
    if live is not None:
        others[live_label] = bench.evaluated(live)
    sums = weight_sums(rows)
    return Trial(
        rows=len(rows),
        clusters=bench.subjects,
        rules=rules,
        live=live_label,
        others=tuple(bench.scores(name, each) for name, each in others.items()),
        candidates=tuple(bench.judgement(each, others, live_label, sums) for each in candidates),
        weight_sums=sums,
    )


class _Bench:
    """The rows, and what is worked out about them once for all policies."""

    def __init__(self, rows: Sequence[LoggedChoice], rules: PromotionRules, candidates: int) -> None:
        self._rows = rows
        self._rules = rules
        self._confidence = 1.0 - (1.0 - rules.confidence) / max(candidates, 1)
        self._predicted = cross_fitted(rows)
        self._clusters = [row.cluster for row in rows]
        self.subjects = len(set(self._clusters))

    def evaluated(self, policy: Policy) -> Evaluation:
        return evaluate(self._rows, distributions_of(policy, self._rows), self._predicted)

    def scores(self, name: str, evaluation: Evaluation) -> Scores:
        return Scores(
            name,
            {method: self._interval(each) for method, each in evaluation.estimates.items()},
            evaluation.effective,
            evaluation.weight_mean,
            evaluation.weight_most,
        )

    def judgement(
        self, candidate: Policy, others: Mapping[str, Evaluation], live: str, sums: Mapping[str, WeightSum]
    ) -> Judgement:
        evaluation, method = self.evaluated(candidate), self._rules.method
        gains = {
            name: self._interval(difference(evaluation.estimates[method], other.estimates[method]))
            for name, other in others.items()
        }
        verdict = self._verdict(evaluation, gains, live, sums)
        return Judgement(self.scores(candidate.version, evaluation), gains, verdict)

    def _verdict(
        self, evaluation: Evaluation, gains: Mapping[str, Interval], live: str, sums: Mapping[str, WeightSum]
    ) -> Verdict:
        if not all(each.sound for each in sums.values()):
            return Verdict.LOG_IN_DOUBT
        if evaluation.effective < self._rules.least_effective or self.subjects < self._rules.least_clusters:
            return Verdict.NOT_ENOUGH_DATA
        better = gains[live].low > 0.0 and all(each.value > 0.0 for each in gains.values())
        return Verdict.PROMOTE if better else Verdict.KEEP_LIVE

    def _interval(self, estimate: Estimate) -> Interval:
        return interval(estimate, self._clusters, self._confidence)


def _scores_record(scores: Scores) -> Mapping[str, Json]:
    return {
        "policy": scores.policy,
        "effective": scores.effective,
        "weight_mean": scores.weight_mean,
        "weight_most": scores.weight_most,
        **{method.value: _interval_record(each) for method, each in scores.values.items()},
    }


def _interval_record(each: Interval) -> Mapping[str, Json]:
    return {"value": each.value, "error": each.error, "low": each.low, "high": each.high}
