"""Compaction changes no row, wherever it is interrupted; verification finds what is wrong."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from shutil import copyfile

import pytest

from personalization.clock import ManualClock
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import DECISIONS, OUTCOMES
from personalization.lake.compaction import CompactionLimits, compact
from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.errors import LakeBusy, LakeDamaged
from personalization.lake.layout import Lake, RawFile
from personalization.lake.locks import locked
from personalization.lake.verification import Problem, verify
from personalization.lake.writer import write_raw
from tests.join.histories import history
from tests.join.hubs import stored
from tests.lake.filling import append, fill, ids_in

AT_ONCE = CompactionLimits(grace=timedelta(0))


def now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


@pytest.fixture
async def filled(hub: MemoryHub, clock: ManualClock, lake: Lake) -> Lake:
    await fill(hub, clock, lake, history(Random(1), 80), steps=6)
    return lake


def names(lake: Lake, topic: str) -> list[str]:
    return [each.name for each in lake.paths(topic)]


def test_rows_stay_and_files_become_few(filled: Lake, runner: DuckDbRunner) -> None:
    before = {topic: ids_in(filled, topic) for topic in filled.topics()}
    files = {topic: len(names(filled, topic)) for topic in filled.topics()}
    first = compact(filled, now())
    assert first.written > 0
    assert first.removed == 0, "readers that listed files before may still open them"
    assert {topic: ids_in(filled, topic) for topic in filled.topics()} == before
    second = compact(filled, now() + timedelta(hours=1))
    assert (second.written, second.removed > 0) == (0, True)
    assert {topic: ids_in(filled, topic) for topic in filled.topics()} == before
    assert all(len(names(filled, topic)) < files[topic] for topic in filled.topics())
    assert verify(filled, runner).findings == ()


def test_merged_files_are_bounded(filled: Lake) -> None:
    compact(filled, now(), CompactionLimits(most_rows=10, grace=timedelta(0)))
    for topic in filled.topics():
        merged = [each.last - each.first + 1 for each in filled.files(topic)]
        assert max(merged) <= 20, "no file of more than ten rows is merged with another"


def test_parts_are_removed_only_after_the_merged_file_was_read_back(filled: Lake) -> None:
    damaged = middle(filled)
    damaged.write_bytes(damaged.read_bytes()[:-9])
    there = names(filled, OUTCOMES)
    with pytest.raises(LakeDamaged):
        compact(filled, now(), AT_ONCE)
    assert set(there) <= set(names(filled, OUTCOMES))


def test_one_compacts_at_a_time(filled: Lake) -> None:
    with locked(filled.root / ".compaction"), pytest.raises(LakeBusy):
        compact(filled, now())


def test_what_a_killed_writer_left_is_removed_later(filled: Lake) -> None:
    left = filled.days(OUTCOMES)[0] / "abc-0000-1-2.parquet.xyz.tmp"
    left.write_bytes(b"half")
    compact(filled, now())
    assert left.exists()
    compact(filled, now() + timedelta(hours=2))
    assert not left.exists()


def test_a_sound_lake_has_no_findings(filled: Lake, runner: DuckDbRunner) -> None:
    report = verify(filled, runner)
    assert report.findings == ()
    assert report.rows == sum(len(ids_in(filled, topic)) for topic in (DECISIONS, OUTCOMES))
    assert report.files == sum(len(names(filled, topic)) for topic in (DECISIONS, OUTCOMES))


def middle(lake: Lake) -> Path:
    """A file that has one before and one after it."""
    by_place: dict[object, list[RawFile]] = {}
    for each in lake.files(OUTCOMES):
        by_place.setdefault(each.place, []).append(each)
    return lake.path(max(by_place.values(), key=len)[1])


def misname(path: Path) -> None:
    path.rename(path.with_name("notes.parquet"))


def lie(path: Path) -> None:
    file = RawFile.parse(path)
    path.rename(path.with_name(file.name.replace(f"{file.last:015}", f"{file.last + 1:015}")))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[40] ^= 0xFF
    path.write_bytes(content)


def move(path: Path) -> None:
    other = path.parents[1] / "day=2020-01-01"
    other.mkdir()
    path.rename(other / path.name)


def repeat(path: Path) -> None:
    """The same events under the name of another log."""
    file = RawFile.parse(path)
    copyfile(path, path.with_name(file.name.replace(file.place.source, "other")))


@pytest.mark.parametrize(
    ("harm", "problems"),
    [
        (misname, {Problem.MISNAMED, Problem.GAP}),
        (lie, {Problem.DAMAGED, Problem.GAP}),
        (flip, {Problem.DAMAGED, Problem.GAP}),
        (os.remove, {Problem.GAP}),
        (move, {Problem.WRONG_DAY}),
        (repeat, {Problem.DUPLICATE}),
    ],
)
def test_harm_is_found(
    filled: Lake, runner: DuckDbRunner, harm: Callable[[Path], None], problems: set[Problem]
) -> None:
    harm(middle(filled))
    assert {each.problem for each in verify(filled, runner).findings} == problems


async def test_an_overlap_is_found(hub: MemoryHub, clock: ManualClock, lake: Lake, runner: DuckDbRunner) -> None:
    await append(hub, clock, history(Random(1), 30, seconds=5))
    events = [each for each in await stored(hub, OUTCOMES) if each.partition == 0]
    other = Lake(lake.root / "other")
    write_raw(lake, "abc", events[:6])
    write_raw(other, "abc", events[4:9])
    for each in other.files(OUTCOMES):
        copyfile(other.path(each), lake.path(each))
    found = {each.problem for each in verify(lake, runner).findings}
    assert found == {Problem.OVERLAP, Problem.DUPLICATE}
