"""What a decision about a flag is worth stands in its definition."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flags.live import DEMO_DIRECTORY
from flags.rewards import reward_of, reward_rules
from personalization.events import OutcomeKind
from personalization.join.reward import SHELF_VALUES, RewardRule
from tests.flags.writing import flag, read, write

DEFAULT = RewardRule(window=timedelta(seconds=9))
PERSONALIZED: dict[str, Any] = {"component": "hero", "personalized": True}


@pytest.mark.parametrize(
    ("metadata", "rule"),
    [
        ({}, None),
        ({"rewards": "none", "floor": 0.1}, None),
        ({"reward.DETAIL_DISPLAYED": 1}, RewardRule(((OutcomeKind.DETAIL_DISPLAYED, 1.0),), DEFAULT.window)),
        (
            {"reward.PURCHASED": 2.5, "reward.window_s": 1800},
            RewardRule(((OutcomeKind.PURCHASED, 2.5),), timedelta(minutes=30)),
        ),
        (
            {"reward.display_s": 10, "reward.window_s": 30, "reward.assume_displayed": True},
            RewardRule((), timedelta(seconds=30), True, 10.0, 1.0),
        ),
        (
            {"reward.display_s": 10, "reward.display_value": 0.5, "reward.window_s": 30, "reward.ADDED_TO_BASKET": 3},
            RewardRule(((OutcomeKind.ADDED_TO_BASKET, 3.0),), timedelta(seconds=30), False, 10.0, 0.5),
        ),
        ({"reward.window_s": 60}, RewardRule(SHELF_VALUES, timedelta(minutes=1))),
    ],
)
def test_metadata_say_what_counts(metadata: dict[str, Any], rule: RewardRule | None) -> None:
    assert reward_of({**PERSONALIZED, **metadata}, DEFAULT) == rule


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"reward": "basket"}, "the metadata reward has 'reward', and should have some of DISPLAYED, DETAIL_DISPLAYED"),
        ({"reward.": 1}, "the metadata reward has '', and"),
        ({"reward.CLICKED": 1}, "the metadata reward has 'CLICKED', and should have some of DISPLAYED"),
        ({"reward.PURCHASED": 3.5}, "the metadata reward.PURCHASED: a number from 0 to 3.0 expected, got 3.5"),
        ({"reward.PURCHASED": -1}, "the metadata reward.PURCHASED: a number from 0 to 3.0 expected, got -1"),
        ({"reward.PURCHASED": True}, "the metadata reward.PURCHASED: a number from 0 to 3.0 expected, got True"),
        ({"reward.PURCHASED": "1"}, "the metadata reward.PURCHASED: a number from 0 to 3.0 expected, got '1'"),
        ({"reward.window_s": 0}, "the metadata reward.window_s: seconds up to 86400 expected, got 0"),
        ({"reward.display_s": 5}, "the metadata reward.display_s: seconds above 0 within a window_s beside it"),
        (
            {"reward.display_s": 31, "reward.window_s": 30},
            "the metadata reward.display_s: seconds above 0 within a window_s beside it expected, got 31 and 30",
        ),
        (
            {"reward.display_s": 5, "reward.window_s": 30, "reward.display_value": 4},
            "the metadata reward.display_value: a number from 0 to 3.0 expected, got 4",
        ),
        ({"reward.display_value": 1}, "the metadata reward.display_value: is the worth of a display_s, and there is"),
        ({"reward.assume_displayed": "yes"}, "the metadata reward.assume_displayed: true or false expected, got 'yes'"),
        (
            {"personalized": False, "reward.PURCHASED": 1},
            "the metadata reward is the worth of a decision, and the flag is not personalized",
        ),
    ],
)
def test_other_metadata_are_refused_with_a_sentence(tmp_path: Path, metadata: dict[str, Any], reason: str) -> None:
    write(tmp_path, {"component.hero": flag(metadata={**PERSONALIZED, **metadata})})
    (refusal,) = read(tmp_path).refused
    assert refusal.reason.startswith(reason)


def test_rules_are_those_of_personalized_flags_by_placement(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "component.hero": flag(metadata={**PERSONALIZED, "reward.DETAIL_DISPLAYED": 1}),
            "component.tile": flag(metadata={"component": "tile", "personalized": True}),
            "release.tour": flag(metadata={"personalized": True, "reward.PURCHASED": 2}, state="DISABLED"),
        },
    )
    definitions = read(tmp_path)
    assert definitions.refused == ()
    assert reward_rules(definitions.flags, DEFAULT) == {
        "component:hero": RewardRule(((OutcomeKind.DETAIL_DISPLAYED, 1.0),), DEFAULT.window),
        "flag:release.tour": RewardRule(((OutcomeKind.PURCHASED, 2.0),), DEFAULT.window),
    }


def test_the_demo_shops_hero_is_to_be_looked_at() -> None:
    hero = reward_rules(read(DEMO_DIRECTORY).flags, DEFAULT)["component:hero"]
    assert (hero.display_s, hero.display_value, hero.window) == (8.0, 0.5, timedelta(seconds=30))
    assert dict(hero.values) == {OutcomeKind.DETAIL_DISPLAYED: 1.0, OutcomeKind.ADDED_TO_BASKET: 3.0}
