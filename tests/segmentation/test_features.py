"""Features as of a date, over orders written by hand and at random."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.lake.errors import LakeError
from personalization.lake.shop_tables import CUSTOMERS, EXPOSURES, ORDER_LINES, SPONSORS, write_shop_table
from personalization.segmentation.errors import EmptyPeriod, NoCustomers
from personalization.segmentation.features import FeatureTable, compute_features

START = datetime(2017, 1, 1, tzinfo=UTC)
CUT = START + timedelta(days=100)

Line = tuple[str, str, str, str, int, int, int, datetime]


def line(customer: str, order: str, day: float, paid: int = 100, full: int = 100, category: str = "hair") -> Line:
    return customer, order, f"p-{category}", category, 1, paid, full, (START + timedelta(days=day)).replace(tzinfo=None)


def features(folder: Path, lines: Sequence[Line], since: datetime | None = None) -> FeatureTable:
    tables = {ORDER_LINES: write_shop_table(folder, ORDER_LINES, lines)}
    return compute_features(tables, until=CUT, since=since, categories=["hair", "it's"])


def test_the_values_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    lines = [
        line("a", "1", 10, 100, 100),
        line("a", "1", 10, 150, 200, "it's"),
        line("a", "2", 90, 250, 250),
        line("b", "3", 50, 50, 100),
    ]
    found = features(tmp_path, lines)
    row = found.row("a")
    assert found.customers == ("a", "b")
    assert (row["recency"], row["tenure"], row["frequency"]) == (10.0, 90.0, 2.0)
    assert (row["monetary"], row["basket_size"]) == (5.0, 1.5)
    assert (row["share.hair"], row["share.it's"]) == (0.7, 0.3)
    assert row["coupon_use"] == pytest.approx(1 / 3)
    assert row["price_level"] == pytest.approx((1.0 + 1.0 + 2.5) / 3)
    assert row["season"] == "SPRING"  # as many orders as in winter, and first by name


def test_team_role_and_components(tmp_path: Path) -> None:
    at = START.replace(tzinfo=None) + timedelta(days=3)
    tables = {
        ORDER_LINES: write_shop_table(
            tmp_path, ORDER_LINES, [line("a", "1", 1), line("b", "2", 2), line("c", "3", 200)]
        ),
        CUSTOMERS: write_shop_table(tmp_path, CUSTOMERS, [("a", "BUILDER", "US-S")]),
        SPONSORS: write_shop_table(tmp_path, SPONSORS, [("b", "a", 1), ("c", "b", 1), ("c", "a", 2)]),
        EXPOSURES: write_shop_table(
            tmp_path, EXPOSURES, [("a", "hero", at), ("a", "hero", at), ("a", "hero", at + timedelta(days=150))]
        ),
    }
    found = compute_features(tables, until=CUT, components=["hero"])
    assert found.columns["role"] == ("BUILDER", None)
    assert found.columns["team_size"] == (1.0, 0.0)  # c had not ordered yet
    assert found.columns["sponsor_depth"] == (0.0, 1.0)
    assert found.columns["uses.hero"] == (2.0, None)


def test_a_line_twice_counts_once_and_refunds_are_taken_off(tmp_path: Path) -> None:
    again = line("a", "1", 10)
    found = features(tmp_path, [again, again, line("a", "2", 20, 300, 300), line("a", "3", 30, -300, -300)])
    assert (found.row("a")["frequency"], found.row("a")["monetary"]) == (2.0, 1.0)


def test_who_did_not_order_in_the_period_has_gaps_and_no_wrong_numbers(tmp_path: Path) -> None:
    found = features(tmp_path, [line("a", "1", 1), line("b", "2", 60)], since=START + timedelta(days=50))
    row = found.row("a")
    assert (row["frequency"], row["monetary"], row["basket_size"], row["share.hair"]) == (0.0, 0.0, None, None)
    assert row["recency"] == 99.0


def test_nobody_and_an_empty_period_are_told(tmp_path: Path) -> None:
    with pytest.raises(NoCustomers, match="choose a later date"):
        features(tmp_path, [line("a", "1", 100)])
    with pytest.raises(EmptyPeriod, match="2017-02-20"):
        features(tmp_path, [line("a", "1", 1)], since=START + timedelta(days=50))


@pytest.mark.parametrize("paid", [float("nan"), None, 1.5])
def test_an_amount_that_is_no_whole_number_is_refused(tmp_path: Path, paid: object) -> None:
    bad = (*line("a", "1", 1)[:5], paid, *line("a", "1", 1)[6:])
    with pytest.raises(LakeError, match="order_lines"):
        write_shop_table(tmp_path, ORDER_LINES, [bad])


def test_the_hash_names_the_columns_and_not_the_rows(tmp_path: Path) -> None:
    lines = [line("a", "1", 1)]
    first, second = features(tmp_path, lines), features(tmp_path, [*lines, line("b", "2", 2)])
    fewer = compute_features({ORDER_LINES: tmp_path / f"{ORDER_LINES}.parquet"}, until=CUT)
    assert first.schema_hash == second.schema_hash != fewer.schema_hash


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.builds(
            line,
            st.sampled_from("abc"),
            st.sampled_from("1234"),
            st.floats(0, 200),
            st.integers(-500, 500),
            st.integers(0, 500),
            st.sampled_from(["hair", "it's"]),
        ),
        max_size=12,
    )
)
def test_nothing_from_after_the_date_changes_anything(lines: list[Line]) -> None:
    before = [line("z", "0", 5), *(each for each in lines if each[-1] < CUT.replace(tzinfo=None))]
    with TemporaryDirectory() as folder:
        assert features(Path(folder), [line("z", "0", 5), *lines]) == features(Path(folder), before)
