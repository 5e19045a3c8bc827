"""Personalized flags: the layers in their order, decisions that stick, and a default whenever something is wrong."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flags.evaluation import Decider, FlagSet
from flags.layers import Answer, Ask, OpenFlag, held_back
from flags.sticky import MemoryStickyDecisions
from flags.sticky_sqlite import SqliteStickyDecisions
from flags.subject import Subject
from personalization.bandit.lessons import explored
from personalization.clock import Deadline, ManualClock, SystemClock
from personalization.events import HOLDBACK
from tests.flags.deciding import Breaks, Deciding, Insists, SlowSticky, deciding
from tests.flags.writing import flag, read, write
from tests.personalization.hub_suite import START

BUILDER = {"==": [{"var": "persona"}, "BUILDER"]}
HERO = {
    "component": "hero",
    "page": "home",
    "personalized": True,
    "floor": 1e-9,
    "audience.DIRECT_CUSTOMER": "v1, v2",
}


def personalized(targeting: Any = None, metadata: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    variants = {"v1": "v1", "v2": "v2", "v3": "v3"}
    return flag(targeting, variants=variants, metadata={**HERO, **(metadata or {})}, **changes)


def flags_of(tmp_path: Path, **flags: Any) -> FlagSet:
    write(tmp_path, flags)
    found = FlagSet(read(tmp_path))
    assert found.definitions.refused == ()
    return found


def asking(key: str = "visitor:1", persona: str = "VISITOR", **changes: Any) -> Ask:
    return replace(Ask(Subject(key, {"persona": persona, "region": "US-NE"}), session="s-1"), **changes)


async def one(parts: Deciding, flags: FlagSet, ask: Ask, key: str = "hero") -> Answer:
    (answer,) = await parts.flags.answer(flags, [key], ask)
    return answer


async def test_the_bandit_chooses_where_rules_leave_it_open(tmp_path: Path) -> None:
    parts, flags = deciding(Insists("v3")), flags_of(tmp_path, hero=personalized())
    answer = await one(parts, flags, asking(trace_id="0" * 31 + "1"))
    evaluation, decision = answer.evaluation, answer.decision
    assert (evaluation.variant, evaluation.value, evaluation.decided_by) == ("v3", "v3", Decider.BANDIT)
    assert evaluation.reason.value == "SPLIT"
    assert decision is not None
    assert (decision.actions, decision.action, decision.policy) == (("v1", "v2", "v3"), "v3", "insists@1")
    assert (decision.context.placement, decision.context.persona, decision.context.region) == (
        "component:hero",
        "VISITOR",
        "US-NE",
    )
    assert (decision.subject, decision.session, decision.trace_id) == ("visitor:1", "s-1", "0" * 31 + "1")
    assert answer.exposure_id == "exposure-1"
    assert parts.recorded("component:hero") == 1


async def test_a_kill_switch_is_before_everything(tmp_path: Path) -> None:
    parts, flags = deciding(), flags_of(tmp_path, hero=personalized(state="DISABLED"))
    answer = await one(parts, flags, asking(overrides={"hero": "v2"}))
    assert (answer.evaluation.decided_by, answer.evaluation.variant) == (Decider.KILL_SWITCH, None)
    assert answer.exposure_id is None


async def test_an_override_is_before_rules_and_leaves_no_trace(tmp_path: Path) -> None:
    other = personalized(metadata={"component": "other"})
    parts = deciding()
    flags = flags_of(tmp_path, hero=personalized({"if": [BUILDER, "v1", None]}), other=other, plain=flag())
    ask = asking(persona="BUILDER", overrides={"hero": "v3", "plain": "no-such-variant"})
    answers = await parts.flags.answer(flags, None, ask)
    assert [(each.evaluation.variant, each.evaluation.decided_by.value) for each in answers] == [
        ("v3", "OVERRIDE"),
        ("v1", "DEFAULT"),
        ("v1", "DEFAULT"),
    ]
    assert [each.why for each in answers] == ["PREVIEW", "PREVIEW", None]
    assert not any(each.decision or each.exposure_id for each in answers)
    assert (parts.given.exposures, parts.recorded("component:hero"), parts.recorded("component:other")) == ([], 0, 0)


async def test_a_rule_that_answers_ends_it(tmp_path: Path) -> None:
    parts, flags = deciding(Insists("v3")), flags_of(tmp_path, hero=personalized({"if": [BUILDER, "v2", None]}))
    answer = await one(parts, flags, asking(persona="BUILDER"))
    assert (answer.evaluation.variant, answer.evaluation.decided_by, answer.decision) == ("v2", Decider.RULE, None)
    assert answer.exposure_id == "exposure-1"
    assert (await one(parts, flags, asking())).evaluation.decided_by is Decider.BANDIT


async def test_the_holdback_always_gets_the_default(tmp_path: Path) -> None:
    parts, flags = deciding(Insists("v3")), flags_of(tmp_path, hero=personalized(metadata={"holdback": 0.3}))
    subjects = [f"visitor:{n}" for n in range(1000)]
    answers = [await one(parts, flags, asking(each)) for each in subjects]
    decisions = {subject: answer.decision for subject, answer in zip(subjects, answers, strict=True)}
    held = {subject for subject, made in decisions.items() if made is not None and made.reason == HOLDBACK}
    assert 240 < len(held) < 360
    assert held == {each for each in subjects if held_back(each, 0.3)}
    for subject, answer in zip(subjects, answers, strict=True):
        expected = ("v1", Decider.HOLDBACK) if subject in held else ("v3", Decider.BANDIT)
        assert (answer.evaluation.variant, answer.evaluation.decided_by) == expected
        assert answer.exposure_id is not None
    assert parts.recorded("component:hero") == 1000


async def test_who_is_held_back_is_so_by_one_decision_a_session(tmp_path: Path) -> None:
    parts, flags = deciding(Insists("v3")), flags_of(tmp_path, hero=personalized(metadata={"holdback": 1}))
    first, again = [await one(parts, flags, asking()) for _ in range(2)]
    decision = first.decision
    assert decision is not None
    assert (decision.action, decision.probability, decision.policy) == ("v1", 1.0, "default@1")
    assert (decision.mode.value, decision.reason) == ("LOG_ONLY", HOLDBACK)
    assert not explored(decision)
    assert (again.decision, again.why, parts.recorded("component:hero")) == (decision, "STICKY", 1)
    cannot = await one(parts, flags, asking(supports={"hero": ["v2", "v3"]}))
    assert (cannot.evaluation.decided_by, cannot.decision) == (Decider.HOLDBACK, decision)
    assert cannot.evaluation.variant is None


async def test_who_is_held_back_no_longer_is_decided_about_and_the_other_way(tmp_path: Path) -> None:
    parts = deciding(Insists("v3"))
    for holdback, variant, decider in ((1, "v1", "HOLDBACK"), (0, "v3", "BANDIT"), (1, "v1", "HOLDBACK")):
        flags = flags_of(tmp_path, hero=personalized(metadata={"holdback": holdback}))
        for why in (None, "STICKY"):
            answer = await one(parts, flags, asking())
            assert (answer.evaluation.variant, answer.evaluation.decided_by.value) == (variant, decider)
            assert answer.why == why
    assert parts.recorded("component:hero") == 3


@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_holdback_holds_the_smaller_one(subject: str, one_share: float, other: float) -> None:
    smaller, larger = sorted((one_share, other))
    assert held_back(subject, larger) or not held_back(subject, smaller)
    assert not held_back(subject, 0.0)
    assert held_back(subject, 1.0)


async def test_the_public_default_is_never_decided(tmp_path: Path) -> None:
    parts, flags = deciding(Insists("v3")), flags_of(tmp_path, hero=personalized())
    answer = await one(parts, flags, Ask(Subject()))
    assert (answer.evaluation.variant, answer.evaluation.decided_by) == ("v1", Decider.DEFAULT)
    assert (answer.decision, answer.exposure_id, parts.recorded("component:hero")) == (None, None, 0)


async def test_a_persona_is_given_only_what_it_may_see(tmp_path: Path) -> None:
    parts, flags = deciding(Insists("v3")), flags_of(tmp_path, hero=personalized())
    for n in range(50):
        answer = await one(parts, flags, asking(f"customer:{n}", "DIRECT_CUSTOMER"))
        assert answer.decision is not None
        assert answer.decision.actions == ("v1", "v2")


@pytest.mark.parametrize(
    ("supports", "actions", "shown"),
    [
        ({"hero": ["v1", "v3"]}, ("v1", "v3"), {"v1", "v3"}),
        ({"other": ["v1"]}, ("v1", "v2", "v3"), {"v1", "v2", "v3"}),
        ({"hero": ["v1"]}, None, {"v1"}),
        ({"hero": ["v2"]}, None, {None}),  # no choice, so the default, which the client cannot render
        ({"hero": []}, None, {None}),
    ],
)
async def test_a_client_is_given_only_what_it_can_render(
    tmp_path: Path, supports: dict[str, list[str]], actions: tuple[str, ...] | None, shown: set[str | None]
) -> None:
    parts, flags = deciding(), flags_of(tmp_path, hero=personalized())
    answers = [await one(parts, flags, asking(f"visitor:{n}", supports=supports)) for n in range(60)]
    assert {each.evaluation.variant for each in answers} == shown
    assert {each.decision.actions if each.decision else None for each in answers} == {actions}
    assert all((each.exposure_id is None) == (each.evaluation.variant is None) for each in answers)


async def test_no_variant_is_less_probable_than_the_floor(tmp_path: Path) -> None:
    parts, flags = deciding(Insists("v3")), flags_of(tmp_path, hero=personalized(metadata={"floor": 0.1}))
    answers = [await one(parts, flags, asking(f"visitor:{n}")) for n in range(400)]
    distributions = {each.decision.distribution for each in answers if each.decision}
    assert len(distributions) == 1
    assert min(*distributions.pop()) >= 0.1
    assert Counter(each.evaluation.variant for each in answers)["v1"] > 15


async def test_a_session_keeps_its_variant(tmp_path: Path) -> None:
    parts, flags = deciding(), flags_of(tmp_path, hero=personalized())
    first = await one(parts, flags, asking())
    for _ in range(30):
        again = await one(parts, flags, asking())
        assert (again.decision, again.why) == (first.decision, "STICKY")
    assert parts.recorded("component:hero") == 1
    sessions = [await one(parts, flags, asking(session=f"s-{n}")) for n in range(40)]
    assert len({each.evaluation.variant for each in sessions}) > 1
    assert parts.recorded("component:hero") == 40, "one of them was there before"


async def test_it_is_decided_anew_when_the_time_is_over(tmp_path: Path) -> None:
    clock = ManualClock(START)
    parts = deciding(sticky=MemoryStickyDecisions(clock, timedelta(minutes=10)))
    flags = flags_of(tmp_path, hero=personalized())
    first = await one(parts, flags, asking())
    clock.at += timedelta(minutes=11)
    second = await one(parts, flags, asking())
    assert first.decision is not None
    assert second.decision is not None
    assert first.decision.id != second.decision.id
    assert second.why is None


async def test_another_policy_does_not_change_what_a_session_sees(tmp_path: Path) -> None:
    sticky = SqliteStickyDecisions(tmp_path / "sticky.sqlite3", ManualClock(START))
    folder = tmp_path / "flags"
    folder.mkdir()
    flags = flags_of(folder, hero=personalized())
    first = await one(deciding(Insists("v3"), sticky), flags, asking())
    elsewhere = SqliteStickyDecisions(tmp_path / "sticky.sqlite3", ManualClock(START))
    second = await one(deciding(Insists("v1"), elsewhere), flags, asking())
    await sticky.aclose()
    await elsewhere.aclose()
    assert (second.decision, second.why) == (first.decision, "STICKY")


async def test_a_variant_that_may_no_longer_be_seen_is_decided_anew(tmp_path: Path) -> None:
    parts, flags = deciding(Insists("v3")), flags_of(tmp_path, hero=personalized())
    first = await one(parts, flags, asking())
    assert first.evaluation.variant == "v3"
    second = await one(parts, flags, asking(supports={"hero": ["v1", "v2"]}))
    assert second.evaluation.variant in ("v1", "v2")
    third = await one(parts, flags, asking())
    assert (third.decision, third.why) == (second.decision, "STICKY")


async def test_a_page_is_decided_in_one_batch(tmp_path: Path) -> None:
    sticky = SlowSticky(ManualClock(START))
    sticky.let.set()
    keys = [f"c{n}" for n in range(12)]
    flags = flags_of(tmp_path, **{key: personalized(metadata={"component": key}) for key in keys})
    parts = deciding(sticky=sticky)
    opened = [each for each in parts.flags.at_once(flags, keys, asking()) if isinstance(each, OpenFlag)]
    answers = await parts.flags.decide(flags, opened)
    assert len(answers) == 12
    assert all(each.decision is not None for each in answers)
    assert len({each.decision.id for each in answers if each.decision}) == 12


async def test_fields_that_ask_at_once_never_disagree(tmp_path: Path) -> None:
    for sticky in (
        MemoryStickyDecisions(ManualClock(START)),
        SqliteStickyDecisions(tmp_path / "s", ManualClock(START)),
    ):
        parts, flags = deciding(sticky=sticky), flags_of(tmp_path, hero=personalized())
        answers = await asyncio.gather(*(one(parts, flags, asking()) for _ in range(30)))
        opened = parts.flags.at_once(flags, ["hero"] * 5, asking("visitor:2"))
        batch = await parts.flags.decide(flags, [each for each in opened if isinstance(each, OpenFlag)])
        await sticky.aclose()
        assert len({each.evaluation.variant for each in answers}) == 1
        assert len({each.decision.id for each in answers if each.decision}) == 1
        assert len(batch) == 5
        assert len({each.decision.id for each in batch if each.decision}) == 1
        assert parts.recorded("component:hero") == 2, "what lost was not recorded"


async def test_without_a_model_the_default_is_given_and_not_remembered(tmp_path: Path) -> None:
    sticky = MemoryStickyDecisions(ManualClock(START))
    flags = flags_of(tmp_path, hero=personalized())
    answer = await one(deciding(Breaks(), sticky), flags, asking())
    assert (answer.evaluation.variant, answer.evaluation.decided_by) == ("v1", Decider.DEFAULT)
    assert (answer.why, answer.decision) == ("POLICY_FAILED", None)
    assert answer.exposure_id is not None
    assert (await one(deciding(Insists("v3"), sticky), flags, asking())).evaluation.variant == "v3"


async def test_late_is_the_default_now_and_the_decision_next_time(tmp_path: Path) -> None:
    sticky = SlowSticky(ManualClock(START))
    parts, flags = deciding(Insists("v3"), sticky), flags_of(tmp_path, hero=personalized())
    late = await one(parts, flags, asking(deadline=Deadline.after(0.02, SystemClock())))
    assert (late.evaluation.variant, late.why, late.decision) == ("v1", "LATE", None)
    sticky.let.set()
    async with asyncio.timeout(10):
        while not parts.recorded("component:hero"):  # noqa: ASYNC110 - nobody tells when it is
            await asyncio.sleep(0.001)
    again = await one(parts, flags, asking(deadline=Deadline.after(5, SystemClock())))
    assert (again.evaluation.variant, again.why) == ("v3", "STICKY")
    assert parts.recorded("component:hero") == 1


async def test_a_store_that_is_broken_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    sticky = SqliteStickyDecisions(tmp_path / "folder", ManualClock(START))
    parts, flags = deciding(sticky=sticky), flags_of(tmp_path, hero=personalized())
    answer = await one(parts, flags, asking())
    await sticky.aclose()
    assert (answer.evaluation.variant, answer.why) == ("v1", "STICKY_UNAVAILABLE")


async def test_what_cannot_be_recorded_is_neither_given_nor_remembered(tmp_path: Path) -> None:
    sticky = MemoryStickyDecisions(ManualClock(START))
    flags = flags_of(tmp_path, hero=personalized())
    answer = await one(deciding(Insists("v3"), sticky, capacity=0), flags, asking())
    assert (answer.evaluation.variant, answer.why) == ("v1", "JOURNAL_FULL")
    anew = await one(deciding(Insists("v2"), sticky), flags, asking())
    assert (anew.evaluation.variant, anew.why) == ("v2", None)


async def test_an_unknown_flag_is_an_answer_too(tmp_path: Path) -> None:
    answer = await one(deciding(), flags_of(tmp_path, hero=personalized()), asking(), "nobody")
    assert answer.evaluation.error_code is not None
    assert answer.exposure_id is None


ASKS = st.builds(
    asking,
    st.sampled_from([f"visitor:{n}" for n in range(8)]),
    st.sampled_from(["VISITOR", "BUILDER", "DIRECT_CUSTOMER", "CONSULTANT"]),
    session=st.sampled_from(["s-1", "s-2"]),
    supports=st.none() | st.fixed_dictionaries({"hero": st.lists(st.sampled_from(["v1", "v2", "v3"]), unique=True)}),
    overrides=st.sampled_from([{}, {}, {"hero": "v2"}]),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ASKS, min_size=1, max_size=30), st.floats(0, 1), st.booleans())
async def test_what_is_at_hand_is_what_is_answered_and_given_once(
    tmp_path: Path, asks: list[Ask], holdback: float, broken: bool
) -> None:
    """Regular flags, one that others require, and one that is decided about; asked again, a decision is at hand."""
    parts = deciding(Breaks() if broken else None)
    flags = flags_of(
        tmp_path,
        hero=personalized({"if": [BUILDER, "v2", None]}, {"holdback": holdback}),
        first=flag({"if": [BUILDER, "v2", "off"]}),
        second=flag({"if": [BUILDER, None, "v2"]}, metadata={"requires": "first"}),
    )
    keys = ["second", "hero", "nobody", "first"]
    for ask in asks:
        answers = await parts.flags.answer(flags, keys, ask)
        before, counted = len(parts.given.exposures), parts.counted()
        giving = parts.flags.at_hand(flags, keys, ask)
        assert (len(parts.given.exposures), parts.counted()) == (before, counted), "nothing is given yet"
        if giving is None:
            assert (broken, answers[1].decision) == (True, None), "nothing was decided"
            continue
        expected = [(each.evaluation, each.decision) for each in answers]
        assert [(each.evaluation, each.decision) for each in giving.answers] == expected
        ids = giving.ids()
        assert [each is None for each in ids] == [each.exposure_id is None for each in answers]
        assert parts.counted() == counted + len(keys)
        assert (giving.ids(), parts.counted()) == (ids, counted + len(keys))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ASKS, min_size=1, max_size=30), st.floats(0, 1), st.booleans())
async def test_whatever_is_asked_an_answer_keeps_every_bound(
    tmp_path: Path, asks: list[Ask], holdback: float, broken: bool
) -> None:
    parts = deciding(Breaks() if broken else None)
    definition = personalized({"if": [BUILDER, "v2", None]}, {"holdback": holdback, "floor": 0.1})
    flags = flags_of(tmp_path, hero=definition)
    for ask in asks:
        answer = await one(parts, flags, ask)
        variant, decider = answer.evaluation.variant, answer.evaluation.decided_by
        can = ask.supports["hero"] if ask.supports is not None else ["v1", "v2", "v3"]
        assert variant is None or variant in can
        assert (answer.decision is not None) == (decider in {Decider.BANDIT, Decider.HOLDBACK})
        if ask.overrides:
            assert decider is Decider.OVERRIDE
        elif ask.subject.attributes["persona"] == "BUILDER":
            assert decider is Decider.RULE
        elif decider is Decider.BANDIT:
            assert answer.decision is not None
            assert variant == answer.decision.action
            assert answer.decision.probability >= 0.1
            assert not held_back(ask.subject.targeting_key or "", holdback)
            assert ask.subject.attributes["persona"] != "DIRECT_CUSTOMER" or variant != "v3"
        elif decider is Decider.HOLDBACK:
            assert held_back(ask.subject.targeting_key or "", holdback)
            assert answer.decision is not None
            assert (answer.decision.action, answer.decision.reason) == ("v1", HOLDBACK)
            assert variant in ("v1", None)
        else:
            assert variant in ("v1", None)
