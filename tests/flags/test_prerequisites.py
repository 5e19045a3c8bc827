"""Flags that require other flags: what is refused, and that answers are those of plain recursion."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature.flag_evaluation import Reason

from flags.definitions import Definitions
from flags.evaluation import Decider, FlagSet
from flags.explanation import explain
from flags.prerequisites import MAX_REQUIRED, Requirement, parse_requirements
from flags.subject import Subject
from tests.flags.writing import flag, read, write

BUILDER = {"if": [{"==": [{"var": "persona"}, "BUILDER"]}, "v2", "off"]}
FOR_BUILDER = Subject("customer:1", {"persona": "BUILDER"})


def _requiring(text: Any, targeting: Any = None, **changes: Any) -> dict[str, Any]:
    return flag(targeting, metadata={"requires": text}, **changes)


def _reasons(definitions: Definitions) -> dict[str | None, str]:
    return {refusal.flag: refusal.reason for refusal in definitions.refused}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("a", (Requirement("a"),)),
        ("a=v2, b.c-d ,", (Requirement("a", frozenset({"v2"})), Requirement("b.c-d"))),
        ("a=v1|v2", (Requirement("a", frozenset({"v1", "v2"})),)),
    ],
)
def test_requirements_are_read(text: str, found: tuple[Requirement, ...]) -> None:
    assert parse_requirements(text) == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A", "'A' is no requirement"),
        ("a=", "'a=' is no requirement"),
        ("a=v1=v2", "'a=v1=v2' is no requirement"),
        ("a=v1|", "'a=v1|' is no requirement"),
        ("a b", "'a b' is no requirement"),
        ("a=v1,a=v2", "names a flag twice"),
        (True, "received True"),
        ("nobody", "it requires 'nobody', which no definition names"),
        ("bad", "it requires 'bad', which is refused"),
        ("base=v9|v1", "it requires 'base' to give ['v9'], of which it has only ['off', 'v1', 'v2']"),
        ("chosen", "it requires 'chosen', which is personalized"),
        ("dependent", "it requires itself: dependent -> dependent"),
    ],
)
def test_what_cannot_be_required_is_refused_and_the_rest_served(tmp_path: Path, text: Any, reason: str) -> None:
    chosen = flag(metadata={"personalized": True})
    write(tmp_path, {"base": flag(), "bad": flag(state="?"), "chosen": chosen, "dependent": _requiring(text)})
    found = read(tmp_path)
    assert reason in _reasons(found)["dependent"]
    served = {each.key for each in found.flags}
    assert "dependent" not in served
    assert "base" in served


def test_a_cycle_is_named_whole_and_takes_down_what_stands_on_it(tmp_path: Path) -> None:
    write(tmp_path, {"a": _requiring("b"), "b": _requiring("c"), "z": flag()}, "1.json")
    write(tmp_path, {"c": _requiring("a,z"), "on-it": _requiring("c"), "apart": _requiring("z")}, "2.json")
    found = read(tmp_path)
    assert [each.key for each in found.flags] == ["z", "apart"]
    assert _reasons(found) == {
        **dict.fromkeys("abc", "it requires itself: a -> b -> c -> a"),
        "on-it": "it requires 'c', which is refused",
    }
    assert {refusal.flag: refusal.file for refusal in found.refused}["c"] == "2.json"


def test_a_flag_can_require_only_so_many(tmp_path: Path) -> None:
    chain = {f"f{n}": _requiring(f"f{n - 1}") for n in range(1, MAX_REQUIRED + 3)}
    write(tmp_path, {**dict(reversed(chain.items())), "f0": flag()})
    found = read(tmp_path)
    assert len(found.flags) == MAX_REQUIRED + 1
    assert _reasons(found) == {
        f"f{MAX_REQUIRED + 1}": f"it requires over {MAX_REQUIRED} flags, all levels counted",
        f"f{MAX_REQUIRED + 2}": f"it requires 'f{MAX_REQUIRED + 1}', which is refused",
    }


def test_the_last_good_form_of_a_required_flag_keeps_its_dependents(tmp_path: Path) -> None:
    write(tmp_path, {"base": flag(), "dependent": _requiring("base=v1")})
    good = read(tmp_path)
    write(tmp_path, {"base": flag(state="?"), "dependent": _requiring("base=v1")})
    found = read(tmp_path, good)
    assert found.flags == good.flags
    assert found.kept == {"base"}


def test_a_flag_whose_new_requirement_cannot_be_is_kept_as_it_was_in_its_place(tmp_path: Path) -> None:
    write(tmp_path, {"dependent": flag(), "base": flag()})
    good = read(tmp_path)
    write(tmp_path, {"dependent": _requiring("nobody"), "base": flag(defaultVariant="v2")})
    found = read(tmp_path, good)
    assert [(each.key, each.requires) for each in found.flags] == [("dependent", ()), ("base", ())]
    assert found.kept == {"dependent"}
    assert "nobody" in _reasons(found)["dependent"]


def test_what_requires_a_flag_that_is_gone_goes_too(tmp_path: Path) -> None:
    write(tmp_path, {"base": flag(), "dependent": _requiring("base"), "on-it": _requiring("dependent")})
    good = read(tmp_path)
    write(tmp_path, {"dependent": _requiring("base"), "on-it": _requiring("dependent")})
    found = read(tmp_path, good)
    assert (found.flags, found.kept) == ((), frozenset())
    assert _reasons(found) == {
        "dependent": "it requires 'base', which no definition names",
        "on-it": "it requires 'dependent', which is refused",
    }


@pytest.mark.parametrize(
    ("base", "text", "on"),
    [
        (flag(BUILDER), "base=v2", True),
        (flag(BUILDER), "base=v1", False),
        (flag(BUILDER), "base=v1|v2", True),
        (flag(BUILDER), "base", True),
        (flag(defaultVariant="off"), "base", False),
        (flag(defaultVariant=None), "base", False),
        (flag(state="DISABLED"), "base", False),
        (flag(variants={"on": True, "no": False}, defaultVariant="no"), "base", False),
        (flag(variants={"on": True, "no": False}, defaultVariant="no"), "base=no", True),
        (flag(variants={"none": 0}, defaultVariant="none"), "base", True),
        (flag({"if": [{"<": [{"/": [1, 0]}, 1]}, "v1", "v2"]}), "base", False),
    ],
)
def test_a_flag_is_off_unless_what_it_requires_is_given(tmp_path: Path, base: Any, text: str, on: bool) -> None:
    write(tmp_path, {"dependent": _requiring(text), "base": base})
    flags = FlagSet(read(tmp_path))
    found = flags.evaluate("dependent", FOR_BUILDER)
    expected = ("v1", Reason.DEFAULT, Decider.DEFAULT) if on else (None, Reason.DISABLED, Decider.KILL_SWITCH)
    assert (found.variant, found.reason, found.decided_by) == expected
    assert (found.value, found.error_code) == (found.variant, None)
    assert found.left_open is on


def test_an_explanation_tells_what_was_required(tmp_path: Path) -> None:
    flags = {"base": flag(BUILDER), "mid": _requiring("base=v2"), "top": _requiring("mid", BUILDER)}
    write(tmp_path, flags)
    found = FlagSet(read(tmp_path))
    steps = [(step.expression, step.gave) for step in explain(found, "top", FOR_BUILDER).steps]
    assert steps[:2] == [("requires mid = v1 | v2", '"v1", met'), ("requires base = v2", '"v2", met')]
    assert steps[2][0] == '{"==":[{"var":"persona"},"BUILDER"]}'
    unmet = explain(found, "top", Subject())
    assert unmet.evaluation.reason is Reason.DISABLED
    assert unmet.steps[-1].gave == '"off", not met: the flag is off'


NAMES = [f"f{number}" for number in range(8)]
variants = st.sampled_from(["v1", "v2", "off"])
bases = st.one_of(
    variants.map(lambda default: flag(defaultVariant=default)),
    st.tuples(variants, variants).map(
        lambda pair: flag({"if": [{"==": [{"var": "persona"}, "BUILDER"]}, pair[0], pair[1]]})
    ),
    st.just(flag(defaultVariant=None)),
    st.just(flag(state="DISABLED")),
)
requirements = st.dictionaries(st.sampled_from(NAMES), st.sets(variants, max_size=2), max_size=3)
graphs = st.fixed_dictionaries({name: st.tuples(bases, requirements) for name in NAMES})


def _written(requires: dict[str, set[str]]) -> str:
    return ",".join(f"{key}={'|'.join(sorted(wanted))}" if wanted else key for key, wanted in requires.items())


def _reaches(graph: dict[str, Any], start: str) -> set[str]:
    """Every flag that is required from there on."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        more = set(graph[waiting.pop()][1]) - found
        found |= more
        waiting += more
    return found


