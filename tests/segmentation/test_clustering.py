"""Groups that are known beforehand are found, the same each time, and bad tables are told."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from personalization.segmentation.clustering import Method, Scaling, centroids, explore, nearest
from personalization.segmentation.errors import NotEnoughVariety
from personalization.segmentation.features import Feature, FeatureTable, Value
from personalization.segmentation.identity import match_segments

AT = datetime(2017, 1, 1, tzinfo=UTC)


def table(**columns: Sequence[Value]) -> FeatureTable:
    rows = len(next(iter(columns.values())))
    features = tuple(Feature(key, "", "", "") for key in columns)
    return FeatureTable(
        AT, AT, tuple(map(str, range(rows))), features, {key: tuple(each) for key, each in columns.items()}
    )


def three_groups() -> FeatureTable:
    drawn = np.random.default_rng(1)
    middle = np.repeat([0.0, 10.0, 20.0], 30)
    noisy = [float(each) for each in middle + drawn.normal(0, 0.5, 90)]
    return table(a=list(noisy), b=list(noisy[::-1]))


def test_scaling_takes_logarithms_of_skewed_features_and_leaves_constants_out() -> None:
    skewed: list[Value] = [*([1.0] * 20), 1000.0, None]
    scaling = Scaling.of(table(skewed=skewed, even=[float(each) for each in range(22)], same=[3.0] * 22))
    assert [(each.key, each.log) for each in scaling.columns] == [("skewed", True), ("even", False)]
    matrix = scaling.matrix(table(skewed=skewed, even=[float(each) for each in range(22)], same=[3.0] * 22))
    assert np.allclose(matrix.mean(axis=0), 0.0)
    assert np.allclose(matrix.std(axis=0), 1.0)


@pytest.mark.parametrize("method", list(Method))
def test_three_groups_are_the_best_number(method: Method) -> None:
    matrix = Scaling.of(three_groups()).matrix(three_groups())
    trials = list(explore(matrix, [2, 3, 4], methods=[method]))
    assert max(trials, key=lambda each: each.silhouette).k == 3
    assert trials[1].stability == pytest.approx(1.0)
    assert trials[1].sizes == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert trials == list(explore(matrix, [2, 3, 4], methods=[method]))


def test_centroids_give_each_customer_its_group() -> None:
    matrix = Scaling.of(three_groups()).matrix(three_groups())
    labels = nearest(matrix, centroids(matrix, 3))
    assert [len(set(labels[start : start + 30])) for start in (0, 30, 60)] == [1, 1, 1]
    assert len(set(labels)) == 3


def test_one_customer_and_equal_ones_are_told() -> None:
    with pytest.raises(NotEnoughVariety, match="all 1 customers are equal"):
        Scaling.of(table(a=[1.0]))
    with pytest.raises(NotEnoughVariety, match="equal in every feature"):
        Scaling.of(table(a=[2.0] * 9, gaps=[None] * 9))
    with pytest.raises(NotEnoughVariety, match="there are 2"):
        centroids(np.array([[0.0], [1.0], [1.0]]), 2)


def groups(**members: str) -> dict[str, str]:
    return {customer: key for key, customers in members.items() for customer in customers}


def test_segments_keep_their_identity_whatever_groups_are_called() -> None:
    found = match_segments(groups(x="abc", y="defg"), groups(g1="defg", g2="abc"))
    assert found.kept == {"g1": "y", "g2": "x"}
    assert (found.appeared, found.vanished, found.split, found.merged) == ((), (), {}, {})


def test_a_split_a_merger_and_a_vanished_segment_are_said() -> None:
    split = match_segments(groups(x="abcdef", y="ghi"), groups(g1="abcd", g2="ef", g3="ghi"))
    assert (split.kept, split.split) == ({"g1": "x", "g3": "y"}, {"x": ("g1", "g2")})
    assert split.appeared == ("g2",)
    merged = match_segments(groups(x="abcd", y="ef"), groups(g="abcdef"))
    assert (merged.kept, merged.merged, merged.vanished) == ({"g": "x"}, {"g": ("x", "y")}, ("y",))
