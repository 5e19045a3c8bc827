"""The offline join gives the rows of the online one: SQL over the lake, beside the joiner and the simple way."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization.clock import ManualClock
from personalization.events import Decision, JoinedDecision, Outcome, OutcomeKind
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import OUTCOMES
from personalization.ids import new_id
from personalization.join.joiner import Joiner, JoinLimits
from personalization.join.offline import JoinSpan, join_offline
from personalization.join.state import Fate
from personalization.lake.compaction import CompactionLimits, compact
from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.errors import LakeBusy, LakeDamaged, LakeEmpty, LakeError
from personalization.lake.etl import EtlRun, literal, run_etl, runs_of
from personalization.lake.layout import Lake, RawFile
from personalization.lake.locks import locked
from personalization.lake.parquet import read_table, rows_in, write_table
from personalization.lake.reader import LakeReader
from personalization.lake.verification import Problem, verify
from tests.join.histories import FAR, PATIENCE, RULES, SLACK, START, Arrival, expected, history
from tests.lake.filling import fill

PERIOD = timedelta(days=30)
SPAN = JoinSpan(until=START + FAR, period_start=START - PERIOD, period_end=START + PERIOD)


def etl(lake: Lake, span: JoinSpan = SPAN) -> EtlRun:
    with DuckDbRunner() as runner:
        return join_offline(lake, runner, new_id(), RULES, span)


async def filled(folder: Path, arrivals: Sequence[Arrival], steps: int = 2) -> Lake:
    lake, clock = Lake(folder), ManualClock(START)
    await fill(MemoryHub(clock, new_id), clock, lake, arrivals, steps)
    return lake


def joined_by_the_joiner(arrivals: Sequence[Arrival]) -> tuple[list[JoinedDecision], Joiner]:
    joiner = Joiner(RULES, JoinLimits(patience=PATIENCE))
    rows: list[JoinedDecision] = []
    for each in arrivals:
        if isinstance(each.event, Decision):
            joiner.decided(each.event)
        else:
            joiner.happened(each.event)
        rows.extend(one.row for one in joiner.advance(each.at - SLACK))
    return rows + [each.row for each in joiner.advance(START + FAR)], joiner


@given(st.integers(0, 2**32), st.integers(0, 30))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=12)
def test_the_rows_are_those_of_the_simple_way(seed: int, decisions: int) -> None:
    arrivals = history(Random(seed), decisions)
    with TemporaryDirectory() as name:
        etl(asyncio.run(filled(Path(name), arrivals)))
        rows = list(LakeReader(Path(name)).joined())
    wanted = expected(arrivals)
    assert {each.decision.id: each for each in rows} == wanted
    assert [each.decision.id for each in rows] == sorted(wanted, key=lambda each: (wanted[each].joined_at, each))


async def test_a_day_joined_three_ways_is_the_same(tmp_path: Path) -> None:
    arrivals = history(Random(2026), 5_000, seconds=86_400)
    lake = await filled(tmp_path, arrivals, steps=5)
    wanted = expected(arrivals)
    rows, _ = joined_by_the_joiner(arrivals)
    run = etl(lake)
    offline = list(LakeReader(tmp_path).joined())
    assert {each.decision.id: each for each in rows} == wanted
    assert {each.decision.id: each for each in offline} == wanted
    assert len(rows) == len(offline) == len(wanted) == 5_000
    once: dict[str, Arrival] = {}
    for each in arrivals:
        once.setdefault(each.event.id, each)
    _, counting = joined_by_the_joiner(list(once.values()))
    fates = Counter(row["fate"] for row in rows_in(run.path("fates")))
    for fate in (Fate.JOINED, Fate.EVICTED, Fate.AFTER_WINDOW, Fate.LATE, Fate.DANGLING):
        assert fates[fate.value] == counting.outcomes[fate], fate


async def test_a_lake_of_small_files_and_a_compacted_one_give_the_same(tmp_path: Path) -> None:
    lake = await filled(tmp_path, history(Random(3), 100), steps=6)
    etl(lake)
    before = list(LakeReader(tmp_path).joined())
    compact(lake, datetime.now(UTC) + timedelta(days=1), CompactionLimits(grace=timedelta(0)))
    etl(lake)
    assert list(LakeReader(tmp_path).joined()) == before


async def test_files_from_before_there_was_a_display_time_are_read(tmp_path: Path) -> None:
    arrivals = history(Random(11), 60)
    lake = await filled(tmp_path, arrivals, steps=4)
    forgotten = forget_durations(lake, lake.files(OUTCOMES)[::2])
    wanted = expected([_without_duration(each) if each.event.id in forgotten else each for each in arrivals])
    assert 0 < len(forgotten) < sum(isinstance(each.event, Outcome) for each in arrivals)
    for compacted in (False, True):
        if compacted:
            compact(lake, datetime.now(UTC) + timedelta(days=1), CompactionLimits(grace=timedelta(0)))
        etl(lake)
        assert {each.decision.id: each for each in LakeReader(tmp_path).joined()} == wanted
    forget_durations(lake, lake.files(OUTCOMES))
    run = etl(lake)
    old = expected([_without_duration(each) for each in arrivals])
    assert {each.decision.id: each for each in LakeReader(tmp_path).joined()} == old
    write_table(run.path("joined_outcomes"), read_table(run.path("joined_outcomes")).drop_columns("duration_s"))
    assert {each.decision.id: each for each in LakeReader(tmp_path).joined()} == old


def forget_durations(lake: Lake, files: Sequence[RawFile]) -> set[str]:
    """Make these files as they were before the column was there; the ids in them."""
    ids: set[str] = set()
    for each in files:
        table = read_table(lake.path(each))
        write_table(lake.path(each), table.select([name for name in table.column_names if name != "duration_s"]))
        ids.update(table["id"].to_pylist())
    return ids


def _without_duration(arrival: Arrival) -> Arrival:
    event = arrival.event
    return replace(arrival, event=replace(event, duration_s=None)) if isinstance(event, Outcome) else arrival


async def test_decisions_that_are_open_wait_for_the_next_run(tmp_path: Path) -> None:
    arrivals = history(Random(4), 100)
    lake = await filled(tmp_path, arrivals)
    until = START + timedelta(seconds=60)
    run = etl(lake, replace(SPAN, until=until))
    wanted = {each.decision.id for each in expected(arrivals).values() if each.joined_at <= until}
    assert {each.decision.id for each in LakeReader(tmp_path).joined()} == wanted
    assert 0 < len(wanted) < 100
    assert "open" in {row["fate"] for row in rows_in(run.path("fates"))}


async def test_a_run_may_begin_at_a_time(tmp_path: Path) -> None:
    arrivals = history(Random(5), 100)
    lake = await filled(tmp_path, arrivals)
    since = START + timedelta(seconds=60)
    etl(lake, replace(SPAN, since=since))
    wanted = {key: each for key, each in expected(arrivals).items() if each.decision.at >= since}
    assert {each.decision.id: each for each in LakeReader(tmp_path).joined()} == wanted


async def test_readers_may_ask_for_a_time(tmp_path: Path) -> None:
    arrivals = history(Random(5), 50)
    etl(await filled(tmp_path, arrivals))
    since, until = START + timedelta(seconds=30), START + timedelta(seconds=90)
    wanted = {key for key, each in expected(arrivals).items() if since <= each.decision.at < until}
    assert {each.decision.id for each in LakeReader(tmp_path).joined(since, until)} == wanted


async def test_an_empty_lake_joins_to_nothing(tmp_path: Path) -> None:
    with pytest.raises(LakeEmpty):
        list(LakeReader(tmp_path).joined())
    run = etl(Lake(tmp_path))
    assert {each.name: each.rows for each in run.datasets} == dict.fromkeys(
        ("decided", "fates", "joined", "joined_outcomes", "ordered"), 0
    )
    assert list(LakeReader(tmp_path).joined()) == []


async def test_clicks_that_became_orders_are_counted_up_to_the_closing(tmp_path: Path) -> None:
    (first, second) = (each.event for each in history(Random(1), 2) if isinstance(each.event, Decision))
    first, second = replace(first, at=START), replace(second, at=START)
    closing = START + timedelta(hours=12)

    def bought(decision: Decision, name: str, hours: float, quantity: int | None) -> Arrival:
        at = START + timedelta(hours=hours)
        return Arrival(at, Outcome(name, decision.id, OutcomeKind.PURCHASED, at, at, "p1", quantity))

    arrivals = [
        Arrival(START, first),
        Arrival(START, second),
        bought(first, "a", 2, 3),
        bought(first, "b", 5, None),
        bought(first, "after the closing", 13, 9),
        bought(second, "too late as well", 12, 1),
    ]
    run = etl(await filled(tmp_path, arrivals), replace(SPAN, period_end=closing))
    rows = {row["id"]: row for row in rows_in(run.path("ordered"))}
    ordered = rows[first.id]
    assert (ordered["ordered"], ordered["purchases"], ordered["pieces"]) == (True, 2, 4)
    assert ordered["first_ordered_at"] == START + timedelta(hours=2)
    assert (rows[second.id]["ordered"], rows[second.id]["pieces"]) == (False, 0)


async def test_readers_keep_their_run_and_old_runs_go(tmp_path: Path) -> None:
    lake = await filled(tmp_path, history(Random(6), 20))
    first = etl(lake)
    reader = LakeReader(tmp_path)
    rows = reader.joined(run=first)
    next(rows)
    for _ in range(2):
        etl(lake)
    assert reader.current().id > first.id
    assert len(list(rows)) == 19
    etl(lake)
    assert len(runs_of(lake)) == 3
    assert not first.folder.exists()


async def test_a_run_that_fails_or_is_killed_leaves_the_one_before(tmp_path: Path) -> None:
    lake = await filled(tmp_path, history(Random(7), 20))
    good = etl(lake)
    with DuckDbRunner() as runner, pytest.raises(LakeError):
        run_etl(lake, runner, new_id(), raw={}, tables={}, steps=["joined"], values={"until": START, "since": START})
    killed = lake.run_folder(new_id())
    killed.mkdir()
    assert LakeReader(tmp_path).current() == good
    etl(lake)
    assert not killed.exists()
    assert len(runs_of(lake)) == 2


async def test_one_run_at_a_time(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with locked(lake.processed / ".lock"), pytest.raises(LakeBusy):
        etl(lake)


async def test_a_damaged_run_is_found(tmp_path: Path) -> None:
    lake = await filled(tmp_path, history(Random(8), 20))
    run = etl(lake)
    with DuckDbRunner() as runner:
        assert verify(lake, runner).findings == ()
        path = run.path("joined")
        path.write_bytes(path.read_bytes()[:-1])
        assert [each.problem for each in verify(lake, runner).findings] == [Problem.DAMAGED]
        with pytest.raises(LakeDamaged):
            list(LakeReader(tmp_path).joined())
        lake.pointer.write_text("run=nowhere")
        assert [each.problem for each in verify(lake, runner).findings] == [Problem.DAMAGED]
        with pytest.raises(LakeDamaged):
            LakeReader(tmp_path).current()


def test_values_become_literals() -> None:
    assert literal("it's") == "'it''s'"
    assert literal(20) == "20"
    assert literal(START.astimezone()) == "TIMESTAMP '2026-03-04 23:59:30.000000+00:00'"
