"""The report of segments: it adds up, names who is typical, and stands by itself as a page."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.__main__ import app
from gateway.commands.segments import features_of
from personalization.segmentation.definitions import SegmentSet, define, keep_known, read_segments
from personalization.segmentation.errors import InvalidSegments
from personalization.segmentation.features import FeatureTable
from personalization.segmentation.movement import NEW, movement
from personalization.segmentation.report import TYPICAL, Report, analyse
from personalization.segmentation.report_page import report_page


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("segments")


@pytest.fixture(scope="module")
def tables(home: Path) -> tuple[FeatureTable, FeatureTable]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATEWAY_DATA_DIR", str(home))
        return features_of(datetime(2017, 10, 1), None), features_of(datetime(2018, 1, 1), None)


@pytest.fixture(scope="module")
def segments(tables: tuple[FeatureTable, FeatureTable]) -> SegmentSet:
    return define(tables[1], 4, ["many=The many"], descriptions=["many=Those who come & go"])


@pytest.fixture(scope="module")
def report(tables: tuple[FeatureTable, FeatureTable], segments: SegmentSet) -> Report:
    return analyse(tables[1], segments, tables[0])


def test_portraits_add_up(report: Report, segments: SegmentSet) -> None:
    portraits = report.portraits
    assert sum(each.size for each in portraits) == len(report.table.customers)
    assert sum(each.share for each in portraits) == pytest.approx(1.0)
    assert sum(each.sales_share for each in portraits) == pytest.approx(1.0)
    assert {each.segment.key: each.size for each in portraits} == {each.key: each.size for each in segments.segments}
    assert all(sum(each.personas.values()) == pytest.approx(1.0) for each in portraits)
    for key in portraits[0].categories:  # everyone's own share, by the share of sales of each segment
        assert sum(each.sales_share * each.categories[key] for each in portraits) == pytest.approx(1.0, abs=1e-6)


def test_typical_customers_are_members(report: Report, segments: SegmentSet) -> None:
    of = dict(zip(report.table.customers, segments.assign(report.table), strict=True))
    for each in report.portraits:
        assert len(each.typical) == TYPICAL
        assert {of[name] for name in each.typical} == {each.segment.key}


def test_everybody_moved_from_somewhere(report: Report, tables: tuple[FeatureTable, FeatureTable]) -> None:
    moved = report.moved
    assert moved is not None
    assert sum(moved.counts.values()) == len(report.table.customers)
    new = sum(count for (before, _), count in moved.counts.items() if before == NEW)
    assert new == len(set(tables[1].customers) - set(tables[0].customers))
    shares = [moved.share(row, column) for row in moved.rows for column in moved.columns if moved.size_before(row)]
    assert sum(each or 0.0 for each in shares) == pytest.approx(sum(moved.size_before(row) > 0 for row in moved.rows))


def test_nobody_moved_without_a_past() -> None:
    assert movement(["a"], {}, {}).stayed == 1.0
    assert movement(["a", "b"], {"1": "a", "2": "a", "gone": "b"}, {"1": "a", "2": "b"}).stayed == 0.5


def test_the_page_stands_by_itself(report: Report, tables: tuple[FeatureTable, FeatureTable]) -> None:
    page = report_page(report, before=tables[0].until, synthetic=True)
    assert all(each.segment.name in page for each in report.portraits)
    assert "Those who come &amp; go" in page
    assert "Personas of the embedded shop are synthetic" in page
    assert not any(word in page for word in ("src=", "href=", "<script", "@import", "url("))


def test_segments_found_again_stay_who_they_are(
    tables: tuple[FeatureTable, FeatureTable], segments: SegmentSet
) -> None:
    again, same = keep_known(define(tables[1], 4), tables[1], segments)
    assert again == segments
    assert (same.appeared, same.vanished, dict(same.split), dict(same.merged)) == ((), (), {}, {})
    more, told = keep_known(define(tables[1], 6), tables[1], segments)
    assert len({each.key for each in more.segments}) == 6
    assert set(told.kept) | set(told.appeared) == {each.key for each in more.segments}
    by_key = {each.key: each for each in segments.segments}
    for key in told.kept:
        kept = next(each for each in more.segments if each.key == key)
        assert (kept.name, kept.description) == (by_key[key].name, by_key[key].description)


def test_a_description_of_nothing_is_refused(tables: tuple[FeatureTable, FeatureTable]) -> None:
    with pytest.raises(InvalidSegments, match="key=text of segment-1, segment-2"):
        define(tables[1], 2, descriptions=["other=text"])


def run(home: Path, *arguments: str, typed: str | None = None) -> str:
    environment: Mapping[str, str] = {"GATEWAY_DATA_DIR": str(home)}
    ran = CliRunner().invoke(app, ["segments", *arguments], env=environment, input=typed)
    assert ran.exit_code == 0, ran.output
    return ran.output


def page_of(said: str) -> str:
    return Path(said.rpartition("Page: ")[2].strip()).read_text()


def test_the_whole_way_at_a_terminal(home: Path) -> None:
    said = run(home, "explore", "--least", "2", "--most", "3", "--k", "3")
    explored = page_of(said)
    assert "3 groups by k-means" in explored
    assert explored.count("<svg") > 20
    assert not any(word in explored for word in ("src=", "href=", "<script", "@import", "url("))
    names: Sequence[str] = ("--name", "many=The many", "--name", "loyal=The loyal")
    run(home, "define", "--k", "3", *names, "--describe", "loyal=They come again")
    assert "Kept: loyal, many, segment-3" in run(home, "define", "--k", "3")
    kept = {each.key: each.description for each in read_segments(home / "segments.json").segments}
    assert kept["loyal"] == "They come again"
    said = run(home, "report", "--days", "90")
    assert "The loyal" in said
    assert "How customers moved" in page_of(said)


def test_a_past_that_is_too_short_is_told(home: Path) -> None:
    run(home, "define", "--k", "2", "--fresh", "--file", str(home / "two.json"))
    said = run(home, "report", "--as-of", "2017-02-01", "--days", "40", "--file", str(home / "two.json"))
    assert "How they moved cannot be told: nobody ordered anything before 2016-12-23" in said
    assert "How customers moved" not in page_of(said)
