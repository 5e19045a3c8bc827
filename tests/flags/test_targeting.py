"""Compiled rules answer as flagd's own evaluator does, over generated rules and subjects."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from openfeature.flag_evaluation import Reason

from flags.definition import FlagDefinition, FlagType
from flags.definitions import Definitions
from flags.evaluation import FlagSet
from flags.fractions import MAX_WEIGHT
from flags.subject import Subject
from flags.targeting import compile_targeting
from flags.versions import compare_versions
from tests.flags.writing import BUCKETING

VARIANTS = {"v1": "one", "v2": "two", "true": "yes", "false": "no", "7": "seven"}
NAMES = ("segment", "persona", "region", "appVersion", "device", "age", "nested.name", "tags", "tags.0", "absent")

texts = st.sampled_from(["", "a", "B", "v1", "v2", "1", "1.2.3", "v2.0", "2.0.0-rc.1", "é", "not a version", "null"])
numbers = st.integers(-3, 12) | st.sampled_from([0.5, 2.0, -1.5])
scalars = st.none() | st.booleans() | numbers | texts
attributes = st.dictionaries(
    st.sampled_from(["segment", "persona", "region", "appVersion", "device", "age"]),
    scalars.filter(lambda v: v is not None),
)
nested = st.fixed_dictionaries(
    {}, optional={"nested": st.fixed_dictionaries({"name": scalars}), "tags": st.lists(scalars, max_size=3)}
)
keys = st.none() | st.text(max_size=30) | st.sampled_from(["customer:1", "x" * 23, "x" * 24, "x" * 300, "x" * 70_000])


def _op(name: str, *operands: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*operands).map(lambda given: {name: list(given)})


def _many(name: str, rule: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return _some(rule, 1, 4).map(lambda parts: {name: parts})


def _some(rule: st.SearchStrategy[Any], low: int, high: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(rule, min_size=low, max_size=high)


variables = st.one_of(
    st.sampled_from(NAMES).map(lambda name: {"var": name}),
    st.tuples(st.sampled_from(NAMES), scalars).map(lambda pair: {"var": list(pair)}),
    st.sampled_from([{"var": "targetingKey"}, {"var": "$flagd.flagKey"}]),
)
item_rules = st.sampled_from(
    [{"var": ""}, {"==": [{"var": ""}, "a"]}, {"+": [{"var": ""}, 1]}, {"var": "length"}, True]
)
folds = st.just({"cat": [{"var": "accumulator"}, {"var": "current"}]})
lists = st.lists(scalars, max_size=4) | st.just({"var": "tags"})


def _wider(rule: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Rules with these rules as their parts."""
    entry = st.one_of(
        st.tuples(st.sampled_from(["v1", "v2", "7"]), st.integers(-2, 60)),
        st.tuples(rule | texts, st.integers(-2, 60)),
        st.tuples(rule),
        st.tuples(texts, rule),
    ).map(list)
    return st.one_of(
        _some(rule, 1, 6).map(lambda parts: {"if": parts}),
        *(_many(op, rule) for op in ("and", "or", "cat", "merge", "min", "max", "===", "!==")),
        *(_op(op, rule, rule) for op in ("==", "!=", "===", "!==", "<", "<=", ">", ">=", "+", "*", "-", "/", "%")),
        *(_op(op, rule, texts) for op in ("==", "!=", "===", "!==", "starts_with", "ends_with", "in")),
        *(_op(op, rule, rule) for op in ("starts_with", "substr")),
        *(_op(op, rule) for op in ("!", "!!", "-")),
        *(_op(op, lists, item_rules) for op in ("map", "filter", "some", "all", "none")),
        _op("reduce", lists, folds, scalars),
        _op("in", rule, lists),
        _op("<", rule, rule, rule),
        _op("sem_ver", rule, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "^", "~", "?"]), rule | texts),
        st.lists(st.sampled_from(NAMES), max_size=3).map(lambda names: {"missing": names}),
        st.lists(st.sampled_from(NAMES), max_size=3).map(lambda names: {"missing_some": [1, names]}),
        st.tuples(rule, st.lists(entry, min_size=1, max_size=4)).map(lambda it: {"fractional": [it[0], *it[1]]}),
        st.lists(entry, min_size=1, max_size=4).map(lambda entries: {"fractional": entries}),
    )


rules = st.recursive(scalars | variables, _wider, max_leaves=12).filter(lambda rule: isinstance(rule, dict) and rule)
answers = st.sampled_from(["v1", "v2", "7", True, False, None, 7, "gone"])
targetings = st.one_of(
    rules,
    st.tuples(rules, answers, answers).map(lambda it: {"if": list(it)}),
    st.tuples(rules, rules, answers).map(lambda it: {"if": list(it)}),
)


