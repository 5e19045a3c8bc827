"""What orders tell of one customer is what SQL tells of all."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.lake.shop_tables import ORDER_LINES, write_shop_table
from personalization.segmentation.features import compute_features
from personalization.segmentation.newcomers import Purchase, features_of

NOW = datetime(2017, 10, 1, tzinfo=UTC)

purchase = st.builds(
    lambda hours, units, cents: Purchase(NOW - timedelta(hours=hours), units, cents),
    st.integers(1, 9000),
    st.integers(1, 9),
    st.integers(-500, 5000),
)


@settings(max_examples=20, deadline=None)
@given(
    purchases=st.lists(purchase, min_size=1, max_size=8, unique_by=lambda each: each.at),
    days=st.sampled_from([30, 200]),
)
def test_features_are_those_of_sql(purchases: list[Purchase], days: int) -> None:
    lines = [("me", str(n), "p", "c", p.units, p.cents, p.cents, p.at) for n, p in enumerate(purchases)]
    # Somebody else, so that the period is never empty.
    lines.append(("you", "0", "p", "c", 1, 100, 100, NOW - timedelta(hours=1)))
    with TemporaryDirectory() as folder:
        tables = {ORDER_LINES: write_shop_table(Path(folder), ORDER_LINES, lines)}
        expected = compute_features(tables, until=NOW, since=NOW - timedelta(days=days)).row("me")
    late = Purchase(NOW, 1, 100)
    for key, value in features_of([*purchases, late], NOW, days).items():
        assert value == pytest.approx(expected[key]), key


def test_nobody_is_made_up_of_nothing() -> None:
    assert features_of([], NOW, 90) == {}
    assert features_of([Purchase(NOW, 1, 100)], NOW, None) == {}
    assert features_of([Purchase(NOW - timedelta(days=400), 1, 100)], NOW, None)["tenure"] == 400.0
