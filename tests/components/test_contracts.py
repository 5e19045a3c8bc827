"""What is found when versions, flags, schema and calendar do not agree."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flags.contracts import ComponentReport, Level, Rule
from tests.components.writing import SCHEMA, found, report_of, write_version
from tests.flags.writing import component, flag, write

BUILDER = {"==": [{"var": "persona"}, "BUILDER"]}
SWITCH: dict[str, Any] = {"variants": {"on": True, "off": False}, "defaultVariant": "on"}
SIZE = "fragment {} on Product {\n  name\n  size\n}\n"


class Shop:
    """Folders of components and flags of a test's own."""

    def __init__(self, root: Path) -> None:
        self.components, self.flags = root / "components", root / "flags"
        for folder in (self.components, self.flags):
            folder.mkdir()

    def has(self, *folders: str, **changes: Any) -> None:
        for folder in folders:
            write_version(self.components, folder, **changes)

    def says(self, **flags: Any) -> None:
        write(self.flags, flags)

    def hero(self, last: str | None = None, builders: str = "v2", **changes: Any) -> None:
        """The flag of the hero: what builders get, and what everybody else."""
        self.says(hero=component("hero", {"if": [BUILDER, builders, last]}, **changes))

    def report(self, **rest: Any) -> ComponentReport:
        return report_of(self.components, self.flags, **rest)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop whose hero has the versions v1, which is the default, and v2, which builders get."""
    shop = Shop(tmp_path)
    shop.has("hero.v1", "hero.v2")
    shop.hero()
    return shop


def test_nothing_is_found_where_all_agree(shop: Shop) -> None:
    report = shop.report()
    assert found(report) == []
    assert [(each.version.manifest.folder, each.given_by) for each in report.versions] == [
        ("hero.v1", ("default",)),
        ("hero.v2", ("rule",)),
    ]


def test_a_component_that_is_only_on_or_off_has_one_version(shop: Shop) -> None:
    shop.has("banner.v1")
    shop.says(hero=component("hero", {"if": [BUILDER, "v2", None]}), banner=component("banner", **SWITCH))
    report = shop.report()
    assert found(report) == []
    assert report.versions[0].given_by == ("default",)
    shop.has("banner.v2")
    assert found(shop.report()) == [("error", "NO_VERSIONS", "banner")]
    shop.has("banner.v1", status="retired")
    assert found(shop.report()) == [("error", "NOT_LIVE", "banner.v1")]


Change = Callable[[Shop], None]


@pytest.mark.parametrize(
    ("change", "findings"),
    [
        (lambda shop: shop.hero(builders="v1"), [("warning", "DEAD", "hero.v2")]),
        (lambda shop: shop.hero("v2"), [("warning", "FALLBACK_ONLY", "hero.v1")]),
        (
            lambda shop: shop.says(hero=component("hero", variants={"v2": "v2"}, defaultVariant="v2")),
            [("warning", "DEAD", "hero.v1")],
        ),
        (lambda shop: shop.has("hero.v2", status="draft"), [("error", "NOT_LIVE", "hero.v2")]),
        (lambda shop: shop.has("hero.v2", status="retired"), [("error", "NOT_LIVE", "hero.v2")]),
        (lambda shop: shop.has("hero.v2", status="deprecated", expires="2026-10-15"), []),
        (
            lambda shop: shop.has("hero.v2", status="deprecated", expires="2026-10-14"),
            [("warning", "EXPIRED", "hero.v2")],
        ),
        (lambda shop: shop.has("hero.v3", status="draft"), []),
        (lambda shop: shop.has("hero.v3", status="retired", expires="2026-10-02"), []),
        (lambda shop: shop.has("hero.v3"), [("warning", "DEAD", "hero.v3")]),
        (lambda shop: shop.has("hero.v1", flag="other"), [("error", "WRONG_FLAG", "hero.v1")]),
        (
            lambda shop: shop.has("lost.v1", "lost.v2"),
            [("error", "NO_FLAG", "lost.v1"), ("error", "NO_FLAG", "lost.v2")],
        ),
        (
            lambda shop: shop.says(hero=component("hero", {"if": [BUILDER, "v2", None]}), tile=component("tile")),
            [("error", "NO_FOLDER", "tile.v1"), ("warning", "NO_FOLDER", "tile.v2")],
        ),
        (
            lambda shop: shop.says(hero=component("hero", {"if": [BUILDER, "v2", None]}), on=component("on", **SWITCH)),
            [("error", "NO_FOLDER", "on.v1")],
        ),
        (
            lambda shop: shop.hero(state="DISABLED"),
            [("note", "SWITCHED_OFF", "hero")],
        ),
        (lambda shop: shop.says(hero=flag(state="?")), [("error", "FLAG_REFUSED", "hero")]),
        (lambda shop: shop.has("hero.v2", since="then"), [("error", "INVALID_FOLDER", "hero.v2/manifest.json")]),
        (
            lambda shop: shop.has("hero.v2", fragment=SIZE.replace("size", "width")),
            [("error", "INVALID_FRAGMENT", "hero.v2")],
        ),
        (
            lambda shop: shop.has("hero.v3", status="draft", fragment="fragment {} on Product { width }"),
            [("warning", "INVALID_FRAGMENT", "hero.v3")],
        ),
        (lambda shop: shop.has("hero.v3", status="retired", fragment="fragment {} on Product { width }"), []),
        (
            lambda shop: shop.says(
                hero=flag({"if": [BUILDER, "v2", "v1"]}, metadata={"component": "hero", "personalized": True})
            ),
            [("warning", "NEVER_DECIDED", "hero")],
        ),
        (
            lambda shop: shop.says(hero=flag(metadata={"component": "hero", "personalized": True})),
            [],
        ),
    ],
)
def test_each_disagreement_is_found(shop: Shop, change: Change, findings: list[tuple[str, str, str]]) -> None:
    change(shop)
    assert found(shop.report()) == findings


def test_a_draft_that_old_clients_fall_back_to_is_told(shop: Shop) -> None:
    shop.hero("v2")
    shop.has("hero.v1", status="retired")
    (finding,) = shop.report().findings
    assert (finding.level, finding.rule, finding.place) == ("warning", "NOT_LIVE", "hero.v1")
    assert (
        finding.message
        == "its status is retired and clients that cannot render v2 fall back to it; take it out of hero"
    )
    shop.says(hero=component("hero", variants={"v2": "v2"}, defaultVariant="v2"))
    assert found(shop.report()) == []


def test_what_the_working_schema_breaks_is_told_by_component_and_version(shop: Shop) -> None:
    shop.has("hero.v2", fragment=SIZE)
    working = SCHEMA.replace("name: String! size: String", "name: String")
    report = shop.report(working=working)
    assert [(each.rule, each.place, each.message) for each in report.findings] == [
        (
            "BROKEN",
            "hero.v2",
            "fragment.graphql:3: Cannot query field 'size' on type 'Product' (the working schema)",
        ),
        ("CHANGED", "hero.v1", "Field Product.name changed type from String! to String (the working schema)"),
    ]
    assert len(report.at(Level.ERROR)) == 1


def test_what_the_schema_in_use_does_not_have_is_not_blamed_on_the_working_one(shop: Shop) -> None:
    shop.has("hero.v2", fragment=SIZE.replace("size", "width"))
    report = shop.report(working=SCHEMA.replace("size", "width"))
    assert found(report) == [("error", "INVALID_FRAGMENT", "hero.v2")]


def test_all_of_it_is_reported_the_worst_first(shop: Shop) -> None:
    shop.has("hero.v1", expires="2026-10-02")
    shop.has("lost.v1")
    levels = [each.level for each in shop.report().findings]
    assert levels == [Level.ERROR, Level.WARNING]


def test_the_page_says_of_every_rule_what_to_do() -> None:
    page = (Path(__file__).parents[2] / "docs" / "components.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (error|warning|note) \| .+ \| .+ \|$", page, re.MULTILINE)
    assert [rule for rule, _level in rows] == list(Rule)
    assert {level for _rule, level in rows} == set(Level)
