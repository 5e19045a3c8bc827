"""What is odd about a file of purchases is told before it is used."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.segmentation.errors import InvalidTransactions
from personalization.segmentation.transactions import Transaction, usable

NOW = datetime(2018, 1, 1, tzinfo=UTC)
PURCHASES = st.builds(
    Transaction,
    customer=st.sampled_from("abc"),
    at=st.integers(-300, 30).map(lambda days: NOW + timedelta(days=days)),
    cents=st.integers(-5, 5),
)


@given(st.lists(PURCHASES, max_size=30))
def test_what_is_left_is_from_the_past_and_each_once(given_rows: list[Transaction]) -> None:
    past = {each for each in given_rows if each.at <= NOW}
    if not past:
        with pytest.raises(InvalidTransactions, match="none of"):
            usable(given_rows, NOW)
        return
    found = usable(given_rows, NOW)
    assert set(found.transactions) == past
    assert len(found.transactions) == len(past)
    assert any("clock ran ahead" in each for each in found.notes) is any(each.at > NOW for each in given_rows)
    assert any("negative" in each for each in found.notes) is any(each.cents < 0 for each in past)


def test_each_oddity_is_told() -> None:
    day = datetime(2017, 1, 5, tzinfo=UTC)
    rows = [
        Transaction("a", day, 100),
        Transaction("a", day, 100),
        Transaction("b", datetime(2017, 4, 1, tzinfo=UTC), -5),
    ]
    assert usable([*rows, Transaction("c", NOW + timedelta(hours=1), 1)], NOW).notes == (
        "1 from after 2018-01-01 00:00 UTC are left out: a clock ran ahead",
        "1 are there twice, with all their values, and count once",
        "1 are negative: refunds, taken off the money paid, and no orders",
        "nobody bought anything in 2017-02, 2017-03: are months missing?",
    )
