"""The evaluator cases of open-feature/flagd-testbed, run when `FLAGD_TESTBED` names a checkout of it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from flags.provider import FlagsProvider
from tests.flags.testbed import Case, Scenario, flags_in, scenarios_in

VARIABLE = "FLAGD_TESTBED"
# The bucketings that came before, which hash the text of a value. Here it is the third, that of flagd's evaluator since
# 2.0: canonical CBOR. (What a definition pins as `hashVersion` 2 is that one.)
NOT_OURS = frozenset({"@fractional-v1", "@fractional-v2"})
# Some of these want an operator's error inside `if` to give the default variant. JSONLogic takes null for false there,
# and so does flagd's evaluator for Python.
DISPUTED = "@operator-errors"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" not in metafunc.fixturenames:
        return
    folder = os.environ.get(VARIABLE)
    if folder is None:
        reason = f"{VARIABLE} names no checkout of open-feature/flagd-testbed"
        metafunc.parametrize("scenario", [pytest.param(None, marks=pytest.mark.skip(reason=reason))])
        return
    scenarios = [each for each in scenarios_in(Path(folder)) if not each.tags & NOT_OURS]
    assert scenarios, f"{VARIABLE}={folder} has no evaluator/gherkin/*.feature"
    metafunc.parametrize("scenario", [_case(each) for each in scenarios])


def _case(scenario: Scenario) -> Any:
    disputed = DISPUTED in scenario.tags
    marks = [pytest.mark.xfail(reason="flagd's evaluator for Python differs too")] if disputed else []
    return pytest.param(scenario, id=scenario.name, marks=marks)


def test_an_evaluator_case(scenario: Scenario) -> None:
    flags, refused = flags_in(Path(os.environ[VARIABLE]))
    Case(FlagsProvider(lambda: flags), refused).run(scenario)


FEATURE = """
Feature: cases

  Background:
    Given an evaluator

  @some-tag
  Scenario Outline: outline
    Given a <type>-flag with key "<key>" and a fallback value "<fallback>"
    And a context containing a targeting key with value "customer:1"
    And a context containing a key "num", with type "Integer" and with value "7"
    And a context containing a nested property with outer key "user" and inner key "name", with value "jack"
    When the flag was evaluated with details
    Then the resolved details value should be "<value>"
    And the reason should be "<reason>"
    And the error-code should be "<code>"
    And <more>

    Examples:
      | key   | type    | fallback | value | reason          | code           | more                           |
      | size  | Integer | 1        | 10    | TARGETING_MATCH |                | the variant should be "large"  |
      | size  | String  | no       | no    | ERROR           | TYPE_MISMATCH  | the resolved metadata is empty |
      | wrong | String  | no       | no    | ERROR           | PARSE_ERROR    | the resolved metadata is empty |
      | gone  | String  | no       | no    | ERROR           | FLAG_NOT_FOUND | the resolved metadata is empty |

  Scenario: a table
    Given a Object-flag with key "told" and a fallback value "{}"
    When the flag was evaluated with details
    Then the resolved metadata should contain
      | key  | metadata_type | value |
      | half | Float         | 0.5   |
"""
FLAGS = {
    "flags": {
        "size": {
            "state": "ENABLED",
            "variants": {"small": 1, "large": 10},
            "targeting": {"if": [{"and": [{"$ref": "is_jack"}, {"==": [{"var": "num"}, 7]}]}, "large", "small"]},
        },
        "wrong": {"state": "ENABLED", "variants": {"a": "a"}, "targeting": {"if": [{"$ref": "nothing"}, "a"]}},
        "told": {"state": "ENABLED", "variants": {"a": {}}, "defaultVariant": "a", "metadata": {"half": 0.5}},
    },
    "$evaluators": {"is_jack": {"==": [{"var": "user.name"}, "jack"]}},
}


@pytest.fixture
def testbed(tmp_path: Path) -> Path:
    """A test-bed of the same layout, with one feature of our own."""
    for folder in ("gherkin", "flags"):
        (tmp_path / "evaluator" / folder).mkdir(parents=True)
    (tmp_path / "evaluator" / "gherkin" / "own.feature").write_text(FEATURE)
    (tmp_path / "evaluator" / "flags" / "own.json").write_text(json.dumps(FLAGS))
    return tmp_path


def test_features_are_run_row_by_row(testbed: Path) -> None:
    flags, refused = flags_in(testbed)
    scenarios = list(scenarios_in(testbed))
    assert [(scenario.name, set(scenario.tags)) for scenario in scenarios] == [
        *[(f"own-{number}-outline", {"@some-tag"}) for number in range(4)],
        ("own-4-a table", set()),
    ]
    for scenario in scenarios:
        Case(FlagsProvider(lambda: flags), refused).run(scenario)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('value should be "<value>"', 'value should be "13"'),
        ('the reason should be "<reason>"', 'the reason should be "STATIC"'),
        ('the error-code should be "<code>"', 'the error-code should be "GENERAL"'),
        ('should be "large"', 'should be "small"'),
        ("an evaluator", "another evaluator"),
    ],
)
def test_a_case_that_differs_fails(testbed: Path, right: str, wrong: str) -> None:
    (testbed / "evaluator" / "gherkin" / "own.feature").write_text(FEATURE.replace(right, wrong))
    flags, refused = flags_in(testbed)
    with pytest.raises(AssertionError):
        Case(FlagsProvider(lambda: flags), refused).run(next(scenarios_in(testbed)))
