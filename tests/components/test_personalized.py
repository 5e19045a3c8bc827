"""What makes a flag personalized: its metadata is checked, and bounds what a persona may see."""

from pathlib import Path
from typing import Any

import pytest

from flags.definition import FlagDefinition
from flags.terms import Terms, terms_of
from tests.flags.writing import flag, read, write

PERSONALIZED: dict[str, Any] = {"component": "hero", "personalized": True}
TWO = "some of ['off', 'v1', 'v2'], each once, as 'v1,v2'"


def _reasons(tmp_path: Path, metadata: dict[str, Any], **changes: Any) -> list[str]:
    write(tmp_path, {"hero": flag(metadata=metadata, **changes)})
    return [refusal.reason for refusal in read(tmp_path).refused]


@pytest.mark.parametrize(
    ("more", "changes"),
    [
        ({}, {}),
        ({"floor": 0.05, "holdback": 0.05, "reward.ADDED_TO_BASKET": 3}, {}),
        ({"floor": 1 / 3, "holdback": 1}, {}),
        ({"floor": 0, "holdback": 0}, {}),
        ({"audience.VISITOR": "v1, v2", "audience.BUILDER": "v2,off"}, {}),
        ({}, {"variants": {"on": True, "off": False}, "defaultVariant": "off"}),
        ({"personalized": False, "floor": 7}, {}),
        ({}, {"variants": {"v1": {"version": "v1"}, "v2": {"version": "v2", "columns": 4}}}),
    ],
)
def test_good_metadata_is_taken(tmp_path: Path, more: dict[str, Any], changes: dict[str, Any]) -> None:
    assert _reasons(tmp_path, {**PERSONALIZED, **more}, **changes) == []


@pytest.mark.parametrize(
    ("more", "changes", "reason"),
    [
        ({"personalized": "yes"}, {}, "the metadata personalized is true or false; received 'yes'"),
        ({"floor": 0.34}, {}, "a floor of 0.34 for 3 variants is over 1 in all"),
        ({"floor": -0.1}, {}, "the metadata floor is a number from 0 to 1; received -0.1"),
        ({"floor": True}, {}, "the metadata floor is a number from 0 to 1; received True"),
        ({"holdback": 1.5}, {}, "the metadata holdback is a number from 0 to 1; received 1.5"),
        ({"holdback": "5%"}, {}, "the metadata holdback is a number from 0 to 1; received '5%'"),
        ({"audience.CAT": "v1"}, {}, "'audience.CAT' names no persona: ['BUILDER', "),
        ({"audience.VISITOR": "v1,v9"}, {}, f"audience.VISITOR lists {TWO}; received 'v1,v9'"),
        ({"audience.VISITOR": "v1,v1"}, {}, f"audience.VISITOR lists {TWO}; received 'v1,v1'"),
        ({"audience.VISITOR": ","}, {}, f"audience.VISITOR lists {TWO}; received ','"),
        ({"audience.VISITOR": 1}, {}, f"audience.VISITOR lists {TWO}; received 1"),
        ({}, {"defaultVariant": None}, "a personalized flag needs a defaultVariant, for when nothing is decided"),
        (
            {"personalized": False, "audience.VISITOR": "v1"},
            {},
            "audience.VISITOR bounds a decision, and the flag is not",
        ),
    ],
)
def test_bad_metadata_is_refused_with_what_was_received(
    tmp_path: Path, more: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    (told,) = _reasons(tmp_path, {**PERSONALIZED, **more}, **changes)
    assert told.startswith(reason)


def test_variants_of_a_decision_are_texts_or_booleans(tmp_path: Path) -> None:
    (told,) = _reasons(tmp_path, {"personalized": True}, variants={"one": 1, "two": 2}, defaultVariant="one")
    assert told == "the variants of a personalized flag are texts, true and false, or have a `version`"


def test_what_the_file_says_of_all_its_flags_counts_too(tmp_path: Path) -> None:
    write(tmp_path, {"hero": flag()}, rest={"metadata": {"personalized": True, "floor": 0.5}})
    assert [refusal.reason for refusal in read(tmp_path).refused] == ["a floor of 0.5 for 3 variants is over 1 in all"]


def _hero(tmp_path: Path, **metadata: Any) -> tuple[FlagDefinition, Terms]:
    write(tmp_path, {"hero": flag(metadata={**PERSONALIZED, **metadata})})
    (definition,) = read(tmp_path).flags
    terms = terms_of(definition)
    assert terms is not None
    return definition, terms


def test_an_audience_is_in_the_order_of_the_flag_and_unbound_without_one(tmp_path: Path) -> None:
    _, terms = _hero(tmp_path, **{"audience.BUILDER": "off, v2", "audience.VISITOR": "v1"})
    assert terms.variants_for("BUILDER") == ("v2", "off")
    assert terms.variants_for("CONSULTANT") == ("v1", "v2", "off")
    for nobody in (None, "SOMEBODY", 7):
        assert terms.variants_for(nobody) == terms.variants_for("VISITOR") == ("v1",)


@pytest.mark.parametrize(
    ("supports", "actions"),
    [
        (None, ("v1", "v2", "off")),
        ({}, ("v1", "v2", "off")),
        ({"tile": ["v1"]}, ("v1", "v2", "off")),
        ({"hero": ["v2", "v9"]}, ("v2", "off")),
        ({"hero": []}, ()),
    ],
)
def test_a_decision_chooses_among_two_or_more_that_the_client_can_render(
    tmp_path: Path, supports: dict[str, list[str]] | None, actions: tuple[str, ...]
) -> None:
    hero, terms = _hero(tmp_path)
    assert terms.actions_for(hero, "CONSULTANT", supports) == actions
