"""The journal writes what it took, waits for a hub that is away, and never grows without bound."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags
from prometheus_client import CollectorRegistry

from personalization.clock import ManualClock
from personalization.codec import decode_decision
from personalization.decision.journal import DecisionJournal, JournalLimits
from personalization.errors import InvalidEvent, JournalFull
from personalization.events import Drawn
from personalization.exposures import ExposureJournal
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import DECISIONS, EXPOSURES, Appended, NewEvent, StoredEvent
from personalization.journal.writing import HubWriter
from tests.personalization.hub_suite import START, drain
from tests.personalization.test_codec import DECISION, EXPOSURE

QUICK = JournalLimits(linger=0.01, capacity=50, batch=10, backoff=0.01, most_backoff=0.02, closing=0.2)
FIFTY = [replace(DECISION, id=f"0198c0de-0000-7000-8000-{each:012x}") for each in range(50)]


@pytest.fixture
def hub() -> MemoryHub:
    return MemoryHub(ManualClock(START), lambda: "m")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def journal(hub: MemoryHub, registry: CollectorRegistry) -> AsyncIterator[DecisionJournal]:
    journal = DecisionJournal(HubWriter(hub), registry, QUICK)
    yield journal
    await journal.aclose()


async def written(hub: MemoryHub, count: int) -> Sequence[StoredEvent]:
    """What the hub has, as soon as it is so many events."""
    async with asyncio.timeout(20):
        while True:
            async with hub.consumer("checking", [DECISIONS]) as consumer:
                events = await drain(consumer, commit=False)
            if len(events) >= count:
                return events
            await asyncio.sleep(0.005)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


def counted(registry: CollectorRegistry, result: str) -> float:
    return registry.get_sample_value("gateway_journal_decisions_total", {"result": result}) or 0.0


async def test_decisions_reach_the_hub_whole(hub: MemoryHub, journal: DecisionJournal) -> None:
    await journal.start()
    span = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    journal.record(Drawn.of(DECISION), span)
    (stored,) = await written(hub, 1)
    assert decode_decision(stored.event.value) == DECISION
    assert (stored.event.id, stored.event.key) == (DECISION.id, DECISION.id)
    assert stored.event.headers == {"traceparent": f"00-{0xABC:032x}-{0xDEF:016x}-01"}


async def test_decisions_outside_of_a_trace_have_no_traceparent(hub: MemoryHub, journal: DecisionJournal) -> None:
    await journal.start()
    journal.record(Drawn.of(DECISION), INVALID_SPAN_CONTEXT)
    (stored,) = await written(hub, 1)
    assert stored.event.headers == {}


async def test_decisions_wait_for_a_hub_that_is_away(
    hub: MemoryHub, journal: DecisionJournal, registry: CollectorRegistry
) -> None:
    hub.fail("no space left")
    await journal.start()
    for decision in FIFTY:
        journal.record(Drawn.of(decision), INVALID_SPAN_CONTEXT)
    await until(lambda: bool(registry.get_sample_value("gateway_journal_retries_total")))
    hub.fail(None)
    assert len(await written(hub, 50)) == 50
    await journal.aclose()
    assert (counted(registry, "written"), counted(registry, "lost")) == (50, 0)


async def test_a_full_journal_takes_no_more(journal: DecisionJournal) -> None:
    for decision in FIFTY:
        journal.record(Drawn.of(decision), INVALID_SPAN_CONTEXT)
    with pytest.raises(JournalFull, match="50"):
        journal.record(Drawn.of(DECISION), INVALID_SPAN_CONTEXT)


async def test_closing_writes_what_is_held(
    hub: MemoryHub, journal: DecisionJournal, registry: CollectorRegistry
) -> None:
    await journal.start()
    for decision in FIFTY:
        journal.record(Drawn.of(decision), INVALID_SPAN_CONTEXT)
    await journal.aclose()
    await journal.aclose()
    assert len(await written(hub, 50)) == 50
    assert counted(registry, "written") == 50
    with pytest.raises(JournalFull):
        journal.record(Drawn.of(DECISION), INVALID_SPAN_CONTEXT)


async def test_closing_while_the_hub_is_away_counts_the_lost(
    hub: MemoryHub, journal: DecisionJournal, registry: CollectorRegistry
) -> None:
    await journal.start()
    hub.fail("no space left")
    for decision in FIFTY:
        journal.record(Drawn.of(decision), INVALID_SPAN_CONTEXT)
    await journal.aclose()
    await journal.aclose()
    assert (counted(registry, "written"), counted(registry, "lost")) == (0, 50)


async def test_a_decision_that_cannot_be_written_does_not_stop_the_others(
    hub: MemoryHub, journal: DecisionJournal, registry: CollectorRegistry
) -> None:
    journal.record(Drawn.of(replace(DECISION, subject="\ud800")), INVALID_SPAN_CONTEXT)
    journal.record(Drawn.of(FIFTY[7]), INVALID_SPAN_CONTEXT)
    await journal.start()
    (stored,) = await written(hub, 1)
    assert stored.event.id == FIFTY[7].id
    await journal.aclose()
    assert (counted(registry, "written"), counted(registry, "lost")) == (1, 1)


async def test_journals_of_both_kinds_share_a_hub_and_a_registry(
    hub: MemoryHub, journal: DecisionJournal, registry: CollectorRegistry
) -> None:
    exposures = ExposureJournal(HubWriter(hub), registry, QUICK)
    exposures.record(EXPOSURE, INVALID_SPAN_CONTEXT)
    journal.record(Drawn.of(DECISION), INVALID_SPAN_CONTEXT)
    for each in (journal, exposures):
        await each.start()
        await each.aclose()
    async with hub.consumer("checking", [DECISIONS, EXPOSURES]) as consumer:
        events = await drain(consumer)
    assert {each.topic: each.event.id for each in events} == {DECISIONS: DECISION.id, EXPOSURES: EXPOSURE.id}
    assert counted(registry, "written") == 1
    labels = {"result": "written"}
    assert registry.get_sample_value("gateway_exposure_journal_exposures_total", labels) == 1
    with pytest.raises(JournalFull, match="0 exposures"):
        exposures.record(EXPOSURE, INVALID_SPAN_CONTEXT)


class Picky(MemoryHub):
    """A hub that refuses one decision's batch for good."""

    async def append(self, topic: str, events: Sequence[NewEvent]) -> Appended:
        if any(each.id == DECISION.id for each in events):
            raise InvalidEvent("this decision is not taken here")
        return await super().append(topic, events)


async def test_a_batch_that_the_hub_refuses_for_good_does_not_stop_the_others(registry: CollectorRegistry) -> None:
    hub = Picky(ManualClock(START), lambda: "m")
    journal = DecisionJournal(HubWriter(hub), registry, QUICK)
    await journal.start()
    journal.record(Drawn.of(DECISION), INVALID_SPAN_CONTEXT)
    await until(lambda: counted(registry, "lost") == 1)
    journal.record(Drawn.of(FIFTY[7]), INVALID_SPAN_CONTEXT)
    assert len(await written(hub, 1)) == 1
    await journal.aclose()