def _set_of(targeting: Any, variants: dict[str, Any] | None = None, default: str | None = "v1") -> FlagSet:
    definition = FlagDefinition(
        "the-flag",
        "team.json",
        FlagType.STRING,
        True,
        variants or VARIANTS,
        default,
        "digest",
        json.dumps(targeting) if targeting else None,
    )
    return FlagSet(Definitions((definition,)))


def _oracle(targeting: Any, subject: Subject) -> tuple[object, object, object]:
    """Value, variant and reason as flagd's evaluator gives them; its errors as one."""
    core = FlagdCore()
    flag = {"state": "ENABLED", "variants": VARIANTS, "defaultVariant": "v1", "targeting": targeting}
    core.set_flags(json.dumps({"flags": {"the-flag": flag}}))
    context = EvaluationContext(subject.targeting_key, dict(subject.attributes))
    try:
        found = core.resolve_string_value("the-flag", "fallback", context)
    except (OpenFeatureError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
        return None, None, Reason.ERROR
    return found.value, found.variant, found.reason


@settings(max_examples=600, deadline=None)
@given(targeting=targetings, plain=attributes, more=nested, key=keys)
def test_answers_are_those_of_flagd(
    targeting: dict[str, Any], plain: dict[str, Any], more: dict[str, Any], key: str | None
) -> None:
    subject = Subject(key, {**plain, **more})
    found = _set_of(targeting).evaluate("the-flag", subject)
    assert (found.value, found.variant, found.reason) == _oracle(targeting, subject)


@given(key=st.text(min_size=1), weights=st.lists(st.integers(0, 1000), min_size=1, max_size=5))
def test_a_split_is_flagds_split_and_the_same_each_time(key: str, weights: list[int]) -> None:
    assume(sum(weights) > 0)
    names = list(VARIANTS)
    targeting = {"fractional": [BUCKETING, *[[name, weight] for name, weight in zip(names, weights, strict=False)]]}
    subject = Subject(key)
    first, again = _set_of(targeting).evaluate("the-flag", subject), _set_of(targeting).evaluate("the-flag", subject)
    assert first == again
    assert (first.value, first.variant, first.reason) == _oracle(targeting, subject)
    assert first.reason is Reason.ERROR or weights[names.index(first.variant or "v1")] > 0


@given(start=st.integers(0, 10**9), share=st.integers(5, 95))
@settings(max_examples=25, deadline=None)
def test_a_split_is_proportional(start: int, share: int) -> None:
    rule = compile_targeting("f", {"fractional": [BUCKETING, ["v1", share], ["v2", 100 - share]]})
    size = 4000
    counts = Counter(rule({"targetingKey": f"customer:{start + number}"}) for number in range(size))
    # Six standard deviations of a binomial share.
    slack = 6 * (share / 100 * (1 - share / 100) / size) ** 0.5
    assert abs(counts["v1"] / size - share / 100) < slack
    assert counts["v1"] + counts["v2"] == size


@given(key=st.text(min_size=1, max_size=12), low=st.integers(0, 99), more=st.integers(0, 100))
def test_growing_a_share_moves_nobody_out_of_it(key: str, low: int, more: int) -> None:
    high = min(100, low + more)
    in_low, in_high = (
        compile_targeting("f", {"fractional": [BUCKETING, ["v2", share], ["v1", 100 - share]]})({"targetingKey": key})
        for share in (low, high)
    )
    assert in_low != "v2" or in_high == "v2"


def test_weights_beyond_the_limit_give_no_answer() -> None:
    rule = compile_targeting("f", {"fractional": [BUCKETING, ["v1", MAX_WEIGHT], ["v2", 1]]})
    assert rule({"targetingKey": "customer:1"}) is None


@pytest.mark.parametrize(
    ("left", "comparison", "right", "holds"),
    [
        ("v1.2", "=", "1.2.0", True),
        ("2.0.0-rc.1", "<", "2.0.0", True),
        ("1.9.9", "^", "1.0.0", True),
        ("1.3.0", "~", "1.2.9", False),
        ("1.2.9", "~", "1.2.0", True),
        (2, ">=", "2.0.0", True),
        ("one", "=", "one", None),
        ("1.0.0", "??", "1.0.0", None),
    ],
)
def test_versions_compare(left: object, comparison: str, right: str, holds: bool | None) -> None:
    assert compare_versions(left, comparison, right) is holds
