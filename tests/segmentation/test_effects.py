"""Effect sizes are those of the textbooks, and say in words which way they go."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats.contingency import association, crosstab

from personalization.segmentation.effects import cohens_d, cramers_v, effects
from personalization.segmentation.features import Feature, FeatureTable, Kind, Value

COUNT = Feature("orders", "Orders.", "orders", "order_lines")
ROLE = Feature("role", "Persona.", "persona", "customers", Kind.CATEGORICAL)
SAMPLES = st.lists(st.integers(-50, 50), min_size=2, max_size=30)
WORDS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=4, max_size=40)


def table(orders: list[Value], roles: list[Value]) -> FeatureTable:
    start, end = datetime(2017, 1, 1, tzinfo=UTC), datetime(2018, 1, 1, tzinfo=UTC)
    names = tuple(str(place) for place in range(len(orders)))
    return FeatureTable(start, end, names, (COUNT, ROLE), {"orders": tuple(orders), "role": tuple(roles)})


@given(SAMPLES, SAMPLES)
def test_a_difference_of_means_turns_its_sign_and_not_its_size(one: list[int], other: list[int]) -> None:
    a, b = np.array(one, dtype=float), np.array(other, dtype=float)
    assert cohens_d(a, b) == pytest.approx(-cohens_d(b, a))
    assert np.sign(cohens_d(a, b)) == np.sign(round(a.mean() - b.mean(), 9))
    assert cohens_d(a * 3 + 7, b * 3 + 7) == pytest.approx(cohens_d(a, b))


@given(WORDS)
def test_the_association_of_words_is_that_of_scipy(pairs: list[tuple[str, bool]]) -> None:
    words, members = [word for word, _ in pairs], np.array([yes for _, yes in pairs])
    if len(set(words)) < 2 or len(set(members.tolist())) < 2:
        assert cramers_v(words, members) == 0.0
        return
    counts = crosstab(words, members).count
    assert cramers_v(words, members) == pytest.approx(association(counts, method="cramer"), abs=1e-9)


def test_what_differs_most_comes_first_and_is_said_in_words() -> None:
    members = np.array([True] * 4 + [False] * 4)
    found = effects(table([10, 11, 12, 13, 1, 2, 3, None], ["a", "a", "a", "b", "b", "b", "a", "b"]), members)
    assert [each.feature.key for each in found] == ["orders", "role"]
    assert found[0].size > 0.8
    assert found[0].words == "much more: 11.5 against 2 orders"
    assert found[1].words == "much more a: 75% against 25%"


def test_of_nobody_and_of_everyone_there_is_nothing_to_tell() -> None:
    four = table([1, 2, 3, 4], ["a", "b", "a", "b"])
    assert effects(four, np.array([True] * 4)) == effects(four, np.array([False] * 4)) == ()
    assert effects(four, np.array([True, False, False, False])) == (), "one alone has no spread"
