"""Draws are replayable from the id, and fair over many ids."""

from math import fsum, inf, nan
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization.bandit.sampling import floored, normalized, sample, unit_interval
from personalization.bandit.uniform import Uniform
from personalization.errors import InvalidDistribution
from personalization.events import DecisionContext

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CHI_SQUARE_999 = {1: 10.83, 2: 13.82, 3: 16.27, 7: 24.32}
"""Quantiles 0.999 of the chi-square distribution, by degrees of freedom."""

WEIGHTS = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=20)


def spread(weights: list[float]) -> tuple[float, ...]:
    total = fsum(weights)
    return normalized([each / total for each in weights], len(weights))


@given(WEIGHTS, st.uuids())
@UNHURRIED
def test_the_same_id_draws_the_same_action(weights: list[float], decision: UUID) -> None:
    distribution = spread(weights)
    index = sample(distribution, str(decision))
    assert index == sample(distribution, str(decision))
    below = fsum(distribution[:index])
    assert below - 1e-9 <= unit_interval(str(decision)) < below + distribution[index] + 1e-9


@given(WEIGHTS)
@UNHURRIED
def test_a_normalized_distribution_sums_to_one_and_stays_as_it_is(weights: list[float]) -> None:
    distribution = spread(weights)
    assert abs(fsum(distribution) - 1.0) <= 1e-9
    assert normalized(distribution, len(weights)) == pytest.approx(distribution, rel=1e-15)


def test_float32_rounding_is_renormalized_away() -> None:
    exact = normalized([0.3333333432674408] * 3, 3)
    assert fsum(exact) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    "distribution",
    [(0.5, 0.5), (0.125,) * 8, (0.7, 0.1, 0.1, 0.1), (0.0125, 0.0125, 0.9625, 0.0125), (0.9, 0.05, 0.05)],
)
def test_frequencies_follow_the_distribution(distribution: tuple[float, ...]) -> None:
    draws = 40_000
    counts = [0] * len(distribution)
    for each in range(draws):
        counts[sample(distribution, f"0198c0de-0000-7000-8000-{each:012x}")] += 1
    statistic = sum((got - draws * p) ** 2 / (draws * p) for got, p in zip(counts, distribution, strict=True))
    assert statistic <= CHI_SQUARE_999[len(distribution) - 1]


def test_the_draw_of_a_known_id_never_changes() -> None:
    """Old decisions could not be verified any more if it did."""
    assert unit_interval("0198c0de-0000-7000-8000-000000000001") == 0.5914851638009798


@pytest.mark.parametrize(
    ("distribution", "actions"),
    [
        ((), 0),
        ((0.5, 0.5), 3),
        ((1.0, 0.0), 2),
        ((1.5, -0.5), 2),
        ((nan, 1.0), 2),
        ((inf, 1.0), 2),
        ((0.5, 0.6), 2),
        ((0.1, 0.1), 2),
    ],
)
def test_what_is_no_distribution_is_refused(distribution: tuple[float, ...], actions: int) -> None:
    with pytest.raises(InvalidDistribution):
        normalized(distribution, actions)


@given(st.integers(1, 50))
@UNHURRIED
def test_uniform_is_even(actions: int) -> None:
    names = [f"a{each}" for each in range(actions)]
    distribution = normalized(Uniform().distribution(DecisionContext("HOME"), names), actions)
    assert set(distribution) == {distribution[0]}
    assert Uniform().version == "uniform@1"


def test_uniform_needs_an_action() -> None:
    with pytest.raises(InvalidDistribution, match="HOME"):
        Uniform().distribution(DecisionContext("HOME"), [])


@given(WEIGHTS, st.floats(0.0, 1.0))
@UNHURRIED
def test_a_floor_is_kept_by_every_action(weights: list[float], share: float) -> None:
    known = spread(weights)
    floor = share / len(known)
    mixed = floored(known, floor)
    assert sum(mixed) == pytest.approx(1.0, abs=1e-9)
    assert all(each >= floor for each in mixed)
    for before, after in zip(known, mixed, strict=True):
        assert after == pytest.approx((1 - share) * before + floor, abs=1e-12)


@pytest.mark.parametrize("floor", [-0.1, 0.51, float("nan"), float("inf")])
def test_a_floor_that_cannot_be_kept_is_refused(floor: float) -> None:
    with pytest.raises(InvalidDistribution, match="floor"):
        floored((0.5, 0.5), floor)
