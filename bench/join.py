"""The join in events a second, and its memory: `python -m bench.join`, with `--decisions 1000000` for the long run.

The baseline is decoding the events, which any reader of the hub must do.
"""

import argparse
import asyncio
import resource
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter

from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from personalization.clock import SystemClock
from personalization.codec import decode_decision, decode_outcome, encode_event
from personalization.events import Decision, DecisionContext, DecisionMode, Outcome, OutcomeKind, ShelfAction
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import DECISIONS, OUTCOMES, NewEvent, StoredEvent
from personalization.ids import new_id
from personalization.join.checkpoints import Checkpoints
from personalization.join.joiner import Joiner
from personalization.join.metrics import JoinMetrics
from personalization.join.offline import JoinSpan, join_offline
from personalization.join.online import JoinPace, OnlineJoin
from personalization.join.reward import JoinRules
from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.layout import Lake
from personalization.lake.writer import write_raw

THROUGH_THE_HUB = 20_000
A_SECOND = 1_000
BEGAN = datetime(2026, 3, 4, tzinfo=UTC)
KINDS = (OutcomeKind.DISPLAYED, OutcomeKind.DETAIL_DISPLAYED, OutcomeKind.ADDED_TO_BASKET)


def history(count: int, began: datetime) -> Iterator[Decision | Outcome]:
    """Decisions, a thousand a second of event time, each with 0 to 3 outcomes five seconds later, in that order."""
    random = Random(1)
    actions = tuple(each.value for each in ShelfAction)
    context = DecisionContext("HOME", "BUILDER", "s3", "c7", "north", "SUMMER", "PHONE")
    delayed: list[tuple[Outcome, ...]] = []
    for number in range(count):
        at = began + timedelta(seconds=number / A_SECOND)
        decision = Decision(
            new_id(), at, context, actions, (0.25,) * 4, actions[0], 0.25, "uniform", DecisionMode.ONLINE, "SAMPLED"
        )
        yield decision
        then = at + timedelta(seconds=5)
        kinds = KINDS[: random.choice((0, 1, 1, 2, 3))]
        delayed.append(tuple(Outcome(new_id(), decision.id, kind, then, then) for kind in kinds))
        if number >= 5 * A_SECOND:
            yield from delayed[number - 5 * A_SECOND]
            delayed[number - 5 * A_SECOND] = ()
    for outcomes in delayed:
        yield from outcomes


def joined(events: Sequence[Decision | Outcome]) -> float:
    """Events a second of the joiner alone."""
    joiner = Joiner()
    started = perf_counter()
    _join(joiner, events)
    return len(events) / (perf_counter() - started)


def _join(joiner: Joiner, events: Sequence[Decision | Outcome]) -> int:
    rows = 0
    for each in events:
        if isinstance(each, Decision):
            joiner.decided(each)
            rows += len(joiner.advance(each.at))
        else:
            joiner.happened(each)
    return rows


def decoded(events: Sequence[Decision | Outcome]) -> float:
    """Events a second of decoding."""
    values = [encode_event(each) for each in events]
    started = perf_counter()
    for event, value in zip(events, values, strict=True):
        if isinstance(event, Decision):
            decode_decision(value)
        else:
            decode_outcome(value)
    return len(events) / (perf_counter() - started)


async def through_the_hub(folder: Path, count: int) -> float:
    """Events a second of the online join: read, joined, appended, with checkpoints."""
    hub = SqliteHub(HubFile(folder / "hub.sqlite3"), SystemClock(), new_id)
    total = 0
    began = datetime.now(UTC) - timedelta(hours=1)
    events = history(count, began)
    while batch := list(islice(events, 2_000)):
        total += len(batch)
        await hub.append(
            DECISIONS,
            [NewEvent(each.id, each.id, encode_event(each)) for each in batch if isinstance(each, Decision)],
        )
        await hub.append(
            OUTCOMES,
            [NewEvent(each.id, each.decision_id, encode_event(each)) for each in batch if isinstance(each, Outcome)],
        )
    checkpoints, metrics = Checkpoints(folder / "join"), JoinMetrics(CollectorRegistry())
    online = OnlineJoin(
        hub, checkpoints, clock=SystemClock(), tracer=NoOpTracer(), metrics=metrics, pace=JoinPace(slack=0.0)
    )
    stop = asyncio.Event()
    started = perf_counter()
    task = asyncio.create_task(online.run(stop))
    while metrics.summary()["rows"] < count:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    seconds = perf_counter() - started
    stop.set()
    await task
    await hub.aclose()
    return total / seconds


def by_sql(folder: Path, events: Sequence[Decision | Outcome]) -> tuple[float, float]:
    """Events a second of writing the raw zone, and of the ETL over it."""
    lake = Lake(folder / "lake")
    started = perf_counter()
    for topic, kind in ((DECISIONS, Decision), (OUTCOMES, Outcome)):
        mine = [each for each in events if isinstance(each, kind)]
        write_raw(lake, "bench", [_stored(topic, offset, each) for offset, each in enumerate(mine)])
    written = perf_counter()
    end = BEGAN + timedelta(days=365)
    with DuckDbRunner() as runner:
        run = join_offline(lake, runner, new_id(), JoinRules(), JoinSpan(end, BEGAN, end))
    assert {each.name: each.rows for each in run.datasets}["joined"] == sum(
        isinstance(each, Decision) for each in events
    )
    return len(events) / (written - started), len(events) / (perf_counter() - written)


def _stored(topic: str, offset: int, event: Decision | Outcome) -> StoredEvent:
    value = encode_event(event)
    return StoredEvent(topic, 0, offset, BEGAN, NewEvent(event.id, event.id, value))


def memory(count: int) -> None:
    """Print what a joiner takes while so many decisions pass through it, a thousand a second of event time."""
    joiner, rows = Joiner(), 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told, events = 0, history(count, BEGAN)
    while batch := list(islice(events, 10_000)):
        rows += _join(joiner, batch)
        if rows >= told + count // 5:
            told = rows
            _tell(joiner, rows, before)
    rows += len(joiner.advance(BEGAN + timedelta(days=365)))
    _tell(joiner, rows, before)


def _tell(joiner: Joiner, rows: int, before: int) -> None:
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{rows:10,} joined, {joiner.held:8,} held: {grown:7.1f} MiB more than at the start, at most")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=100_000, help="decisions of the memory run")
    count = parser.parse_args().decisions
    memory(count)
    events = list(history(50_000, BEGAN))
    base = decoded(events)
    with TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        alone = joined(events)
        hub = await through_the_hub(folder, THROUGH_THE_HUB)
        writing, sql = by_sql(folder, events)
    rows = [
        ("decoding events", base),
        ("joiner alone", alone),
        ("online join, hub to hub, one process", hub),
        ("lake, raw files written", writing),
        ("offline join, ETL by SQL", sql),
    ]
    for what, rate in rows:
        print(f"{what:40} {rate:10,.0f} events/s {rate / base:8.2f} x decoding")


if __name__ == "__main__":
    asyncio.run(main())