def _plain(graph: dict[str, Any], flags: FlagSet, key: str) -> str | None:
    """The variant, asked for by recursion; `flags` are the same without any requirement."""
    for required, wanted in graph[key][1].items():
        if _plain(graph, flags, required) not in (wanted or {"v1", "v2"}):
            return None
    return flags.evaluate(key, FOR_BUILDER).variant


@settings(max_examples=150, deadline=None)
@given(graph=graphs)
def test_answers_are_those_of_recursion_and_cycles_are_refused(graph: dict[str, Any]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, {key: base for key, (base, _requires) in graph.items()})
        bare = FlagSet(read(folder))
        requiring = {
            key: {**base, "metadata": {"requires": _written(requires)}} for key, (base, requires) in graph.items()
        }
        write(folder, requiring)
        found = read(folder)
    cyclic = {key for key in graph if key in _reaches(graph, key)}
    refused = {key for key in graph if key in cyclic or cyclic & _reaches(graph, key)}
    assert {refusal.flag for refusal in found.refused} == refused
    assert any("it requires itself" in refusal.reason for refusal in found.refused) is bool(cyclic)
    flags = FlagSet(found)
    assert set(flags.flags) == set(graph) - refused
    for key, evaluation in flags.evaluate_all(FOR_BUILDER).items():
        assert evaluation.variant == _plain(graph, bare, key)
        assert evaluation == flags.evaluate(key, FOR_BUILDER)
