"""Estimators: by hand, by their laws, and beside another implementation."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isclose, sqrt
from statistics import NormalDist, fmean, stdev

import pytest
from estimators.bandits import gaussian, ips, snips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization.bandit.lessons import Refusal
from personalization.events import DecisionMode
from personalization.learning.estimators import (
    Evaluation,
    LoggedChoice,
    Method,
    difference,
    evaluate,
    interval,
    logged_choice,
    weight_sums,
)
from personalization.learning.reward_model import RewardModel, cross_fitted
from tests.learning.lessons import imitated_of, joined_of
from tests.learning.logs import ACTIONS, EVEN, SKEWED, Chances, at, liking, log, row, worth

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NOTHING = (0.0, 0.0, 0.0, 0.0)

CHANCES = st.lists(st.floats(0.05, 1.0), min_size=4, max_size=4).map(
    lambda parts: tuple(each / sum(parts) for each in parts)
)
ROWS = st.lists(
    st.builds(
        lambda reward, index, chances, cluster: row(reward, index, chances, f"s{cluster}"),
        st.sampled_from((0.0, 1.0, 3.0)),
        st.integers(0, 3),
        CHANCES,
        st.integers(0, 9),
    ),
    min_size=2,
    max_size=40,
)


def values(evaluation: Evaluation) -> dict[Method, float]:
    return {method: each.value for method, each in evaluation.estimates.items()}


def judged(rows: Sequence[LoggedChoice], policy: Chances) -> Evaluation:
    return evaluate(rows, [policy(each.context) for each in rows], cross_fitted(rows))


def test_two_rows_by_hand() -> None:
    # w = 0.5 / 0.25 = 2 and 0.1 / 0.25 = 0.4; q is 1 for every action of both rows
    rows = [row(3.0, 0), row(1.0, 1)]
    evaluation = evaluate(rows, [(0.5, 0.1, 0.2, 0.2)] * 2, [(1.0,) * 4] * 2)
    assert values(evaluation) == pytest.approx(
        {Method.IPS: (2 * 3 + 0.4 * 1) / 2, Method.SNIPS: (2 * 3 + 0.4 * 1) / 2.4, Method.DR: ((1 + 2 * 2) + 1) / 2}
    )
    assert evaluation.effective == pytest.approx(2.4**2 / (4 + 0.16))
    assert (evaluation.weight_mean, evaluation.weight_most) == pytest.approx((1.2, 2.0))


def test_a_model_that_knows_all_leaves_no_error() -> None:
    """With q the reward itself, DR is the mean of what the policy would earn, whatever was drawn."""
    rows = [row(float(number % 4), number % 4, SKEWED, f"s{number}") for number in range(8)]
    evaluation = evaluate(rows, [(0.0, 0.0, 0.0, 1.0)] * 8, [(0.0, 1.0, 2.0, 3.0)] * 8)
    result = interval(evaluation.estimates[Method.DR], [each.cluster for each in rows])
    assert (result.value, result.error) == pytest.approx((3.0, 0.0))


def test_a_policy_that_does_nothing_of_what_was_logged() -> None:
    evaluation = evaluate([row(3.0, 0)], [(0.0, 1.0, 0.0, 0.0)], [NOTHING])
    assert values(evaluation) == {Method.IPS: 0.0, Method.SNIPS: 0.0, Method.DR: 0.0}
    assert evaluation.effective == 0.0


@pytest.mark.parametrize("rows", [[], [row(1.0)]])
def test_rows_and_distributions_go_together(rows: list[LoggedChoice]) -> None:
    with pytest.raises(ValueError, match=r"no rows|zip"):
        evaluate(rows, [], [])


@given(ROWS)
@UNHURRIED
def test_the_logging_policy_earns_the_plain_mean(rows: list[LoggedChoice]) -> None:
    evaluation = evaluate(rows, [each.distribution for each in rows], [NOTHING] * len(rows))
    mean = fmean(each.reward for each in rows)
    assert values(evaluation) == pytest.approx(dict.fromkeys(Method, mean))
    assert evaluation.effective == pytest.approx(len(rows))
    assert evaluation.weight_mean == pytest.approx(1.0)


@given(ROWS, CHANCES)
@UNHURRIED
def test_laws_of_all_estimates(rows: list[LoggedChoice], candidate: tuple[float, ...]) -> None:
    predicted = cross_fitted(rows)
    evaluation = evaluate(rows, [candidate] * len(rows), predicted)
    rewards = [each.reward for each in rows]
    assert min(rewards) - 1e-9 <= evaluation.estimates[Method.SNIPS].value <= max(rewards) + 1e-9
    assert 0.0 < evaluation.effective <= len(rows) + 1e-9
    for estimate in evaluation.estimates.values():
        assert sum(estimate.influence) == pytest.approx(0.0, abs=1e-7)
        assert difference(estimate, estimate).influence == (0.0,) * len(rows)
    shifted = [replace(each, reward=each.reward + 1.0) for each in rows]
    moved = evaluate(shifted, [candidate] * len(rows), [tuple(q + 1.0 for q in each) for each in predicted])
    for method in (Method.SNIPS, Method.DR):
        assert moved.estimates[method].value == pytest.approx(evaluation.estimates[method].value + 1.0)


@given(ROWS, CHANCES)
@UNHURRIED
def test_as_vw_estimators_estimate(rows: list[LoggedChoice], candidate: tuple[float, ...]) -> None:
    theirs = ips.Estimator(), snips.Estimator(), gaussian.Interval()
    for each in rows:
        for one in theirs:
            one.add_example(each.probability, each.reward, candidate[each.index])
    evaluation = evaluate(rows, [candidate] * len(rows), [NOTHING] * len(rows))
    assert evaluation.estimates[Method.IPS].value == pytest.approx(theirs[0].get())
    assert evaluation.estimates[Method.SNIPS].value == pytest.approx(theirs[1].get())
    alone = interval(evaluation.estimates[Method.IPS], [str(place) for place in range(len(rows))])
    assert [alone.low, alone.high] == pytest.approx(theirs[2].get(), abs=1e-5)  # they cancel in float


def test_clusters_of_one_give_the_error_of_a_mean_and_copies_are_no_news() -> None:
    rewards = [0.0, 3.0, 1.0, 0.0, 3.0, 3.0]
    rows = [row(each, 0, (1.0,), f"s{place}") for place, each in enumerate(rewards)]
    doubled = [*rows, *rows]
    clusters = [each.cluster for each in rows]
    one = interval(evaluate(rows, [(1.0,)] * 6, [(0.0,)] * 6).estimates[Method.IPS], clusters)
    twice = evaluate(doubled, [(1.0,)] * 12, [(0.0,)] * 12).estimates[Method.IPS]
    assert one.error == pytest.approx(stdev(rewards) / sqrt(6))
    assert interval(twice, clusters * 2).error == pytest.approx(one.error)
    assert interval(twice, [str(place) for place in range(12)]).error < one.error / 1.3
    assert interval(twice, ["all"] * 12).error == inf


def test_confidence_widens_an_interval() -> None:
    rows = log(200, seed=1)
    estimate = judged(rows, liking).estimates[Method.DR]
    clusters = [each.cluster for each in rows]
    narrow, wide = interval(estimate, clusters, 0.8), interval(estimate, clusters, 0.99)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert (narrow.high - narrow.value) / narrow.error == pytest.approx(NormalDist().inv_cdf(0.9))


def test_estimates_are_unbiased_and_intervals_cover() -> None:
    """200 logs of a policy that prefers the wrong actions; the seeds are fixed, so it is the same every time."""
    truth, runs, size = worth(liking), 200, 300
    logs = [log(size, seed) for seed in range(runs)]
    found = [judged(rows, liking).estimates for rows in logs]
    spread = {}
    for method in Method:
        estimates = [each[method].value for each in found]
        spread[method] = stdev(estimates)
        # four standard errors of the mean of the runs, and the bias of order 1/n that SNIPS has
        assert isclose(fmean(estimates), truth, abs_tol=4 * spread[method] / sqrt(runs) + 3.0 / size), method
        intervals = [
            interval(each[method], [one.cluster for one in rows]) for each, rows in zip(found, logs, strict=True)
        ]
        covered = fmean(each.low <= truth <= each.high for each in intervals)
        assert covered >= 0.95 - 4 * sqrt(0.95 * 0.05 / runs), method
    assert max(spread[Method.DR], spread[Method.SNIPS]) < 0.8 * spread[Method.IPS]


@pytest.mark.parametrize("seed", range(6))
def test_weight_sums_of_a_true_log_are_near_one_and_tell_a_false_one(seed: int) -> None:
    rows = log(2000, seed)
    sums = weight_sums(rows)
    assert list(sums) == sorted(ACTIONS)
    assert all(each.sound and each.rows == 2000 and abs(each.mean - 1) < 0.3 for each in sums.values())
    false = weight_sums([replace(each, distribution=EVEN) for each in rows])
    assert not false["category1"].sound
    assert not false["trending"].sound
    clicked = weight_sums([each for each in rows if each.index or each.reward])
    assert not clicked["category1"].sound


def test_the_reward_model_leans_on_coarser_means() -> None:
    rows = [row(3.0, 0) for _ in range(10)]
    model = RewardModel(rows)
    assert model.expected(at("VISITOR"), "category1") == pytest.approx(3.0)
    assert model.expected(at("BUILDER"), "category1") == pytest.approx(3.0)
    mixed = RewardModel([*rows, *(row(0.0, 1) for _ in range(10))])
    assert 1.5 < mixed.expected(at("BUILDER"), "category1") < mixed.expected(at("VISITOR"), "category1") < 3.0
    assert mixed.expected(at("VISITOR"), "trending") == pytest.approx(1.5)
    assert RewardModel([]).expected(at("VISITOR"), "trending") == 0.0


def test_what_is_predicted_for_a_subject_was_not_made_of_its_rows() -> None:
    rows = log(300, seed=3, subjects=30)
    mine = [place for place, each in enumerate(rows) if each.cluster == "s7"]
    changed = [replace(each, reward=3.0 - each.reward) if each.cluster == "s7" else each for each in rows]
    before, after = cross_fitted(rows), cross_fitted(changed)
    assert [before[place] for place in mine] == [after[place] for place in mine]
    assert before != after


def test_rows_come_of_explored_sound_displayed_decisions_only() -> None:
    joined = joined_of(1)
    taken = logged_choice(joined)
    assert isinstance(taken, LoggedChoice)
    assert (taken.cluster, taken.reward, taken.probability) == ("visitor:1", joined.reward, 0.25)
    assert taken.actions[taken.index] == joined.decision.action
    nameless = replace(joined, decision=replace(joined.decision, subject=None))
    assert isinstance(choice := logged_choice(nameless), LoggedChoice)
    assert choice.cluster == joined.decision.id
    fell_back = replace(joined, decision=replace(joined.decision, mode=DecisionMode.FALLBACK))
    assert [
        logged_choice(each)
        for each in (imitated_of(1), fell_back, replace(joined, displayed=False), replace(joined, reward=inf))
    ] == [Refusal.NOT_EXPLORED, Refusal.NOT_EXPLORED, Refusal.NOT_DISPLAYED, Refusal.INVALID_REWARD]
