"""The parts together on a real file: decisions and outcomes survive, and a hub that is away stops no decision."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NoOpTracer
from prometheus_client import CollectorRegistry

from personalization.assembly import Personalization, open_personalization
from personalization.clock import ManualClock, SystemClock
from personalization.codec import decode_decision, decode_exposure, decode_outcome
from personalization.errors import HubUnavailable
from personalization.events import DecisionContext, DecisionMode, OutcomeKind, ShelfAction
from personalization.hub.memory import MemoryHub
from personalization.hub.retention import Pruner, Retention
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import DECISIONS, EXPOSURES, OUTCOMES
from personalization.ids import new_id
from personalization.outcomes import OutcomeReport
from tests.personalization.hub_suite import START, drain, numbered
from tests.personalization.test_codec import EXPOSURE

ACTIONS = tuple(ShelfAction)
CONTEXT = DecisionContext("HOME", persona="CONSULTANT")


async def opened(
    data_dir: Path, registry: CollectorRegistry, max_bytes: int | None = None, *, writer_process: bool = False
) -> Personalization:
    return await open_personalization(
        data_dir, SystemClock(), NoOpTracer(), registry, max_bytes=max_bytes, writer_process=writer_process
    )


@pytest.mark.parametrize("writer_process", [False, True])
async def test_decisions_and_outcomes_are_there_after_a_restart(tmp_path: Path, writer_process: bool) -> None:
    async with await opened(tmp_path / "var", CollectorRegistry(), writer_process=writer_process) as parts:
        assert await parts.available()
        decisions = [parts.decisions.decide(CONTEXT, ACTIONS) for _ in range(700)]
        reports = [OutcomeReport(each.id, OutcomeKind.DISPLAYED) for each in decisions[:100]]
        assert (await parts.outcomes.report(reports)).accepted == 100
    hub = SqliteHub(HubFile(tmp_path / "var" / HUB_FILE), SystemClock(), new_id)
    async with hub.consumer("checking", [DECISIONS, OUTCOMES]) as consumer:
        events = await drain(consumer)
    await hub.aclose()
    read = {each.event.id: decode_decision(each.event.value) for each in events if each.topic == DECISIONS}
    assert read == {each.id: each for each in decisions}
    outcomes = [decode_outcome(each.event.value) for each in events if each.topic == OUTCOMES]
    assert sorted(each.decision_id for each in outcomes) == sorted(each.decision_id for each in reports)


@pytest.mark.parametrize("writer_process", [False, True])
async def test_exposures_are_there_once_after_a_restart(tmp_path: Path, writer_process: bool) -> None:
    exposures = [replace(EXPOSURE, id=new_id()) for _ in range(700)]
    for _ in range(2):
        async with await opened(tmp_path, CollectorRegistry(), writer_process=writer_process) as parts:
            for each in exposures:
                parts.exposure_journal.record(each, INVALID_SPAN_CONTEXT)
    hub = SqliteHub(HubFile(tmp_path / HUB_FILE), SystemClock(), new_id)
    async with hub.consumer("checking", [EXPOSURES]) as consumer:
        read = [decode_exposure(each.event.value) for each in await drain(consumer)]
    await hub.aclose()
    assert sorted(read, key=lambda each: each.id) == sorted(exposures, key=lambda each: each.id)


async def test_several_can_share_one_folder_and_closing_twice_is_fine(tmp_path: Path) -> None:
    one = await opened(tmp_path, CollectorRegistry())
    two = await opened(tmp_path, CollectorRegistry())
    report = OutcomeReport(one.decisions.decide(CONTEXT, ACTIONS).id, OutcomeKind.DISPLAYED, "once")
    assert (await one.outcomes.report([report])).accepted == 1
    assert (await two.outcomes.report([report])).duplicates == 1
    for parts in (one, two, one):
        await parts.aclose()
    assert not await one.available()


async def test_decisions_go_on_while_the_folder_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "var"
    blocked.write_text("a file where the folder should be")
    async with await opened(blocked, CollectorRegistry()) as parts:
        assert not await parts.available()
        decision = parts.decisions.decide(CONTEXT, ACTIONS)
        assert decision.mode is DecisionMode.LOG_ONLY
        with pytest.raises(HubUnavailable):
            await parts.outcomes.report([OutcomeReport(decision.id, OutcomeKind.DISPLAYED)])
        blocked.unlink()
        assert (await parts.outcomes.report([OutcomeReport(decision.id, OutcomeKind.DISPLAYED)])).accepted == 1
    hub = SqliteHub(HubFile(blocked / HUB_FILE), SystemClock(), new_id)
    async with hub.consumer("checking", [DECISIONS]) as consumer:
        assert [each.event.id for each in await drain(consumer)] == [decision.id]
    await hub.aclose()


async def test_decisions_go_on_while_the_disk_is_full(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    async with await opened(tmp_path, registry, max_bytes=200 * 1024) as parts:
        await fill(parts)
        assert parts.decisions.decide(CONTEXT, ACTIONS).mode is DecisionMode.LOG_ONLY


async def fill(parts: Personalization) -> None:
    """Report outcomes until the hub's file takes no more."""
    decision = parts.decisions.decide(CONTEXT, ACTIONS)
    reports = [OutcomeReport(decision.id, OutcomeKind.DISPLAYED, product_id="p" * 128)] * 100
    with pytest.raises(HubUnavailable, match="full"):
        await asyncio.wait_for(report_for_ever(parts, reports), 20)


async def report_for_ever(parts: Personalization, reports: list[OutcomeReport]) -> None:
    while True:
        await parts.outcomes.report(reports)


async def test_the_pruner_drops_what_is_too_old_and_survives_a_hub_that_is_away() -> None:
    clock = ManualClock(START)
    registry = CollectorRegistry()
    hub = MemoryHub(clock, lambda: "m")
    await hub.append(DECISIONS, numbered(0, 20))
    clock.at += timedelta(days=8)
    hub.fail("no space left")
    pruner = Pruner(hub, Retention(), registry, every=0.005)
    await pruner.start()
    await asyncio.sleep(0.02)
    hub.fail(None)
    async with asyncio.timeout(20):
        while True:
            if registry.get_sample_value("gateway_hub_pruned_total"):
                break
            await asyncio.sleep(0.005)
    await pruner.aclose()
    await pruner.aclose()
    assert registry.get_sample_value("gateway_hub_pruned_total") == 20
