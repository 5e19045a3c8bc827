"""Seasons follow the month and the hemisphere."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.events import Season
from resolvers.season import season


@pytest.mark.parametrize(
    ("month", "region", "expected"),
    [
        (1, None, Season.WINTER),
        (12, "US-NE", Season.WINTER),
        (3, "US-S", Season.SPRING),
        (8, "CZ", Season.SUMMER),
        (11, "DE", Season.AUTUMN),
        (1, "AU", Season.SUMMER),
        (7, "nz-AUK", Season.WINTER),
        (10, "ZA", Season.SPRING),
    ],
)
def test_known_seasons(month: int, region: str | None, expected: Season) -> None:
    assert season(datetime(2026, month, 15, tzinfo=UTC), region) is expected


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_south_is_half_a_year_away(at: datetime) -> None:
    order = [Season.WINTER, Season.SPRING, Season.SUMMER, Season.AUTUMN]
    north, south = season(at, "US"), season(at, "AR")
    assert order.index(south) == (order.index(north) + 2) % 4
