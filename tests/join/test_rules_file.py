"""Rules of placements come from a file, or are refused with a sentence."""

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.join_rules import join_rules
from gateway.settings import Settings
from personalization.events import OutcomeKind
from personalization.join.reward import SHELF_VALUES, JoinRules, RewardRule
from personalization.join.rules_file import InvalidRules, read_rules

DEFAULT = RewardRule(window=timedelta(seconds=9))


def test_what_is_left_out_is_as_in_the_default(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(
        '{"component:hero": {"values": {"PURCHASED": 2, "DETAIL_DISPLAYED": 0.5}, "window_s": 1800.5},'
        ' "component:teaser": {"assume_displayed": true},'
        ' "component:banner": {"display_s": 5, "window_s": 60},'
        ' "component:tile": {"display_s": 60, "display_value": 0.5, "values": {"ADDED_TO_BASKET": 3}, "window_s": 60}}'
    )
    assert read_rules(file, DEFAULT) == {
        "component:hero": RewardRule(
            ((OutcomeKind.PURCHASED, 2.0), (OutcomeKind.DETAIL_DISPLAYED, 0.5)), timedelta(seconds=1800.5)
        ),
        "component:teaser": RewardRule(SHELF_VALUES, DEFAULT.window, True),
        "component:banner": RewardRule((), timedelta(minutes=1), False, 5.0, 1.0),
        "component:tile": RewardRule(((OutcomeKind.ADDED_TO_BASKET, 3.0),), timedelta(minutes=1), False, 60.0, 0.5),
    }


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"": {}}',
        '{"a": 1}',
        '{"a": {"window": 3}}',
        '{"a": {"window_s": 0}}',
        '{"a": {"window_s": 86401}}',
        '{"a": {"window_s": true}}',
        '{"a": {"values": {}}}',
        '{"a": {"values": {"CLICKED": 1}}}',
        '{"a": {"values": {"PURCHASED": -1}}}',
        '{"a": {"values": {"PURCHASED": 3.01}}}',
        '{"a": {"values": {"PURCHASED": "3"}}}',
        '{"a": {"assume_displayed": 1}}',
        '{"a": {"display_s": 5}}',
        '{"a": {"display_s": 0, "window_s": 20}}',
        '{"a": {"display_s": true, "window_s": 20}}',
        '{"a": {"display_s": "5", "window_s": 20}}',
        '{"a": {"display_s": 20.5, "window_s": 20}}',
        '{"a": {"display_s": 5, "window_s": 20, "display_value": 3.5}}',
        '{"a": {"display_s": 5, "window_s": 20, "display_value": -1}}',
        '{"a": {"display_s": 5, "window_s": 20, "display_value": true}}',
        '{"a": {"display_value": 1}}',
    ],
)
def test_other_forms_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "rules.json"
    file.write_text(content)
    with pytest.raises(InvalidRules):
        read_rules(file, DEFAULT)


def test_settings_make_rules(tmp_path: Path) -> None:
    flags = tmp_path / "flags"
    flags.mkdir()
    assert join_rules(Settings.model_validate({"flags_dir": flags})) == JoinRules()
    file = tmp_path / "rules.json"
    file.write_text('{"component:hero": {"values": {"PURCHASED": 1}}}')
    members = {"join_window_s": 7, "join_lateness_s": 1, "join_assume_displayed": True, "join_rules": file}
    rules = join_rules(Settings.model_validate(members))
    assert rules.default == RewardRule(window=timedelta(seconds=7), assume_displayed=True)
    assert rules.by_placement["component:hero"].values == ((OutcomeKind.PURCHASED, 1.0),)
    assert rules.by_placement["component:hero"].assume_displayed
    assert rules.longest_hold == timedelta(seconds=8)
    with pytest.raises(InvalidRules, match=r"nowhere\.json cannot be read"):
        join_rules(Settings.model_validate({"join_rules": tmp_path / "nowhere.json"}))
