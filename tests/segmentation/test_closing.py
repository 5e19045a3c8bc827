"""What closings freeze of a shop's tables: nothing from after the end of the period, and nothing odd in silence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from personalization.classification.dataset import LEAST_OF_A_SEGMENT, Period, build_dataset, encode_frozen
from personalization.classification.errors import ClosingRefused
from personalization.classification.table import Table, Value
from personalization.clock import ManualClock
from personalization.lake.errors import LakeError
from personalization.lake.shop_tables import ORDER_LINES, write_shop_table
from personalization.segmentation.closing import OF_TRANSACTIONS, ShopClosings, features_at, table_of
from personalization.segmentation.definitions import SegmentSet, define, read_segments
from personalization.segmentation.errors import EmptyPeriod, InvalidSegments, MissingMonths
from personalization.segmentation.features import FEATURES
from resolvers.sources.embedded_export import DEFAULT_SEGMENTS, KNOWN_AT_CLOSINGS, LARGEST_CATEGORIES, export_shop

Line = tuple[object, ...]
NOW = datetime(2018, 1, 1, tzinfo=UTC)
MARCH = Period(2017, 3)


def line(customer: str, day: int, cents: int = 100, order: str = "", units: int = 1) -> Line:
    at = datetime(2017, 1, 1) + timedelta(days=day)
    return customer, order or f"{customer}-{day}", "p", "c", units, cents, cents, at


def people(count: int = 60) -> list[Line]:
    """So many customers who order each month; some of them often, and for more."""
    lines = []
    for number in range(count):
        days = range(3, 90, 5 if number % 2 else 29)
        lines += [line(f"c{number}", day + number % 3, 500 if number % 2 else 100 + number) for day in days]
    return lines


def shop(folder: Path, lines: Sequence[Line], segments: SegmentSet | None = None, gaps: bool = False) -> ShopClosings:
    tables = {ORDER_LINES: write_shop_table(folder, ORDER_LINES, lines)}
    defined = segments or define(features_at(tables, MARCH, 60), 2, ["rare=Rare", "often=Often"])
    return ShopClosings(tables, defined, OF_TRANSACTIONS, ManualClock(NOW), accept_gaps=gaps)


def test_nothing_from_after_the_end_changes_a_byte(tmp_path: Path) -> None:
    first = shop(tmp_path, people())
    frozen = first.observe(MARCH)
    later = [line("c1", 95, 90_000), line("new", 91), line("c2", 200)]
    assert encode_frozen(shop(tmp_path, [*people(), *later], first.segments).observe(MARCH)) == encode_frozen(frozen)
    assert frozen.days == 60
    assert set(frozen.labels) == {"rare", "often"}
    assert frozen.names == {"rare": "Rare", "often": "Often"}
    assert set(frozen.personas) == {"DIRECT_CUSTOMER"}
    assert frozen.remarks == ()


def test_the_embedded_shop_has_segments_of_its_own(tmp_path: Path) -> None:
    tables, segments = export_shop(tmp_path), read_segments(DEFAULT_SEGMENTS)
    frozen = ShopClosings(tables, segments, KNOWN_AT_CLOSINGS, ManualClock(NOW), categories=LARGEST_CATEGORIES).observe(
        Period(2017, 9)
    )
    sizes = [frozen.labels.count(each.key) for each in segments.segments]
    assert sizes == [each.size for each in segments.segments]
    assert sum(sizes) == len(frozen.table.customers) == 1748
    columns = {*frozen.table.schema.numbers, *frozen.table.schema.categories}
    assert not columns & {"role", "team_size", "sponsor_depth"}
    assert all(each.description for each in segments.segments)
    build_dataset(frozen)


def test_a_table_made_by_column_is_that_made_by_row(tmp_path: Path) -> None:
    source = shop(tmp_path, people(9), define_of(tmp_path))
    found = features_at(source.tables, MARCH, 10)
    keys = [each.key for each in FEATURES]
    made = table_of(found, keys)
    rows: list[dict[str, Value]] = [{key: found.columns[key][n] for key in keys} for n in range(len(found.customers))]
    expected = Table.of(made.schema, found.customers, rows)
    assert made.numbers.tobytes() == expected.numbers.tobytes()
    assert replace(made, numbers=None) == replace(expected, numbers=None)
    with pytest.raises(InvalidSegments, match="unheard"):
        table_of(found, ["unheard"])


def test_empty_and_missing_months_are_told(tmp_path: Path) -> None:
    source = shop(tmp_path, people())
    with pytest.raises(EmptyPeriod, match=r"in 2017-05; there are orders of 2017-01 to 2017-04"):
        shop(tmp_path, [*people(), line("c1", 95)], source.segments).observe(Period(2017, 5))
    gap = [each for each in people() if str(each[-1])[:7] != "2017-02"]
    with pytest.raises(MissingMonths, match=r"2017-02, which the features of 2017-03 look back to"):
        shop(tmp_path, gap, source.segments).observe(MARCH)
    accepted = shop(tmp_path, gap, source.segments, gaps=True).observe(MARCH)
    assert accepted.remarks == ("no orders at all of 2017-02: accepted",)
    with pytest.raises(EmptyPeriod, match="no month"):
        shop(tmp_path, [], source.segments).observe(MARCH)


def test_what_is_odd_is_told_and_what_became_of_it(tmp_path: Path) -> None:
    source = shop(tmp_path, people())
    plain = source.observe(MARCH)
    again = [people()[5]] * 3
    ahead = [line("c1", 500)]
    odd = shop(tmp_path, [*people(), *again, *ahead], source.segments).observe(MARCH)
    assert odd.remarks == (
        "3 order lines are there more than once and counted once",
        "1 order lines were placed in the future, by a wrong clock, and are not read",
    )
    assert encode_frozen(replace(odd, remarks=())) == encode_frozen(plain)
    refund = [line("c1", 80, -400), line("c2", 81, 700, order="c1-80"), line("c3", 82, 10, units=0)]
    assert shop(tmp_path, [*people(), *refund], source.segments).observe(MARCH).remarks == (
        "1 order lines have negative amounts and are taken off as refunds",
        "1 order lines have no units and count for money alone",
        "2 order lines have an order id that another customer has too",
    )


def test_what_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    segments = define_of(tmp_path)
    equal = [line(f"c{number}", day) for number in range(100) for day in (5, 40, 70)]
    with pytest.raises(ClosingRefused, match="in one segment"):
        build_dataset(shop(tmp_path, equal, segments).observe(MARCH))
    with pytest.raises(ClosingRefused, match="too few"):
        build_dataset(shop(tmp_path, people(1), segments).observe(MARCH))
    three = [*(line(f"r{number}", day) for number in range(90) for day in (5, 40, 70)), *people(6)]
    with pytest.raises(ClosingRefused, match=f"at least {LEAST_OF_A_SEGMENT} are needed"):
        build_dataset(shop(tmp_path, three, segments).observe(MARCH))
    with pytest.raises(LakeError, match="order_lines"):
        shop(tmp_path, [(*line("c1", 1)[:5], float("nan"), 1, NOW)], segments)


def define_of(folder: Path) -> SegmentSet:
    """The segments of `people`."""
    return shop(folder, people()).segments
