"""Each variant given is an event once in a window, with one id everywhere, and nothing waits for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature.flag_evaluation import Reason
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from flags.evaluation import Decider, Evaluation, FlagSet
from flags.exposures import Exposures
from flags.layers import Answer, Ask
from flags.subject import Subject
from personalization.clock import ManualClock
from personalization.codec import decode_exposure
from personalization.events import Decision, Exposure
from personalization.exposures import ExposureJournal
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import EXPOSURES, StoredEvent
from personalization.journal.journal import JournalLimits
from personalization.journal.writing import HubWriter
from tests.flags.writing import PINNED, flag, read, write
from tests.personalization.hub_suite import drain
from tests.personalization.test_codec import DECISION

START = datetime(2026, 1, 2, 3, 10, tzinfo=UTC)
HERO = Evaluation("hero", "v2", "v2", Reason.TARGETING_MATCH, Decider.RULE, "defs-1", PINNED)


class Process:
    """What one process has, over a hub that others may share."""

    def __init__(
        self, hub: MemoryHub, clock: ManualClock, capacity: int = 100, remembered: int = 100, key: bytes = b"k" * 32
    ) -> None:
        self.registry = CollectorRegistry()
        self.journal = ExposureJournal(HubWriter(hub), self.registry, JournalLimits(linger=0.001, capacity=capacity))
        self.exposures = Exposures(self.journal, clock, self.registry, key=key, remembered=remembered)

    def give(
        self,
        evaluation: Evaluation,
        *,
        subject: str,
        session: str | None = None,
        decision: Decision | None = None,
        trace_id: str | None = None,
    ) -> str | None:
        ask = Ask(Subject(subject), session, trace_id=trace_id)
        (id_,) = self.exposures.give([Answer(evaluation, decision)], ask)
        return id_

    async def write(self) -> None:
        """Have everything written, and end."""
        await self.journal.start()
        await self.journal.aclose()

    def count(self, result: str) -> float | None:
        return self.registry.get_sample_value("gateway_exposures_total", {"result": result})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def hub(clock: ManualClock) -> MemoryHub:
    return MemoryHub(clock, lambda: "m")


@pytest.fixture
def process(hub: MemoryHub, clock: ManualClock) -> Process:
    return Process(hub, clock)


async def stored(hub: MemoryHub) -> list[StoredEvent]:
    async with hub.consumer("checking", [EXPOSURES]) as consumer:
        return await drain(consumer, commit=False)


async def exposed(hub: MemoryHub) -> list[Exposure]:
    return [decode_exposure(each.event.value) for each in await stored(hub)]


async def test_an_exposure_says_who_was_given_what_and_why(hub: MemoryHub, process: Process) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("page") as span:
        id_ = process.give(HERO, subject="visitor:7", session="s1", trace_id="ab" * 16)
    await process.write()
    assert id_ is not None
    assert str(UUID(id_)) == id_
    assert UUID(id_).version == 8
    (event,) = await stored(hub)
    assert (event.event.id, event.event.key) == (id_, id_)
    assert f"{span.get_span_context().span_id:016x}" in event.event.headers["traceparent"]
    assert decode_exposure(event.event.value) == Exposure(
        id=id_,
        at=START,
        flag="hero",
        variant="v2",
        decider="RULE",
        rule="TARGETING_MATCH",
        definitions="defs-1",
        subject="visitor:7",
        hash_version=2,
        session="s1",
        trace_id="ab" * 16,
    )


async def test_a_bandits_choice_carries_its_decision(hub: MemoryHub, process: Process) -> None:
    evaluation = replace(HERO, decided_by=Decider.BANDIT, metadata={})
    process.give(evaluation, subject="visitor:7", decision=DECISION)
    await process.write()
    (exposure,) = await exposed(hub)
    assert (exposure.decider, exposure.decision_id, exposure.policy) == ("BANDIT", DECISION.id, "uniform@1")
    assert (exposure.hash_version, exposure.session, exposure.trace_id) == (None, None, None)


async def test_what_a_real_flag_answers(tmp_path: Path, hub: MemoryHub, process: Process) -> None:
    write(tmp_path, {"on": flag(), "dark": flag(state="DISABLED"), "bare": flag(defaultVariant=None)})
    flags = FlagSet(read(tmp_path))
    given = {
        key: process.give(flags.evaluate(key, Subject("visitor:7")), subject="visitor:7")
        for key in ("on", "dark", "bare", "unknown")
    }
    assert given.pop("on") is not None
    assert set(given.values()) == {None}
    await process.write()
    (exposure,) = await exposed(hub)
    assert (exposure.flag, exposure.variant, exposure.rule) == ("on", "v1", "STATIC")
    assert exposure.definitions == flags.version


async def test_the_same_again_is_no_new_exposure_within_a_window(
    hub: MemoryHub, process: Process, clock: ManualClock
) -> None:
    first = process.give(HERO, subject="visitor:7")
    clock.at = START + timedelta(minutes=19, seconds=59)  # windows begin at the hour and the half hour
    assert process.give(HERO, subject="visitor:7", session="another") == first
    clock.at = START + timedelta(minutes=20)
    later = process.give(HERO, subject="visitor:7")
    assert later != first
    await process.write()
    assert [each.id for each in await exposed(hub)] == [first, later]
    assert (process.count("new"), process.count("repeated")) == (2, 1)


@pytest.mark.parametrize(
    "other",
    [
        lambda process: process.give(replace(HERO, key="heroine"), subject="visitor:7"),
        lambda process: process.give(replace(HERO, variant="v1"), subject="visitor:7"),
        lambda process: process.give(HERO, subject="visitor:8"),
        lambda process: process.give(HERO, subject="visitor:7", decision=DECISION),
    ],
)
def test_another_flag_variant_subject_or_decision_is_another_exposure(
    process: Process, other: Callable[[Process], str]
) -> None:
    assert other(process) != process.give(HERO, subject="visitor:7")
    assert process.count("new") == 2


async def test_all_processes_and_restarts_give_one_id_and_the_hub_keeps_one_event(
    hub: MemoryHub, clock: ManualClock
) -> None:
    processes = [Process(hub, clock) for _ in range(3)]
    ids = {each.give(HERO, subject="visitor:7") for each in processes}
    for each in processes:
        await each.write()
    assert [each.id for each in await exposed(hub)] == list(ids)


def test_without_the_key_no_id_can_be_told(hub: MemoryHub, clock: ManualClock) -> None:
    ids = [Process(hub, clock, key=key).give(HERO, subject="visitor:7") for key in (b"", b"a", b"b")]
    assert len(set(ids)) == 3


async def test_a_full_journal_drops_the_event_and_gives_the_id(hub: MemoryHub, clock: ManualClock) -> None:
    process = Process(hub, clock, capacity=2)
    ids = [process.give(HERO, subject=f"visitor:{each}") for each in range(3)]
    assert len(set(ids)) == 3
    assert None not in ids
    assert (process.count("new"), process.count("dropped")) == (2, 1)
    await process.write()
    assert [each.subject for each in await exposed(hub)] == ["visitor:0", "visitor:1"]


async def test_what_was_dropped_is_tried_again_when_it_is_given_again(hub: MemoryHub, clock: ManualClock) -> None:
    full = Process(hub, clock, capacity=0)
    assert full.give(HERO, subject="visitor:7") == full.give(HERO, subject="visitor:7")
    assert (full.count("dropped"), full.count("repeated")) == (2, 0)


async def test_memory_is_bounded_and_what_it_forgot_the_hub_knows(hub: MemoryHub, clock: ManualClock) -> None:
    process = Process(hub, clock, remembered=5)
    for each in [*range(6), 0]:
        process.give(HERO, subject=f"visitor:{each}")
    assert process.count("new") == 7
    await process.write()
    assert len(await exposed(hub)) == 6


ANY = st.text(max_size=8)


@given(st.lists(st.tuples(ANY, ANY, ANY), min_size=2, max_size=8, unique=True))
@settings(deadline=None)
def test_ids_are_told_apart_whatever_the_texts_are(about: list[tuple[str, str, str]]) -> None:
    clock = ManualClock(START)
    process = Process(MemoryHub(clock, lambda: "m"), clock)
    ids = [process.give(replace(HERO, key=key, variant=variant), subject=subject) for key, variant, subject in about]
    assert len(set(ids)) == len(about)


def test_text_that_is_not_unicode_is_given_an_id_too(process: Process) -> None:
    assert process.give(HERO, subject="customer:\ud800") is not None
