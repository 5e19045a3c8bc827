"""The online join writes the rows of the slow and simple way to the hub, each once, whoever crashes when."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracer, Tracer
from prometheus_client import CollectorRegistry

from personalization.clock import ManualClock
from personalization.events import Decision, JoinedDecision
from personalization.hub.consumer import Pace
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import DECISIONS, JOINED, OUTCOMES, Appended, NewEvent
from personalization.ids import new_id
from personalization.join.checkpoints import Checkpoint, Checkpoints
from personalization.join.joiner import JoinLimits
from personalization.join.metrics import JoinMetrics
from personalization.join.online import GROUP, JoinPace, OnlineJoin
from personalization.join.partition import TOPICS
from tests.join.histories import FAR, PATIENCE, RULES, SLACK, START, Arrival, expected, history
from tests.join.hubs import new_event, rows_in_hub, stored

LONGEST = 30.0
INVALID_DECISIONS = {"topic": DECISIONS, "result": "invalid"}
PACE = JoinPace(slack=SLACK.total_seconds(), wait=0.001, checkpoint=3.0, batch=7, rows=3, backoff=0.001)


class Crash(BaseException):
    """The process ends here: nothing that it would have done afterwards happens."""


class CrashingHub(MemoryHub):
    """A hub whose writers of rows crash at random, before or after a write."""

    random = Random(0)
    crashes = 0

    async def append(self, topic: str, events: Sequence[NewEvent]) -> Appended:
        moment = self.random.randint(0, 12) if topic == JOINED and self.crashes else 2
        if moment == 0:
            raise self._crash()
        appended = await super().append(topic, events)
        if moment == 1:
            raise self._crash()
        return appended

    def _crash(self) -> Crash:
        self.crashes -= 1
        return Crash()


class ForgetfulCheckpoints(Checkpoints):
    """Checkpoints on a disk that now and then loses one, or keeps the one before."""

    random = Random(0)

    def write(self, partition: int, checkpoint: Checkpoint) -> None:
        if self.random.random() < 0.8:
            super().write(partition, checkpoint)

    def read(self, partition: int, log_id: str) -> Checkpoint | None:
        return super().read(partition, log_id) if self.random.random() < 0.8 else None


def online(
    hub: MemoryHub,
    checkpoints: Checkpoints,
    clock: ManualClock,
    registry: CollectorRegistry | None = None,
    tracer: Tracer | None = None,
) -> OnlineJoin:
    return OnlineJoin(
        hub,
        checkpoints,
        clock=clock,
        tracer=tracer or NoOpTracer(),
        metrics=JoinMetrics(registry or CollectorRegistry()),
        rules=RULES,
        limits=JoinLimits(patience=PATIENCE),
        pace=PACE,
    )


async def kept_running(hub: MemoryHub, checkpoints: Checkpoints, clock: ManualClock, stop: asyncio.Event) -> None:
    """A member of the group that is started again after each crash."""
    while True:
        try:
            await online(hub, checkpoints, clock).run(stop)
        except Crash:
            continue
        return


async def feed(hub: MemoryHub, clock: ManualClock, arrivals: Sequence[Arrival]) -> None:
    for each in arrivals:
        clock.at = max(clock.at, each.at)
        topic, event = new_event(each)
        await hub.append(topic, [event])
        await asyncio.sleep(0.0005)


async def until_joined(hub: MemoryHub, clock: ManualClock, count: int) -> None:
    clock.at = START + FAR
    async with asyncio.timeout(LONGEST):
        while len(await stored(hub)) < count:  # noqa: ASYNC110  # the hub tells nobody
            await asyncio.sleep(0.01)


async def joined_online(
    random: Random, arrivals: Sequence[Arrival], members: int, folder: Path
) -> list[JoinedDecision]:
    clock, stop = ManualClock(START), asyncio.Event()
    hub = CrashingHub(clock, new_id, partitions=3, pace=Pace(interval=0.0005))
    hub.random, hub.crashes = random, 6
    checkpoints = ForgetfulCheckpoints(folder)
    checkpoints.random = random
    async with asyncio.TaskGroup() as group:
        for _ in range(members):
            group.create_task(kept_running(hub, checkpoints, clock, stop))
        await feed(hub, clock, arrivals)
        await until_joined(hub, clock, len(expected(arrivals)))
        stop.set()
    return await rows_in_hub(hub)


@given(st.integers(0, 2**32), st.integers(1, 25), st.integers(1, 2))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=25)
def test_the_rows_are_those_of_the_simple_way(seed: int, decisions: int, members: int) -> None:
    arrivals = history(Random(seed), decisions)
    with TemporaryDirectory() as name:
        rows = asyncio.run(joined_online(Random(seed), arrivals, members, Path(name)))
    assert {each.decision.id: each for each in rows} == expected(arrivals)
    assert len(rows) == len(expected(arrivals))


async def test_a_member_that_leaves_hands_its_state_on(tmp_path: Path) -> None:
    arrivals = history(Random(7), 30)
    clock, registry = ManualClock(START), CollectorRegistry()
    hub = MemoryHub(clock, new_id, pace=Pace(interval=0.0005))
    half = len(arrivals) // 2
    stop = asyncio.Event()
    task = asyncio.create_task(online(hub, Checkpoints(tmp_path), clock).run(stop))
    await feed(hub, clock, arrivals[:half])
    await asyncio.sleep(0.05)
    stop.set()
    await task
    stop = asyncio.Event()
    task = asyncio.create_task(online(hub, Checkpoints(tmp_path), clock, registry).run(stop))
    await feed(hub, clock, arrivals[half:])
    await until_joined(hub, clock, len(expected(arrivals)))
    stop.set()
    await task
    skipped = sum(
        registry.get_sample_value("gateway_join_events_total", {"topic": each, "result": "skipped"}) or 0
        for each in TOPICS
    )
    assert skipped > 0, "what the state held was passed over"
    assert {each.decision.id: each for each in await rows_in_hub(hub)} == expected(arrivals)


async def test_offsets_do_not_pass_what_is_still_needed(tmp_path: Path) -> None:
    clock, stop = ManualClock(START), asyncio.Event()
    hub = MemoryHub(clock, new_id, partitions=1, pace=Pace(interval=0.0005))
    arrivals = history(Random(3), 20, seconds=5)
    task = asyncio.create_task(online(hub, Checkpoints(tmp_path), clock).run(stop))
    first = next(each for each in arrivals if isinstance(each.event, Decision))
    await feed(hub, clock, [first])
    await asyncio.sleep(0.05)
    stop.set()
    await task
    async with hub.consumer(GROUP, TOPICS) as consumer:
        assert [each.event.id for each in await consumer.poll_batch(9, 0)] == [first.event.id]
    checkpoint = Checkpoints(tmp_path).read(0, await hub.log_id())
    assert checkpoint is not None
    assert checkpoint.offsets == {DECISIONS: 1}
    assert [each.decision for each in checkpoint.state.held] == [first.event]


async def test_a_log_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    arrivals = history(Random(5), 10)
    for _ in range(2):
        clock, stop = ManualClock(START), asyncio.Event()
        hub = MemoryHub(clock, new_id, pace=Pace(interval=0.0005))
        task = asyncio.create_task(online(hub, Checkpoints(tmp_path), clock).run(stop))
        await feed(hub, clock, arrivals)
        await until_joined(hub, clock, len(expected(arrivals)))
        stop.set()
        await task
        assert {each.decision.id: each for each in await rows_in_hub(hub)} == expected(arrivals)


async def test_the_join_waits_for_the_hub_and_says_so(tmp_path: Path) -> None:
    clock, stop, registry = ManualClock(START), asyncio.Event(), CollectorRegistry()
    hub = MemoryHub(clock, new_id, pace=Pace(interval=0.0005))
    arrivals = history(Random(6), 10)
    task = asyncio.create_task(online(hub, Checkpoints(tmp_path), clock, registry).run(stop))
    await feed(hub, clock, arrivals)
    hub.fail("the disk is full")
    async with asyncio.timeout(LONGEST):
        while not registry.get_sample_value("gateway_join_hub_away_total"):  # noqa: ASYNC110  # nor do metrics
            await asyncio.sleep(0.01)
    hub.fail(None)
    await until_joined(hub, clock, len(expected(arrivals)))
    stop.set()
    await task
    assert {each.decision.id: each for each in await rows_in_hub(hub)} == expected(arrivals)


async def test_what_cannot_be_read_is_counted_and_holds_nobody_up(tmp_path: Path) -> None:
    clock, stop, registry = ManualClock(START), asyncio.Event(), CollectorRegistry()
    hub = MemoryHub(clock, new_id, pace=Pace(interval=0.0005))
    await hub.append(OUTCOMES, [NewEvent("bad", "bad", b"{}")])
    arrivals = history(Random(8), 5)
    task = asyncio.create_task(online(hub, Checkpoints(tmp_path), clock, registry).run(stop))
    await feed(hub, clock, arrivals)
    await until_joined(hub, clock, len(expected(arrivals)))
    stop.set()
    await task
    assert registry.get_sample_value("gateway_join_events_total", {"topic": OUTCOMES, "result": "invalid"}) == 1
    rows = [
        registry.get_sample_value("gateway_join_rows_total", {"displayed": each}) or 0
        for each in ("reported", "implied", "assumed", "no")
    ]
    assert sum(rows) == 5


async def test_a_row_goes_on_with_the_trace_of_its_decision(tmp_path: Path) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    clock, stop = ManualClock(START), asyncio.Event()
    hub = MemoryHub(clock, new_id, pace=Pace(interval=0.0005))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    (topic, event) = new_event(history(Random(1), 1)[0], {"traceparent": parent})
    await hub.append(topic, [event])
    tracer = provider.get_tracer("test")
    task = asyncio.create_task(online(hub, Checkpoints(tmp_path), clock, tracer=tracer).run(stop))
    await asyncio.sleep(0.02)
    clock.at += timedelta(minutes=5)
    await until_joined(hub, clock, 1)
    stop.set()
    await task
    (row,) = await stored(hub)
    assert row.event.headers == {"traceparent": parent}
    (span,) = exporter.get_finished_spans()
    assert [f"{each.context.trace_id:032x}" for each in span.links] == [parent[3:35]]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"v":1,"log_id":"x"}', b'{"v":9}'])
def test_a_damaged_checkpoint_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "partition-0.json").write_bytes(content)
    assert Checkpoints(tmp_path).read(0, "x") is None


async def test_a_disk_that_takes_no_checkpoints_stops_nobody(tmp_path: Path) -> None:
    clock, stop, registry = ManualClock(START), asyncio.Event(), CollectorRegistry()
    hub = MemoryHub(clock, new_id, pace=Pace(interval=0.0005))
    (tmp_path / "join").write_text("a file where the folder should be")
    arrivals = history(Random(9), 10)
    task = asyncio.create_task(online(hub, Checkpoints(tmp_path / "join"), clock, registry).run(stop))
    await feed(hub, clock, arrivals)
    await until_joined(hub, clock, len(expected(arrivals)))
    stop.set()
    await task
    assert {each.decision.id: each for each in await rows_in_hub(hub)} == expected(arrivals)
    assert (registry.get_sample_value("gateway_join_checkpoint_failures_total") or 0) > 0


async def test_events_of_a_time_to_come_are_passed_over(tmp_path: Path) -> None:
    clock, stop, registry = ManualClock(START), asyncio.Event(), CollectorRegistry()
    hub = MemoryHub(clock, new_id, pace=Pace(interval=0.0005))
    for arrival in history(Random(1), 3):
        if isinstance(arrival.event, Decision):
            topic, event = new_event(
                replace(arrival, event=replace(arrival.event, at=datetime.max.replace(tzinfo=UTC)))
            )
            await hub.append(topic, [event])
    task = asyncio.create_task(online(hub, Checkpoints(tmp_path), clock, registry).run(stop))
    async with asyncio.timeout(LONGEST):
        while registry.get_sample_value("gateway_join_events_total", INVALID_DECISIONS) != 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    stop.set()
    await task
    assert await rows_in_hub(hub) == []
