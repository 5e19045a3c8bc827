"""What an answer says: value, variant, reason, who decided, over which definitions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from flags.evaluation import Decider, FlagSet
from flags.subject import Subject
from personalization.clock import ManualClock
from personalization.events import Persona
from tests.flags.writing import BUCKETING, PINNED, flag, read, write

BUILDER = {"==": [{"var": "persona"}, "BUILDER"]}


@pytest.mark.parametrize(
    ("content", "value", "variant", "reason", "decided_by"),
    [
        (flag(), "v1", "v1", Reason.STATIC, Decider.DEFAULT),
        (flag(defaultVariant=None), None, None, Reason.DEFAULT, Decider.DEFAULT),
        (flag({"if": [BUILDER, "v2", None]}), "v2", "v2", Reason.TARGETING_MATCH, Decider.RULE),
        (flag({"if": [{"!": [BUILDER]}, "v2", None]}), "v1", "v1", Reason.DEFAULT, Decider.DEFAULT),
        (flag({"if": [BUILDER, "v2", None]}, state="DISABLED"), None, None, Reason.DISABLED, Decider.KILL_SWITCH),
    ],
)
def test_reasons_and_deciders(
    tmp_path: Path, content: Any, value: str | None, variant: str | None, reason: Reason, decided_by: Decider
) -> None:
    write(tmp_path, {"a": content})
    flags = FlagSet(read(tmp_path))
    found = flags.evaluate("a", Subject("customer:1", {"persona": Persona.BUILDER}))
    assert (found.value, found.variant, found.reason, found.decided_by) == (value, variant, reason, decided_by)
    assert found.definitions == flags.version
    assert found.left_open is (decided_by is Decider.DEFAULT)


@pytest.mark.parametrize(
    "targeting",
    [
        {"if": [{">": [{"/": [1, {"-": [{"var": "region"}, 0]}]}, 1]}, "v1", "v2"]},
        {"if": [{"==": [{"cat": ["a"]}, {"-": [{"var": "category"}]}]}, {"%": [1, {"var": "region"}]}, {"/": [1, 0]}]},
        {"cat": ["v", {"var": "category"}]},
        {"var": "category"},
    ],
)
def test_a_rule_that_fails_is_an_answer_without_the_subject_in_it(tmp_path: Path, targeting: Any) -> None:
    write(tmp_path, {"a": flag(targeting)})
    found = FlagSet(read(tmp_path)).evaluate("a", Subject("customer:1", {"region": 0, "category": "SECRET"}))
    assert (found.value, found.reason, found.error_code) == (None, Reason.ERROR, ErrorCode.GENERAL)
    assert "SECRET" not in str(found.error_message)
    assert not found.left_open


def test_an_unknown_flag_is_an_answer(tmp_path: Path) -> None:
    write(tmp_path, {"a": flag()})
    flags = FlagSet(read(tmp_path))
    found = flags.evaluate_many(["a", "b"], Subject())
    assert found["a"].error_code is None
    assert found["b"].error_code is ErrorCode.FLAG_NOT_FOUND
    assert found["b"] == flags.evaluate("b", Subject())


def test_all_flags_come_in_the_order_of_the_definitions(tmp_path: Path) -> None:
    write(tmp_path, {"z": flag(), "a": flag()}, "2.json")
    write(tmp_path, {"m": flag()}, "1.json")
    assert list(FlagSet(read(tmp_path)).evaluate_all(Subject())) == ["m", "z", "a"]


def test_time_is_that_of_the_clock_handed_in(tmp_path: Path) -> None:
    write(tmp_path, {"a": flag({"if": [{">=": [{"var": "$flagd.timestamp"}, 1_800_000_000]}, "v2", "v1"]})})
    definitions = read(tmp_path)
    for second, variant in ((1_799_999_999, "v1"), (1_800_000_000, "v2")):
        clock = ManualClock(datetime.fromtimestamp(second, UTC))
        assert FlagSet(definitions, clock).evaluate("a", Subject()).variant == variant


def test_the_public_default_stays_out_of_a_split(tmp_path: Path) -> None:
    write(tmp_path, {"a": flag({"fractional": [BUCKETING, ["v2", 1], ["off", 1]]}, metadata=PINNED)})
    flags = FlagSet(read(tmp_path))
    assert flags.evaluate("a", Subject()).variant == "v1"
    assert flags.evaluate("a", Subject("customer:1")).variant in ("v2", "off")


def test_rules_of_unchanged_flags_are_lent_to_the_next_set(tmp_path: Path) -> None:
    write(tmp_path, {"a": flag({"if": [BUILDER, "v2", "v1"]}), "b": flag()})
    first = FlagSet(read(tmp_path))
    first.evaluate("a", Subject())
    assert first.flags["a"].rule is not None
    write(tmp_path, {"a": flag({"if": [BUILDER, "v2", "v1"]}), "b": flag(defaultVariant="v2")})
    second = FlagSet(read(tmp_path, first.definitions), last=first)
    assert second.flags["a"].rule is first.flags["a"].rule
    assert second.evaluate("a", Subject()).definitions == second.version != first.version


def test_what_was_asked_is_prepared_in_the_next_set_and_the_rest_when_it_is_asked(tmp_path: Path) -> None:
    rule = {"if": [BUILDER, "v2", "v1"]}
    write(tmp_path, {"a": flag(rule), "b": flag(rule)})
    first = FlagSet(read(tmp_path))
    assert not first.flags["a"].prepared
    first.evaluate("a", Subject())
    write(tmp_path, {"a": flag(rule, defaultVariant="v2"), "b": flag(rule, defaultVariant="v2")})
    second = FlagSet(read(tmp_path, first.definitions), last=first)
    assert [second.flags[key].prepared for key in "ab"] == [True, False]
    builder = Subject(None, {"persona": "BUILDER"})
    assert [answer.variant for answer in second.evaluate_all(builder).values()] == ["v2", "v2"]
    assert second.flags["b"].prepared
