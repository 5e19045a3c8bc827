"""What is learned from a joined decision, and every reason to learn nothing."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest

from personalization.bandit.lessons import Lesson, Refusal, explored, lesson_of
from personalization.events import HOLDBACK, DecisionMode
from tests.personalization.lessons import ACTIONS, decision_of, imitated_of, joined_of


def test_an_explored_decision_teaches_its_reward() -> None:
    joined = replace(joined_of(1), reward=1.0)
    decision = joined.decision
    index = ACTIONS.index(decision.action)
    assert lesson_of(joined) == Lesson(decision.context, ACTIONS, index, 1.0 - 1.0 / 3.0, 0.25)


@pytest.mark.parametrize(("reward", "cost"), [(0.0, 1.0), (3.0, 0.0)])
def test_costs_are_rewards_turned_round(reward: float, cost: float) -> None:
    lesson = lesson_of(replace(joined_of(1), reward=reward))
    assert isinstance(lesson, Lesson)
    assert lesson.cost == cost


def test_an_apprentice_learns_to_imitate() -> None:
    lessons = [lesson_of(imitated_of(number)) for number in range(400)]
    drawn: dict[tuple[int, float], int] = {}
    for lesson in lessons:
        assert isinstance(lesson, Lesson)
        assert lesson.probability == 0.25
        drawn[lesson.index, lesson.cost] = drawn.get((lesson.index, lesson.cost), 0) + 1
    assert set(drawn) == {(0, 1.0), (1, 1.0), (2, 0.0), (3, 1.0)}
    assert min(drawn.values()) > 60
    assert lessons == [lesson_of(imitated_of(number)) for number in range(400)]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"probability": 0.0}, Refusal.INVALID_PROBABILITY),
        ({"probability": -0.25}, Refusal.INVALID_PROBABILITY),
        ({"probability": nan}, Refusal.INVALID_PROBABILITY),
        ({"probability": 1.5}, Refusal.INVALID_PROBABILITY),
        ({"probability": inf}, Refusal.INVALID_PROBABILITY),
        ({"probability": 1e-30}, Refusal.INVALID_PROBABILITY),
        ({"probability": 0.5}, Refusal.INVALID_DISTRIBUTION),
        ({"distribution": (0.25, 0.25, 0.25)}, Refusal.INVALID_DISTRIBUTION),
        ({"distribution": (0.25, nan, 0.25, 0.25)}, Refusal.INVALID_DISTRIBUTION),
        ({"distribution": (0.25, 0.25, 0.25, 0.5)}, Refusal.INVALID_DISTRIBUTION),
        ({"action": "nothing"}, Refusal.UNKNOWN_ACTION),
        ({"actions": ()}, Refusal.INVALID_ACTIONS),
        ({"actions": ("trending",) * 4}, Refusal.INVALID_ACTIONS),
        ({"actions": tuple(str(each) for each in range(65))}, Refusal.INVALID_ACTIONS),
        ({"mode": DecisionMode.FALLBACK}, Refusal.NOT_EXPLORED),
        ({"mode": DecisionMode.DEFAULT}, Refusal.NOT_EXPLORED),
        ({"mode": DecisionMode.ONLINE, "reason": HOLDBACK}, Refusal.NOT_EXPLORED),
    ],
)
def test_a_decision_that_teaches_nothing_is_refused(changes: dict[str, Any], refusal: Refusal) -> None:
    joined = joined_of(1)
    assert lesson_of(replace(joined, decision=replace(joined.decision, **changes))) is refusal


@pytest.mark.parametrize("reward", [nan, inf, -inf, -1.0, 3.1])
def test_a_reward_out_of_range_is_refused(reward: float) -> None:
    assert lesson_of(replace(joined_of(1), reward=reward)) is Refusal.INVALID_REWARD


def test_what_nobody_saw_teaches_nothing_and_is_no_poison() -> None:
    assert lesson_of(replace(joined_of(1), displayed=False)) is Refusal.NOT_DISPLAYED
    assert {each for each in Refusal if not each.poison} == {Refusal.NOT_DISPLAYED, Refusal.NOT_EXPLORED}


def test_actions_that_do_not_exist_are_refused_when_it_is_known_which_do() -> None:
    assert lesson_of(joined_of(1), ACTIONS[1:]) is Refusal.UNKNOWN_ACTION
    assert isinstance(lesson_of(joined_of(1), ACTIONS), Lesson)


def test_only_what_chance_chose_is_explored() -> None:
    decision = decision_of(1, DecisionMode.ONLINE)
    assert explored(decision)
    assert explored(decision_of(1))
    assert not explored(replace(decision, reason=HOLDBACK))
    assert not any(explored(decision_of(1, mode)) for mode in ("DEFAULT", "APPRENTICE", "FALLBACK"))  # type: ignore[arg-type]
