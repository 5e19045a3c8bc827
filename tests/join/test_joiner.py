"""The joiner gives the rows of the slow and simple way, whatever order, repetition and restarts events come in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization.events import Decision, JoinedDecision, Outcome, OutcomeKind
from personalization.join.joiner import Joiner, JoinLimits
from personalization.join.reward import JoinRules, RewardRule
from personalization.join.state import Fate, decode_state, encode_state
from tests.join.histories import FAR, PATIENCE, RULES, SLACK, START, Arrival, expected, history

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
LIMITS = JoinLimits(patience=PATIENCE)
RANDOM = st.randoms(use_true_random=False)


def take(joiner: Joiner, event: Decision | Outcome) -> None:
    if isinstance(event, Decision):
        joiner.decided(event)
    else:
        joiner.happened(event)


def restarted(joiner: Joiner, limits: JoinLimits = LIMITS) -> Joiner:
    return Joiner.restored(decode_state(encode_state(joiner.state())), RULES, limits)


def rows_of(arrivals: Sequence[Arrival], random: Random) -> list[JoinedDecision]:
    """The rows of a joiner that is now and then restarted, or set back to what it was before."""
    joiner = Joiner(RULES, LIMITS)
    rows: list[JoinedDecision] = []
    saved, saved_at = joiner.state(), 0
    place = 0
    setbacks = 5
    while place < len(arrivals):
        take(joiner, arrivals[place].event)
        if random.random() < 0.4:
            rows += [each.row for each in joiner.advance(arrivals[place].at - SLACK)]
        place += 1
        match random.randint(0, 30):
            case 0:
                joiner = restarted(joiner)
            case 1:
                saved, saved_at = joiner.state(), place
            case 2 if setbacks:
                setbacks -= 1
                joiner, place = Joiner.restored(saved, RULES, LIMITS), saved_at
    return rows + [each.row for each in joiner.advance(START + FAR)]


@given(RANDOM, st.integers(1, 40))
@UNHURRIED
def test_the_rows_are_those_of_the_simple_way(random: Random, decisions: int) -> None:
    arrivals = history(random, decisions)
    rows = rows_of(arrivals, random)
    wanted = expected(arrivals)
    assert {each.decision.id for each in rows} == wanted.keys()
    for row in rows:
        assert row == wanted[row.decision.id]


@given(RANDOM, st.integers(1, 40))
@UNHURRIED
def test_without_setbacks_each_row_comes_once_in_the_order_of_closing(random: Random, decisions: int) -> None:
    arrivals = history(random, decisions)
    joiner = Joiner(RULES, LIMITS)
    for each in arrivals:
        take(joiner, each.event)
    rows = [each.row for each in joiner.advance(START + FAR)]
    order = [(each.joined_at, each.decision.id) for each in rows]
    assert order == sorted(set(order))
    assert len(rows) == len(expected(arrivals))


@given(RANDOM, st.integers(1, 40))
@UNHURRIED
def test_every_event_has_one_fate_in_any_order_and_little_memory(random: Random, decisions: int) -> None:
    arrivals = history(random, decisions)
    random.shuffle(arrivals)
    joiner = Joiner(RULES, replace(LIMITS, most_held=5, most_waiting=8, most_closed=5))
    rows: list[JoinedDecision] = []
    for each in arrivals:
        take(joiner, each.event)
        assert joiner.held <= 5
        assert joiner.waiting <= 8
        if random.random() < 0.1:
            rows += [each.row for each in joiner.advance(each.at - SLACK)]
    rows += [each.row for each in joiner.advance(START + FAR)]
    outcomes = sum(isinstance(each.event, Outcome) for each in arrivals)
    assert sum(joiner.outcomes.values()) == outcomes
    assert sum(joiner.decisions.values()) == len(arrivals) - outcomes
    assert joiner.decisions[Fate.JOINED] == len(rows)
    wanted = expected(arrivals, replace(RULES, most_outcomes=1_000))
    for row in rows:
        assert set(row.outcomes) <= set(wanted[row.decision.id].outcomes)


@given(RANDOM, st.integers(1, 30))
@UNHURRIED
def test_a_restored_joiner_is_the_same_joiner(random: Random, decisions: int) -> None:
    arrivals = history(random, decisions)
    first = Joiner(RULES, LIMITS)
    for each in arrivals[: len(arrivals) // 2]:
        take(first, each.event)
        first.advance(each.at - SLACK)
    second = restarted(first)
    for each in arrivals[len(arrivals) // 2 :]:
        take(first, each.event)
        take(second, each.event)
        assert first.advance(each.at - SLACK) == second.advance(each.at - SLACK)
    assert encode_state(first.state()) == encode_state(second.state())


def decision(placement: str = "HOME") -> Decision:
    one = next(each.event for each in history(Random(1), 1) if isinstance(each.event, Decision))
    return replace(one, id="d", at=START, context=replace(one.context, placement=placement))


def outcome(kind: OutcomeKind, seconds: float, *, received: float | None = None, name: str | None = None) -> Outcome:
    at = START + timedelta(seconds=seconds)
    came = at if received is None else START + timedelta(seconds=received)
    return Outcome(name or f"{kind}{seconds}", "d", kind, at, came)


def joined(*outcomes: Outcome, rules: JoinRules | None = None, placement: str = "HOME") -> JoinedDecision:
    joiner = Joiner(rules)
    for each in outcomes:
        joiner.happened(each)
    joiner.decided(decision(placement))
    (row,) = joiner.advance(START + timedelta(seconds=22))
    return row.row


@pytest.mark.parametrize(
    ("outcomes", "reward", "displayed"),
    [
        ([], 0.0, False),
        ([outcome(OutcomeKind.DISPLAYED, 1)], 0.0, True),
        ([outcome(OutcomeKind.DETAIL_DISPLAYED, 2)], 1.0, True),
        ([outcome(OutcomeKind.DETAIL_DISPLAYED, 2), outcome(OutcomeKind.DETAIL_DISPLAYED, 3)], 1.0, True),
        ([outcome(OutcomeKind.ADDED_TO_BASKET, 20), outcome(OutcomeKind.DETAIL_DISPLAYED, 3)], 3.0, True),
        ([outcome(OutcomeKind.ADDED_TO_BASKET, 20.000001)], 0.0, False),
        ([outcome(OutcomeKind.ADDED_TO_BASKET, 20, received=22)], 3.0, True),
        ([outcome(OutcomeKind.ADDED_TO_BASKET, 20, received=22.1)], 0.0, False),
        ([outcome(OutcomeKind.PURCHASED, 5)], 0.0, True),
        ([outcome(OutcomeKind.ADDED_TO_BASKET, -40, received=4)], 3.0, True),
        ([outcome(OutcomeKind.ADDED_TO_BASKET, -40, received=21)], 0.0, False),
        ([outcome(OutcomeKind.ADDED_TO_BASKET, 50, received=4)], 3.0, True),
    ],
)
def test_a_shelf_is_worth_what_happened_within_twenty_seconds(
    outcomes: list[Outcome], reward: float, displayed: bool
) -> None:
    row = joined(*outcomes)
    assert (row.reward, row.displayed) == (reward, displayed)
    assert row.joined_at == START + timedelta(seconds=22)


def test_a_component_has_a_rule_of_its_own() -> None:
    rule = RewardRule(((OutcomeKind.PURCHASED, 1.0),), timedelta(seconds=9))
    rules = JoinRules(by_placement={"component:hero": rule})
    bought = outcome(OutcomeKind.PURCHASED, 8)
    assert joined(bought, rules=rules, placement="component:hero").reward == 1.0
    assert joined(bought, rules=rules).reward == 0.0


@pytest.mark.parametrize(
    ("seconds", "reward"),
    [([], 0.0), ([None], 0.0), ([4.999], 0.0), ([5.0], 1.5), ([2.0, 4.0], 0.0), ([0.0, 9.0], 1.5)],
)
def test_a_component_may_be_worth_its_display_time(seconds: list[float | None], reward: float) -> None:
    rule = RewardRule(((OutcomeKind.DETAIL_DISPLAYED, 0.5),), display_s=5.0, display_value=1.5)
    rules = JoinRules(by_placement={"component:hero": rule})
    looks = [
        replace(outcome(OutcomeKind.DISPLAYED, 6, name=f"look {number}"), duration_s=each)
        for number, each in enumerate(seconds)
    ]
    click = outcome(OutcomeKind.DETAIL_DISPLAYED, 7)
    assert joined(*looks, rules=rules, placement="component:hero").reward == reward
    assert joined(*looks, click, rules=rules, placement="component:hero").reward == max(reward, 0.5)
    assert joined(*looks, rules=rules).reward == 0.0


def test_a_page_that_reports_no_display_can_be_taken_at_its_word() -> None:
    assert joined(rules=JoinRules(RewardRule(assume_displayed=True))).displayed


def fates(*steps: Decision | Outcome | float) -> dict[Fate, int]:
    """What becomes of outcomes; a number is the seconds to which time advances."""
    joiner = Joiner(limits=JoinLimits(remember=timedelta(seconds=100)))
    for step in steps:
        if isinstance(step, float):
            joiner.advance(START + timedelta(seconds=step))
        else:
            take(joiner, step)
    return dict(joiner.outcomes)


def test_what_does_not_count_is_counted_by_reason() -> None:
    click = outcome(OutcomeKind.DETAIL_DISPLAYED, 3)
    late = outcome(OutcomeKind.DETAIL_DISPLAYED, 4, received=30, name="late")
    bought = outcome(OutcomeKind.PURCHASED, 40)
    assert fates(decision(), click, click, 22.0) == {Fate.DUPLICATE: 1, Fate.JOINED: 1}
    assert fates(decision(), click, 22.0, click, late, bought) == {
        Fate.JOINED: 1,
        Fate.DUPLICATE: 1,
        Fate.LATE: 1,
        Fate.AFTER_WINDOW: 1,
    }
    assert fates(decision(), late, bought, 22.0) == {Fate.LATE: 1, Fate.AFTER_WINDOW: 1, Fate.JOINED: 0}
    assert fates(click, 62.0) == {}
    assert fates(click, 63.0) == {Fate.DANGLING: 1}
    assert fates(decision(), 22.0, 122.0, late, 130.0) == {Fate.JOINED: 0, Fate.DANGLING: 1}


def test_an_outcome_waits_for_its_decision() -> None:
    assert fates(outcome(OutcomeKind.DETAIL_DISPLAYED, 3), 62.9, decision(), 62.9) == {Fate.JOINED: 1}
