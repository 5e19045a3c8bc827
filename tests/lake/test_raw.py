"""The raw zone holds each event of the hub once, under names that say what is in them."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from personalization.clock import ManualClock
from personalization.codec import encode_event, encode_joined
from personalization.events import (
    Decision,
    Exposure,
    ExposureEvent,
    ExposureEventKind,
    JoinedDecision,
    Outcome,
    OutcomeKind,
)
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import DECISIONS, EXPOSURE_EVENTS, EXPOSURES, JOINED, OUTCOMES, NewEvent
from personalization.ids import new_id
from personalization.lake.errors import LakeBusy, LakeDamaged, LakeUnavailable
from personalization.lake.layout import Lake, RawFile, RawPlace, live
from personalization.lake.locks import locked
from personalization.lake.parquet import rows_in
from personalization.lake.tables import decision_row
from personalization.lake.writer import GROUP, TOPICS, LakeMetrics, LakeWriter, write_raw
from tests.join.histories import START, history
from tests.join.hubs import stored
from tests.lake.filling import append, fill, ids_in, writer

DAY = date(2026, 3, 4)
PLACE = RawPlace(OUTCOMES, "abc", 3)


def file(first: int, last: int, place: RawPlace = PLACE, day: date = DAY) -> RawFile:
    return RawFile(place, first, last, day)


def test_names_say_what_is_in_a_file(lake: Lake) -> None:
    path = lake.path(file(7, 12))
    assert path.relative_to(lake.root).as_posix() == (
        "raw/outcomes/day=2026-03-04/abc-0003-000000000000007-000000000000012.parquet"
    )
    assert RawFile.parse(path) == file(7, 12)


@pytest.mark.parametrize(
    "name", ["day=2026-03-04/x.parquet", "day=2026-03-04/a-0-9-2.parquet", "today/a-0-1-2.parquet"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(LakeDamaged):
        RawFile.parse(Path("raw/outcomes") / name)


@given(st.sets(st.tuples(st.integers(0, 12), st.integers(0, 6)), max_size=9))
def test_no_event_is_lost_by_leaving_out_files_that_others_hold(ranges: set[tuple[int, int]]) -> None:
    files = [file(first, first + length) for first, length in ranges]
    kept = live(files)
    assert {each for one in files for each in range(one.first, one.last + 1)} == {
        each for one in kept for each in range(one.first, one.last + 1)
    }
    assert not any(one.holds(other) for one in kept for other in kept)


async def test_each_event_is_written_once(hub: MemoryHub, clock: ManualClock, lake: Lake) -> None:
    arrivals = history(Random(1), 60)
    await fill(hub, clock, lake, arrivals)
    await writer(hub, lake).run_once()
    for topic in (DECISIONS, OUTCOMES):
        assert sorted(ids_in(lake, topic)) == sorted(each.event.id for each in await stored(hub, topic))
    assert len(lake.days(OUTCOMES)) == 2, "the history goes over midnight"


async def test_a_replay_writes_nothing_twice(hub: MemoryHub, lake: Lake, clock: ManualClock) -> None:
    clock.at = START + timedelta(hours=1)
    await append(hub, clock, history(Random(2), 40))
    events = [each for each in await stored(hub, OUTCOMES) if each.partition == 0]
    assert write_raw(lake, "abc", events[:5]) == (1, 5)
    assert write_raw(lake, "abc", events[2:9]) == (1, 4)
    assert write_raw(lake, "abc", events) == (1, len(events) - 9)
    assert write_raw(lake, "abc", events) == (0, 0)
    assert ids_in(lake, OUTCOMES) == [each.event.id for each in events]


async def test_a_hub_made_anew_does_not_hide_behind_the_old(lake: Lake, clock: ManualClock) -> None:
    for seed in (1, 2):
        hub = MemoryHub(clock, new_id)
        await fill(hub, clock, lake, history(Random(seed), 10), steps=1)
    assert len(ids_in(lake, DECISIONS)) == 20


async def test_an_event_that_cannot_be_read_is_kept_as_it_is(hub: MemoryHub, lake: Lake) -> None:
    huge = replace(Outcome("b", "d", OutcomeKind.PURCHASED, START, START), quantity=2**63)
    events = [
        NewEvent("a", "k", b"not JSON"),
        NewEvent("b", "k", encode_event(huge)),
        NewEvent("c", "k", encode_event(replace(huge, id="c", quantity=1))),
    ]
    await hub.append(OUTCOMES, events)
    await writer(hub, lake).run_once()
    rows = [row for each in lake.files(OUTCOMES) for row in rows_in(lake.path(each))]
    assert [row["unreadable"] for row in rows] == [b"not JSON", encode_event(huge), None]
    assert [row["quantity"] for row in rows] == [None, None, 1]


async def test_topics_of_others_are_kept_as_bytes(hub: MemoryHub, lake: Lake) -> None:
    await hub.append("others", [NewEvent("x", "k", b"anything", {"traceparent": "t"})])
    await LakeWriter(hub, lake, LakeMetrics(CollectorRegistry()), topics=["others"]).run_once()
    (row,) = rows_in(lake.path(lake.files("others")[0]))
    assert (row["id"], row["value"], row["traceparent"]) == ("x", b"anything", "t")


async def test_every_topic_has_its_columns(hub: MemoryHub, lake: Lake) -> None:
    exposure = Exposure("e", START, "hero", "v2", "DEFAULT", "STATIC", "d1", "visitor:1", hash_version=3)
    seen = ExposureEvent("s", "e", ExposureEventKind.SEEN, START, START)
    decision = next(each.event for each in history(Random(1), 1) if isinstance(each.event, Decision))
    click = Outcome("o", decision.id, OutcomeKind.DETAIL_DISPLAYED, START, START)
    joined = JoinedDecision(decision, (click,), 1.0, True, START)
    for topic, event_id, value in (
        (EXPOSURES, "e", encode_event(exposure)),
        (EXPOSURE_EVENTS, "s", encode_event(seen)),
        (JOINED, decision.id, encode_joined(joined)),
    ):
        await hub.append(topic, [NewEvent(event_id, event_id, value)])
    await writer(hub, lake).run_once()
    rows = {topic: next(rows_in(lake.path(lake.files(topic)[0]))) for topic in lake.topics()}
    assert (rows[EXPOSURES]["exposed_at"], rows[EXPOSURES]["hash_version"]) == (START, 3)
    assert (rows[EXPOSURE_EVENTS]["exposure_id"], rows[EXPOSURE_EVENTS]["kind"]) == ("e", "SEEN")
    assert (rows[JOINED]["reward"], rows[JOINED]["displayed"], rows[JOINED]["action"]) == (1.0, True, decision.action)
    assert [each["id"] for each in rows[JOINED]["outcomes"]] == ["o"]
    assert all(row["unreadable"] is None for row in rows.values())


async def test_times_and_numbers_are_exact(hub: MemoryHub, clock: ManualClock, lake: Lake) -> None:
    arrivals = history(Random(4), 30)
    await fill(hub, clock, lake, arrivals, steps=1)
    rows = {row["id"]: row for each in lake.files(DECISIONS) for row in rows_in(lake.path(each))}
    for decision in (each.event for each in arrivals if isinstance(each.event, Decision)):
        wanted = decision_row(decision)
        got = {name: rows[decision.id][name] for name in wanted}
        assert got == wanted | {"actions": list(decision.actions), "distribution": list(decision.distribution)}
        assert got["decided_at"].utcoffset() == timedelta(0)


async def test_a_writer_that_is_told_to_stop_writes_what_it_holds(
    hub: MemoryHub, clock: ManualClock, lake: Lake
) -> None:
    stop, registry = asyncio.Event(), CollectorRegistry()
    arrivals = history(Random(5), 20)
    task = asyncio.create_task(LakeWriter(hub, lake, LakeMetrics(registry)).run(stop))
    await append(hub, clock, arrivals)
    there = {topic: sorted(each.event.id for each in await stored(hub, topic)) for topic in (DECISIONS, OUTCOMES)}
    async with asyncio.timeout(20):
        while registry.get_sample_value("gateway_lake_held_events") != sum(map(len, there.values())):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not lake.topics()
    stop.set()
    await task
    assert {topic: sorted(ids_in(lake, topic)) for topic in there} == there


async def test_a_full_memory_is_written_at_once(hub: MemoryHub, clock: ManualClock, lake: Lake) -> None:
    await append(hub, clock, history(Random(5), 20))
    stop = asyncio.Event()
    task = asyncio.create_task(writer(hub, lake, events=10).run(stop))
    async with asyncio.timeout(20):
        while len(ids_in(lake, DECISIONS)) < 20:  # noqa: ASYNC110  # the disk tells nobody
            await asyncio.sleep(0.01)
    stop.set()
    await task


async def test_a_lake_that_cannot_be_written_loses_nothing(hub: MemoryHub, clock: ManualClock, lake: Lake) -> None:
    await append(hub, clock, history(Random(6), 5))
    lake.root.write_text("a file where the folder should be")
    with pytest.raises(LakeUnavailable):
        await writer(hub, lake).run_once()
    lake.root.unlink()
    await writer(hub, lake).run_once()
    assert sorted(ids_in(lake, DECISIONS)) == [f"d{each:05}" for each in range(5)]


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(LakeBusy), locked(tmp_path / "lock", wait=False):
        pass
    with locked(tmp_path / "lock", wait=False):
        pass


async def test_a_single_run_waits_for_the_partitions_of_a_killed_writer(
    hub: MemoryHub, clock: ManualClock, lake: Lake
) -> None:
    await append(hub, clock, history(Random(7), 10))
    killed = hub.consumer(GROUP, TOPICS)
    await killed.__aenter__()
    await killed.poll_batch(100, 0)
    task = asyncio.create_task(writer(hub, lake).run_once())
    await asyncio.sleep(0.1)
    assert not task.done()
    clock.at += timedelta(seconds=11)
    await task
    assert len(ids_in(lake, DECISIONS)) == 10
    await killed.__aexit__(None, None, None)
