"""Which components a subject gets: on or off, in which version, and why."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from flags.components import ComponentChoice, ComponentReason, Components
from flags.definition import FlagDefinition, FlagType
from flags.definitions import Definitions
from flags.evaluation import Decider, FlagSet
from flags.metrics import FlagMetrics
from flags.subject import Subject
from tests.flags.writing import component, flag, read, write

BUILDER = {"==": [{"var": "persona"}, "BUILDER"]}
SWITCH: dict[str, Any] = {"variants": {"on": True, "off": False}, "defaultVariant": "off"}


@pytest.fixture
def components(tmp_path: Path) -> Components:
    """Seven components over the pages home and basket, and a flag that is none."""
    write(
        tmp_path,
        {
            "hero": component("hero", {"if": [BUILDER, "v2", None]}),
            "no-component": flag(),
            "team": component("team-page", {"if": [BUILDER, "v1", "off"]}),
            "search": component("search", page=""),
            "drawer": component("basket-drawer", page="home, basket", defaultVariant="off"),
            "reviews": component("reviews", state="DISABLED"),
            "banner": component("banner", {"if": [BUILDER, "on", "off"]}, "basket", **SWITCH),
            "broken": component("broken", {"var": "category"}, page="basket"),
        },
    )
    flags = FlagSet(read(tmp_path))
    assert flags.definitions.refused == ()
    return Components(lambda: flags)


def _shown(choices: Sequence[ComponentChoice]) -> list[tuple[str, str | None, bool, str, str]]:
    return [(it.name, it.version, it.enabled, it.reason.value, it.decided_by.value) for it in choices]


def test_a_page_has_its_components_in_the_order_of_the_definitions(components: Components) -> None:
    assert _shown(components.choose(Subject(), page="home")) == [
        ("hero", "v1", True, "DEFAULT", "DEFAULT"),
        ("team-page", None, False, "TARGETING", "RULE"),
        ("search", "v1", True, "DEFAULT", "DEFAULT"),
        ("basket-drawer", None, False, "DEFAULT", "DEFAULT"),
        ("reviews", None, False, "KILL_SWITCH", "KILL_SWITCH"),
    ]


def test_rules_decide_for_the_subject(components: Components) -> None:
    builder = Subject("customer:1", {"persona": "BUILDER"})
    assert _shown(components.choose(builder, ["team-page", "hero", "banner"])) == [
        ("team-page", "v1", True, "TARGETING", "RULE"),
        ("hero", "v2", True, "TARGETING", "RULE"),
        ("banner", None, True, "TARGETING", "RULE"),
    ]


def test_names_are_answered_in_their_order_with_what_is_missing(components: Components) -> None:
    choices = components.choose(Subject(), ["banner", "nobody", "hero", "hero", "search"], page="home")
    assert _shown(choices) == [
        ("banner", None, False, "NOT_ON_PAGE", "DEFAULT"),
        ("nobody", None, False, "UNKNOWN_COMPONENT", "DEFAULT"),
        ("hero", "v1", True, "DEFAULT", "DEFAULT"),
        ("hero", "v1", True, "DEFAULT", "DEFAULT"),
        ("search", "v1", True, "DEFAULT", "DEFAULT"),
    ]
    assert [choice.flag_key for choice in choices] == ["banner", None, "hero", "hero", "search"]


def test_without_names_and_page_all_components_are_given(components: Components) -> None:
    names = [choice.name for choice in components.choose(Subject())]
    assert names == ["hero", "team-page", "search", "basket-drawer", "reviews", "banner", "broken"]


def test_a_page_that_nobody_names_has_what_stands_everywhere(components: Components) -> None:
    assert [choice.name for choice in components.choose(Subject(), page="nowhere")] == ["search"]
    assert components.choose(Subject(), []) == []


def test_a_failing_rule_turns_its_component_off(components: Components) -> None:
    (choice,) = components.choose(Subject(None, {"category": "c"}), ["broken"])
    assert (choice.enabled, choice.reason) == (False, ComponentReason.ERROR)


@pytest.mark.parametrize(
    ("supports", "version", "variant", "enabled", "reason"),
    [
        (None, "v4", "four", True, "TARGETING"),
        ({}, "v4", "four", True, "TARGETING"),
        ({"other": ["v1"]}, "v4", "four", True, "TARGETING"),
        ({"hero": ["v1", "v4"]}, "v4", "four", True, "TARGETING"),
        ({"hero": ["v1", "v2", "v3"]}, "v2", "two", True, "DOWNGRADED"),
        ({"hero": ["v9", "v10", "v1"]}, "v1", "one", True, "DOWNGRADED"),
        ({"hero": ["v10"]}, None, None, False, "UNSUPPORTED_VERSION"),
        ({"hero": []}, None, None, False, "UNSUPPORTED_VERSION"),
        ({"hero": ["off", "latest", ""]}, None, None, False, "UNSUPPORTED_VERSION"),
    ],
)
def test_a_client_gets_what_it_can_render(
    tmp_path: Path,
    supports: dict[str, list[str]] | None,
    version: str | None,
    variant: str | None,
    enabled: bool,
    reason: str,
) -> None:
    variants = {"one": "v1", "two": "v2", "four": "v4", "ten": "v10", "none": "off"}
    rule = {"if": [{"var": "persona"}, "four", None]}
    write(tmp_path, {"hero": component("hero", rule, variants=variants, defaultVariant="one")})
    flags = FlagSet(read(tmp_path))
    (choice,) = Components(lambda: flags).choose(Subject(None, {"persona": "VISITOR"}), supports=supports)
    assert (choice.version, choice.variant, choice.enabled, choice.reason.value) == (version, variant, enabled, reason)
    assert choice.decided_by is Decider.RULE


@given(
    offered=st.sets(st.integers(1, 12), min_size=1),
    supported=st.sets(st.integers(1, 14)),
    chosen=st.integers(0, 100),
)
def test_a_version_given_is_offered_supported_and_never_newer(
    offered: set[int], supported: set[int], chosen: int
) -> None:
    default = sorted(offered)[chosen % len(offered)]
    definition = FlagDefinition(
        "f", "f.json", FlagType.STRING, True, {f"v{n}": f"v{n}" for n in offered}, f"v{default}", "d", None,
        {"component": "hero"},
    )  # fmt: skip
    flags = FlagSet(Definitions((definition,)))
    (choice,) = Components(lambda: flags).choose(Subject(), supports={"hero": [f"v{n}" for n in supported]})
    allowed = [number for number in offered & supported if number <= default]
    assert choice.version == (f"v{max(allowed)}" if allowed else None)
    assert choice.enabled is bool(allowed)


def test_one_choice_is_made_over_one_set_and_the_next_over_the_next(tmp_path: Path) -> None:
    sets = []
    for default in ("v1", "v2"):
        write(tmp_path, {name: component(name, defaultVariant=default) for name in ("a", "b", "c")})
        sets.append(FlagSet(read(tmp_path)))
    asked: list[FlagSet] = []

    def snapshot() -> FlagSet:
        asked.append(sets[len(asked) % 2])
        return asked[-1]

    components = Components(snapshot)
    for turn, version in enumerate(("v1", "v2", "v1")):
        assert {choice.version for choice in components.choose(Subject())} == {version}
        assert len(asked) == turn + 1


def test_choices_are_counted_by_who_decided(components: Components, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    flags = FlagSet(read(tmp_path))
    Components(lambda: flags, FlagMetrics(registry)).choose(Subject(), [*("hero", "team-page", "reviews"), "nobody"])
    counts = {
        decider: registry.get_sample_value("gateway_flag_evaluations_total", {"decided_by": decider})
        for decider in ("DEFAULT", "RULE", "KILL_SWITCH")
    }
    assert counts == {"DEFAULT": 1, "RULE": 1, "KILL_SWITCH": 1}


def test_a_page_can_be_chosen_over_one_set_while_another_is_in_use(tmp_path: Path) -> None:
    write(tmp_path, {"hero": component("hero", {"if": [BUILDER, "v2", None]})})
    before = FlagSet(read(tmp_path))
    write(tmp_path, {"hero": component("hero", {"if": [BUILDER, "v2", None]}, state="DISABLED")})
    after = FlagSet(read(tmp_path))
    components = Components(lambda: after)
    assert components.choose(Subject(), ["hero"])[0].enabled is False
    assert components.choose(Subject(), ["hero"], flags=before)[0].enabled is True
