"""From a decision and the reports of its page to the same row, online in the hub and offline in the lake."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from personalization.assembly import Personalization, open_personalization
from personalization.clock import ManualClock
from personalization.events import Decision, DecisionContext, JoinedDecision, OutcomeKind, ShelfAction
from personalization.hub.topics import JOINED
from personalization.ids import new_id
from personalization.join.checkpoints import Checkpoints
from personalization.join.metrics import JoinMetrics
from personalization.join.offline import JoinSpan, join_offline
from personalization.join.online import JoinPace, OnlineJoin
from personalization.join.reward import JoinRules
from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.layout import Lake
from personalization.lake.parquet import rows_in
from personalization.lake.reader import LakeReader
from personalization.outcomes import OutcomeReport
from tests.join.histories import START
from tests.join.hubs import rows_in_hub
from tests.join.killing import LONGEST
from tests.lake.filling import writer

CONTEXT = DecisionContext("HOME", persona="CONSULTANT")
DEFAULTS_ID = "5a6f3c0e-8b0c-5d3b-9a55-0c3f8c6b7e21"


async def shopped(parts: Personalization, clock: ManualClock) -> Sequence[Decision]:
    """Four shelves: one bought from, one looked into, one only seen, one never displayed; and what teaches nothing."""
    decisions = [parts.decisions.decide(CONTEXT, tuple(ShelfAction), subject="visitor:1") for _ in range(4)]
    bought, opened, seen, _ = decisions
    clock.at += timedelta(seconds=1)
    await parts.outcomes.report([OutcomeReport(each.id, OutcomeKind.DISPLAYED, "seen") for each in decisions[:3]])
    clock.at += timedelta(seconds=4)
    page_time = clock.at - timedelta(hours=3)
    detail = OutcomeReport(opened.id, OutcomeKind.DETAIL_DISPLAYED, "a click", page_time, "p1")
    basket = OutcomeReport(bought.id, OutcomeKind.ADDED_TO_BASKET, None, clock.at, "p2", 2)
    await parts.outcomes.report([detail, basket, detail])
    clock.at += timedelta(seconds=30)
    order = OutcomeReport(bought.id, OutcomeKind.PURCHASED, None, None, "p2", 2)
    late = OutcomeReport(seen.id, OutcomeKind.ADDED_TO_BASKET, None, clock.at - timedelta(seconds=20))
    await parts.outcomes.report([order, late, OutcomeReport(DEFAULTS_ID, OutcomeKind.DISPLAYED)])
    return decisions


async def joined_online(parts: Personalization, clock: ManualClock, folder: Path, count: int) -> list[JoinedDecision]:
    stop, metrics = asyncio.Event(), JoinMetrics(CollectorRegistry())
    pace = JoinPace(wait=0.01, checkpoint=0.1)
    online = OnlineJoin(parts.hub, Checkpoints(folder), clock=clock, tracer=NoOpTracer(), metrics=metrics, pace=pace)
    task = asyncio.create_task(online.run(stop))
    async with asyncio.timeout(LONGEST):
        while metrics.summary()["rows"] < count:  # noqa: ASYNC110  # metrics tell nobody
            await asyncio.sleep(0.01)
    stop.set()
    await task
    return await rows_in_hub(parts.hub)


async def test_online_and_offline_agree_on_what_happened(tmp_path: Path) -> None:
    clock = ManualClock(START)
    parts = await open_personalization(tmp_path, clock, NoOpTracer(), CollectorRegistry())
    async with parts:
        decisions = await shopped(parts, clock)
        online = await joined_online(parts, clock, tmp_path / "join", 4)
        lake = Lake(tmp_path / "lake")
        await writer(parts.hub, lake).run_once()
    span = JoinSpan(clock.at, START, clock.at + timedelta(seconds=1))
    with DuckDbRunner() as runner:
        run = await asyncio.to_thread(join_offline, lake, runner, new_id(), JoinRules(), span)
    offline = list(LakeReader(lake.root).joined())
    rows = {each.decision.id: each for each in offline}
    assert rows == {each.decision.id: each for each in online}
    assert [rows[each.id].reward for each in decisions] == [3.0, 1.0, 0.0, 0.0]
    assert [rows[each.id].displayed for each in decisions] == [True, True, True, False]
    assert [rows[each.id].decision for each in decisions] == list(decisions)
    fates = sorted(row["fate"] for row in rows_in(run.path("fates")))
    assert fates == ["after_window", "dangling", "joined", "joined", "joined", "joined", "joined", "late"]
    ordered = {row["id"]: row["pieces"] for row in rows_in(run.path("ordered"))}
    assert ordered == dict.fromkeys((each.id for each in decisions), 0) | {decisions[0].id: 2}
    raw = [row for each in lake.files(JOINED) for row in rows_in(lake.path(each))]
    assert {row["id"]: row["reward"] for row in raw} == {each.decision.id: each.reward for each in offline}
