"""Joined decisions to learn from, and models that learned from them."""

from dataclasses import replace
from functools import cache
from random import Random

from personalization.bandit.sampling import sample
from personalization.bandit.vw import Snapshot, VwLearner
from personalization.bandit.vw_settings import VwSettings
from personalization.events import Decision, DecisionContext, DecisionMode, JoinedDecision, Persona, Season, ShelfAction
from tests.personalization.hub_suite import START

ACTIONS = tuple(each.value for each in ShelfAction)
EVEN = (0.25,) * 4
PERSONAS = tuple(each.value for each in Persona)
SEASONS = tuple(each.value for each in Season)


def context_of(number: int) -> DecisionContext:
    """One of 60 contexts."""
    return DecisionContext(
        "HOME",
        persona=PERSONAS[number % 5],
        segment=None,
        category=f"c{number % 3}",
        region="US-NE",
        season=SEASONS[number % 4],
        device="PHONE",
    )


def liked(context: DecisionContext) -> str:
    """The action that this persona rewards."""
    return ACTIONS[PERSONAS.index(context.persona or PERSONAS[0]) % 4]


def decision_of(number: int, mode: DecisionMode = DecisionMode.LOG_ONLY) -> Decision:
    """The decision of this number, drawn evenly as the service draws."""
    decision_id = f"0198c0de-0000-7000-8000-{number:012x}"
    action = ACTIONS[sample(EVEN, decision_id)]
    return Decision(
        decision_id, START, context_of(number), ACTIONS, EVEN, action, 0.25, "uniform@1", mode, "DRAWN", "visitor:1"
    )


def joined_of(number: int) -> JoinedDecision:
    """That decision with its reward: a basket for what the persona likes, now and then a detail for the rest."""
    decision = decision_of(number)
    curious = 1.0 if Random(number).random() < 0.1 else 0.0
    reward = 3.0 if decision.action == liked(decision.context) else curious
    return JoinedDecision(decision, (), reward, True, START)


def imitated_of(number: int) -> JoinedDecision:
    """An apprentice's decision: the default, `bestsellers`, with certainty."""
    decision = replace(
        decision_of(number, DecisionMode.APPRENTICE),
        distribution=(0.0, 0.0, 1.0, 0.0),
        action="bestsellers",
        probability=1.0,
        reason="IMITATED",
    )
    return JoinedDecision(decision, (), 0.0, True, START)


def taught(first: int, last: int, model: bytes | None = None, settings: VwSettings | None = None) -> VwLearner:
    """A learner that learned these decisions, on top of `model`."""
    learner = VwLearner(settings or VwSettings(), model)
    for number in range(first, last):
        assert learner.learn(joined_of(number)) is None
    return learner


@cache
def snapshot_of(lessons: int) -> Snapshot:
    """The snapshot after so many lessons, made once a process."""
    return taught(0, lessons).snapshot()
