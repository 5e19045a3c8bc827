"""The shoppers' preferences are what is written about them, and their deeds follow from that."""

from collections import Counter
from itertools import islice
from math import sqrt
from random import Random
from statistics import fmean

import pytest

from personalization.events import OutcomeKind
from personalization.simulation.delays import (
    BASKET_IN_TIME,
    DETAIL_IN_TIME,
    WINDOW,
    basket_delay,
    detail_delay,
)
from personalization.simulation.preferences import ACTIONS, TABLE, Preferences, basket_chance, detail_chance
from personalization.simulation.shoppers import BETWEEN_VISITS, SHARES, Shoppers

MANY = 20_000


def test_one_seed_gives_the_same_shoppers_and_another_gives_others() -> None:
    one, again, other = (list(islice(Shoppers(seed).visits(), 50)) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    context = one[0].context
    assert Preferences(1).likes(context) == Preferences(1).likes(context)
    assert Preferences(1).likes(context) != Preferences(2).likes(context)
    assert Preferences(1).likes(context) != Preferences(1, era=1).likes(context)


def test_visits_have_the_shares_of_the_personas_and_the_pace() -> None:
    visits = list(islice(Shoppers(3).visits(), MANY))
    seen = Counter(each.context.persona for each in visits)
    for persona, share in SHARES.items():
        # 2,000 people are drawn first, then visits among them
        assert seen[persona] / MANY == pytest.approx(share, abs=5 * sqrt(share / 2_000))
    pace = fmean(each.after.total_seconds() for each in visits)
    assert pace == pytest.approx(BETWEEN_VISITS, rel=5 / sqrt(MANY))


@pytest.mark.parametrize("seed", range(6))
def test_each_persona_wants_something_else_and_no_action_is_best_for_all(seed: int) -> None:
    preferences = Preferences(seed)
    best: dict[str, Counter[str]] = {persona: Counter() for persona in TABLE}
    for shopping in islice(Shoppers(seed).visits(), 4_000):
        rewards = preferences.rewards(shopping.context)
        best[shopping.context.persona or ""][ACTIONS[rewards.index(max(rewards))]] += 1
    assert len({counts.most_common(1)[0][0] for counts in best.values()}) >= 3
    assert all(len(counts) > 1 for counts in best.values()), "season and category matter too"


def test_the_chances_of_being_in_time_are_those_of_the_delays() -> None:
    chance = Random(5)
    pairs = [(detail_delay(chance), basket_delay(chance)) for _ in range(MANY)]
    bound = 5 * 0.5 / sqrt(MANY)
    assert fmean(detail <= WINDOW for detail, _ in pairs) == pytest.approx(DETAIL_IN_TIME, abs=bound)
    assert fmean(detail + basket <= WINDOW for detail, basket in pairs) == pytest.approx(BASKET_IN_TIME, abs=bound)
    assert 0.9 < BASKET_IN_TIME < DETAIL_IN_TIME < 1.0


def test_what_shoppers_do_is_worth_what_is_expected() -> None:
    shoppers, preferences = Shoppers(4), Preferences(4)
    context = next(shoppers.visits()).context
    for action, like, expected in zip(ACTIONS, preferences.likes(context), preferences.rewards(context), strict=True):
        rewards = []
        for _ in range(4_000):
            deeds = shoppers.deeds(preferences, context, action)
            assert [each.after for each in deeds] == sorted(each.after for each in deeds)
            assert all(each.reported > each.after for each in deeds)
            in_time = {each.kind for each in deeds if each.after.total_seconds() <= WINDOW}
            basket, detail = OutcomeKind.ADDED_TO_BASKET in in_time, OutcomeKind.DETAIL_DISPLAYED in in_time
            rewards.append(3.0 if basket else float(detail))
        assert fmean(rewards) == pytest.approx(expected, abs=5 * 1.3 / sqrt(4_000))
        assert 0.0 < basket_chance(like) < 1.0
        assert 0.0 < detail_chance(like) < 1.0
