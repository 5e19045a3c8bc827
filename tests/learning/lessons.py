"""Joined decisions to learn from: drawn evenly, as the service draws, and rewarded where a persona likes the action."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from personalization.bandit.sampling import sample
from personalization.events import Decision, DecisionContext, DecisionMode, JoinedDecision, Persona, Season, ShelfAction

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ACTIONS = tuple(each.value for each in ShelfAction)
EVEN = (0.25,) * 4
PERSONAS = tuple(each.value for each in Persona)
SEASONS = tuple(each.value for each in Season)


def context_of(number: int, placement: str = "HOME") -> DecisionContext:
    """One of 60 contexts."""
    return DecisionContext(
        placement,
        persona=PERSONAS[number % 5],
        category=f"c{number % 3}",
        region="US-NE",
        season=SEASONS[number % 4],
        device="PHONE",
    )


def joined_of(number: int, placement: str = "HOME") -> JoinedDecision:
    """The decision of this number, a second after the one before; a basket for what the persona likes, mostly."""
    context = context_of(number, placement)
    decision_id = f"0198c0de-0000-7000-8000-{number:012x}"
    index = sample(EVEN, decision_id)
    at = START + timedelta(seconds=number)
    decision = Decision(
        decision_id,
        at,
        context,
        ACTIONS,
        EVEN,
        ACTIONS[index],
        0.25,
        "uniform@1",
        DecisionMode.LOG_ONLY,
        "DRAWN",
        f"visitor:{number % 97}",
    )
    liked = index == PERSONAS.index(context.persona or "") % 4
    reward = 3.0 if Random(number).random() < (0.6 if liked else 0.1) else 0.0
    return JoinedDecision(decision, (), reward, True, at + timedelta(seconds=22))


def joined_many(numbers: Iterable[int]) -> list[JoinedDecision]:
    return [joined_of(each) for each in numbers]


def imitated_of(number: int) -> JoinedDecision:
    """An apprentice's decision: the default with certainty."""
    joined = joined_of(number)
    decision = replace(
        joined.decision,
        mode=DecisionMode.APPRENTICE,
        distribution=(0.0, 0.0, 1.0, 0.0),
        action="bestsellers",
        probability=1.0,
        reason="IMITATED",
    )
    return replace(joined, decision=decision, reward=0.0)
