"""Which variants a flag can give: every one that is given to anybody, and none that the rule shuts out."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.definition import FlagDefinition, FlagType
from flags.definitions import Definitions
from flags.evaluation import FlagSet
from flags.reachability import reach_of, rule_outcomes
from flags.subject import Subject
from personalization.events import Device, Persona, Season
from tests.flags.test_targeting import attributes, keys, nested, targetings
from tests.flags.writing import BUCKETING

VARIANTS = {"v1": "v1", "v2": "v2", "v3": "v3", "7": "v7", "true": "v8", "false": "v9"}
WORDS = {
    name: [word.value for word in words]
    for name, words in {"persona": Persona, "season": Season, "device": Device}.items()
}
ANSWERS = st.sampled_from(["v1", "v2", "v3", None])

BUILDER: dict[str, Any] = {"==": [{"var": "persona"}, "BUILDER"]}
SELLER: dict[str, Any] = {"in": [{"var": "persona"}, ["BUILDER", "CONSULTANT"]]}
PHONE: dict[str, Any] = {"===": ["PHONE", {"var": "device"}]}
RECENT: dict[str, Any] = {"sem_ver": [{"var": "appVersion"}, ">=", "2.0.0"]}


def _flag(targeting: Any, metadata: dict[str, Any] | None = None, default: str | None = "v1") -> FlagDefinition:
    rule = json.dumps(targeting) if targeting else None
    return FlagDefinition("f", "f.json", FlagType.STRING, True, VARIANTS, default, "digest", rule, metadata or {})


def _outcomes(targeting: Any) -> set[str | None]:
    return set(rule_outcomes(targeting, frozenset(VARIANTS)))


@pytest.mark.parametrize(
    ("rule", "outcomes"),
    [
        (None, {None}),
        ({"if": [BUILDER, "v2", None]}, {"v2", None}),
        ({"if": [BUILDER, "v2"]}, {"v2", None}),
        ({"if": [BUILDER, "v2", BUILDER, "v3", "v1"]}, {"v2", "v1"}),
        ({"if": [SELLER, "v2", BUILDER, "v3", "v1"]}, {"v2", "v1"}),
        ({"if": [BUILDER, "v2", SELLER, "v3", "v1"]}, {"v2", "v3", "v1"}),
        ({"if": [BUILDER, {"if": [PHONE, "v1", BUILDER, "v2", "v3"]}, None]}, {"v1", "v2", None}),
        ({"if": [{"and": [SELLER, {"!": [BUILDER]}]}, {"if": [BUILDER, "v3", "v2"]}, "v1"]}, {"v2", "v1"}),
        ({"if": [{"!=": [{"var": "persona"}, "BUILDER"]}, "v1", BUILDER, "v2", "v3"]}, {"v1", "v2"}),
        ({"if": [{"or": [BUILDER, PHONE]}, "v1", {"if": [PHONE, "v3", "v2"]}]}, {"v1", "v2"}),
        ({"if": [{"in": [{"var": "persona"}, list(Persona)]}, "v1", BUILDER, "v3", "v2"]}, {"v1", "v2"}),
        ({"if": [{"and": [BUILDER, {"==": [{"var": "persona"}, "VISITOR"]}]}, "v3", "v1"]}, {"v1"}),
        ({"if": [True, "v1", "v2"]}, {"v1"}),
        ({"if": [False, "v1", "", "v2", "v3"]}, {"v3"}),
        ({"if": [RECENT, "v1", RECENT, "v2", "v3"]}, {"v1", "v2", "v3"}),
        ({"fractional": [BUCKETING, ["v1", 0], ["v2", 10], ["v3", 90]]}, {"v2", "v3", None}),
        ({"fractional": [BUCKETING, [{"if": [BUILDER, "v1", "v2"]}, 1]]}, {"v1", "v2", None}),
        ({"or": [{"if": [BUILDER, "v3", None]}, "v1"]}, {"v3", "v1", None}),
        (BUILDER, {"true", "false", None}),
        ({"var": "category"}, {*VARIANTS, None}),
        ({"if": [BUILDER, "gone", 7]}, {"7"}),
    ],
)
def test_a_rule_ends_in_what_its_branches_end_in(rule: Any, outcomes: set[str | None]) -> None:
    assert _outcomes(rule) == outcomes


@settings(max_examples=600, deadline=None)
@given(targeting=targetings, plain=attributes, more=nested, key=keys)
def test_what_any_rule_gives_is_reachable(
    targeting: Any, plain: dict[str, Any], more: dict[str, Any], key: str | None
) -> None:
    flag = _flag(targeting)
    answer = FlagSet(Definitions((flag,))).evaluate("f", Subject(key, {**plain, **more}))
    if answer.variant is not None:
        assert answer.variant in reach_of(flag).given


def _tests(name: str, words: list[str]) -> st.SearchStrategy[Any]:
    """Tests of one attribute for its words."""
    one = st.tuples(st.sampled_from(["==", "===", "!=", "!=="]), st.sampled_from(words))
    some = st.lists(st.sampled_from(words), max_size=4)
    return st.one_of(
        one.map(lambda it: {it[0]: [{"var": name}, it[1]]}),
        some.map(lambda listed: {"in": [{"var": name}, listed]}),
    )


tests = st.one_of(*(_tests(name, words) for name, words in WORDS.items()))
negated = tests | tests.map(lambda test: {"!": [test]})
chained = st.recursive(
    negated,
    lambda inner: st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)).map(
        lambda it: {it[0]: it[1]}
    ),
    max_leaves=5,
)


def _branches(test: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        ANSWERS,
        lambda inner: st.lists(st.tuples(test, inner), min_size=1, max_size=3).flatmap(
            lambda pairs: inner.map(lambda last: {"if": [*(part for pair in pairs for part in pair), last]})
        ),
        max_leaves=8,
    ).filter(lambda rule: isinstance(rule, dict))


def _given_to_somebody(targeting: Any) -> set[str | None]:
    """What the rule gives to all subjects that differ in persona, season and device, or have none of one."""
    flags = FlagSet(Definitions((_flag(targeting, default=None),)))
    everybody = product(*([None, "ELSE", *words] for words in WORDS.values()))
    subjects = ({name: word for name, word in zip(WORDS, each, strict=True) if word} for each in everybody)
    return {flags.evaluate("f", Subject(None, attributes)).variant for attributes in subjects}


@settings(max_examples=150, deadline=None)
@given(targeting=_branches(chained))
def test_what_is_given_to_anybody_is_reachable(targeting: Any) -> None:
    assert _given_to_somebody(targeting) <= _outcomes(targeting)


@settings(max_examples=150, deadline=None)
@given(targeting=_branches(negated))
def test_of_plain_tests_exactly_what_is_given_to_somebody_is_reachable(targeting: Any) -> None:
    assert _given_to_somebody(targeting) == _outcomes(targeting)


def test_the_default_is_given_where_the_rule_leaves_the_flag_open() -> None:
    assert reach_of(_flag({"if": [BUILDER, "v2", None]}, default="v3")).given == {"v2", "v3"}
    assert reach_of(_flag({"if": [BUILDER, "v2", "v1"]}, default="v3")).given == {"v2", "v1"}
    assert reach_of(_flag(None, default="v3")).given == {"v3"}
    assert reach_of(_flag(None, default=None)).given == set()


@pytest.mark.parametrize(
    ("metadata", "rule", "decided"),
    [
        ({"personalized": True}, None, set(VARIANTS)),
        ({"personalized": True}, {"if": [BUILDER, "v2", "v1"]}, set()),
        ({"personalized": False}, None, set()),
        ({"personalized": True} | {f"audience.{persona}": "v1, v2" for persona in Persona}, None, {"v1", "v2"}),
        (
            {"personalized": True, "audience.BUILDER": "v1,v2,v3"}
            | {f"audience.{persona}": "v1,v2" for persona in Persona if persona is not Persona.BUILDER},
            {"if": [BUILDER, "v2", None]},
            {"v1", "v2"},
        ),
        (
            {"personalized": True, "audience.VISITOR": "v2,v3"},
            {"if": [{"in": [{"var": "persona"}, list(Persona)]}, "v1", None]},
            {"v2", "v3"},
        ),
        ({"personalized": True} | {f"audience.{persona}": "v2" for persona in Persona}, None, set()),
    ],
)
def test_a_decision_gives_what_the_personas_may_see_for_whom_it_is_left_open(
    metadata: dict[str, Any], rule: Any, decided: set[str]
) -> None:
    assert reach_of(_flag(rule, metadata)).by_decision == decided


def test_the_ways_to_a_version_are_named() -> None:
    reach = reach_of(_flag({"if": [BUILDER, "v1", None]}, {"personalized": True}))
    assert reach.ways({"v1"}) == ("rule", "decision", "default")
    assert reach.ways({"v2", "v3"}) == ("decision",)
    assert reach.ways(()) == ()
