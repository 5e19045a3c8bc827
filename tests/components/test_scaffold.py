"""New components and versions: written whole, ready to lint, and given to nobody."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flags.errors import ScaffoldRefused
from flags.evaluation import FlagSet
from flags.live import DEMO_DIRECTORY
from flags.reachability import reach_of
from flags.registry import SHIPPED_DIRECTORY, read_registry
from flags.scaffold import Folders, new_component, new_version
from flags.subject import Subject
from personalization.events import Persona
from tests.components.writing import found, report_of, write_version
from tests.flags.writing import component, flag, read, write

TODAY = date(2026, 10, 15)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path / "components", tmp_path / "flags")
    folders.components.mkdir()
    folders.flags.mkdir()
    return folders


def _listing(folders: Folders) -> dict[str, str]:
    """Everything that stands in the folders."""
    files = [path for root in (folders.components, folders.flags) for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(folders.components.parent)): path.read_text() for path in files}


def test_a_new_component_is_a_draft_that_is_off_for_everyone(folders: Folders) -> None:
    written = new_component(folders, "gift-list", "gift-team", "home, basket", TODAY)
    assert (written.folder, written.flag_key) == (folders.components / "gift-list.v1", "component.gift-list")
    assert found(report_of(folders.components, folders.flags)) == []
    definitions = read(folders.flags)
    (defined,) = definitions.flags
    assert (defined.component, defined.pages, defined.owner) == ("gift-list", ("home", "basket"), "gift-team")
    for persona in Persona:
        assert FlagSet(definitions).evaluate(defined.key, Subject("a", {"persona": persona})).value == "off"
    (version,) = read_registry(folders.components).versions
    assert (version.manifest.status, version.manifest.since, version.manifest.owner) == ("draft", TODAY, "gift-team")


def test_the_next_version_is_a_copy_that_nobody_gets(folders: Folders) -> None:
    write_version(folders.components, "hero.v1", status="deprecated", expires="2026-12-01")
    newest = write_version(
        folders.components,
        "hero.v2",
        "# What hero.v2 needs.\nfragment {} on Query { shelf(place: $place) { id } }",
        variables={"place": "Place!"},
        description="Two.",
    )
    (newest / "hero.js").write_text("// code")
    write(folders.flags, {"hero": component("hero", {"if": [{"var": "persona"}, "v2", None]})})
    written = new_version(folders, "hero", TODAY)
    assert (written.folder.name, written.flag_key) == ("hero.v3", "hero")
    assert (written.folder / "hero.js").read_text() == "// code"
    assert (written.folder / "fragment.graphql").read_text() == (
        "# What hero.v3 needs.\nfragment hero_v3 on Query { shelf(place: $place) { id } }"
    )
    made = read_registry(folders.components).of("hero")[-1].manifest
    assert (made.status, made.since, made.expires, made.description) == ("draft", TODAY, None, "Two.")
    assert dict(made.variables) == {"place": "Place!"}
    (defined,) = read(folders.flags).flags
    assert defined.variants["v3"] == "v3"
    assert reach_of(defined).given == {"v1", "v2"}
    assert found(report_of(folders.components, folders.flags)) == []


def test_a_version_follows_the_newest_of_folders_and_variants(folders: Folders) -> None:
    write_version(folders.components, "hero.v2")
    write(folders.flags, {"hero": component("hero", variants={"two": "v2", "seven": "v7"}, defaultVariant="two")})
    assert new_version(folders, "hero", TODAY).folder.name == "hero.v8"


def test_a_version_of_a_flag_with_values_is_an_object_too(folders: Folders) -> None:
    write_version(folders.components, "hero.v1")
    variants = {"v1": {"version": "v1", "columns": 4}}
    write(folders.flags, {"hero": component("hero", variants=variants)})
    assert new_version(folders, "hero", TODAY).folder.name == "hero.v2"
    assert read(folders.flags).flags[0].variants["v2"] == {"version": "v2"}
    report = report_of(folders.components, folders.flags)
    assert found(report) == []
    assert [each.given_by for each in report.versions] == [("default",), ()]


def test_a_personalized_flag_keeps_the_draft_from_every_persona(folders: Folders) -> None:
    write_version(folders.components, "hero.v1")
    write_version(folders.components, "hero.v2")
    metadata = {"component": "hero", "personalized": True, "audience.VISITOR": "v1,v2"}
    write(folders.flags, {"hero": flag(metadata=metadata)})
    new_version(folders, "hero", TODAY)
    (defined,) = read(folders.flags).flags
    assert defined.metadata["audience.VISITOR"] == "v1,v2"
    assert {defined.metadata[f"audience.{persona}"] for persona in Persona if persona != "VISITOR"} == {"v1,v2,off"}
    assert reach_of(defined).given == {"v1", "v2", "off"}
    assert found(report_of(folders.components, folders.flags)) == []


@pytest.mark.parametrize(
    "name", sorted({version.manifest.name for version in read_registry(SHIPPED_DIRECTORY).versions})
)
def test_the_rest_of_a_shipped_file_stays_as_it_is(folders: Folders, name: str) -> None:
    for file in DEMO_DIRECTORY.glob("*.json"):
        (folders.flags / file.name).write_text(file.read_text())
    before = {flag.component: flag for flag in read(folders.flags).flags}
    newest = read_registry(SHIPPED_DIRECTORY).of(name)[-1].manifest
    write_version(folders.components, newest.folder, flag=newest.flag)
    if before[name].type == "BOOLEAN":
        with pytest.raises(ScaffoldRefused, match="is only on or off; give it the variants v1 and off first"):
            new_version(folders, name, TODAY)
        return
    written = new_version(folders, name, TODAY)
    lines = written.flag_file.read_text().splitlines()
    old = (DEMO_DIRECTORY / written.flag_file.name).read_text().splitlines()
    # Every line is still there, but for the one or two that have a member more behind them.
    assert len(set(old) - set(lines)) <= 2
    after = {flag.component: flag for flag in read(folders.flags).flags}
    assert reach_of(after[name]).given == reach_of(before[name]).given
    assert {key: flag for key, flag in after.items() if key != name}.keys() == before.keys() - {name}


@pytest.mark.parametrize("name", ["", "Hero", "a_b", "-a", "a-", "2a", "../up", "a" * 65])
def test_what_names_no_component_is_refused(folders: Folders, name: str) -> None:
    with pytest.raises(ScaffoldRefused, match="names no component: lower-case letters"):
        new_component(folders, name, "team", "home", TODAY)
    assert _listing(folders) == {}


def _taken_folder(folders: Folders) -> None:
    write_version(folders.components, "hero.v1")


def _taken_file(folders: Folders) -> None:
    write(folders.flags, {"other": flag()}, "hero.json")


def _taken_key(folders: Folders) -> None:
    write(folders.flags, {"component.hero": flag()})


def _taken_component(folders: Folders) -> None:
    write(folders.flags, {"other": component("hero")})


def _broken_folder(folders: Folders) -> None:
    (write_version(folders.components, "hero.v1") / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (_taken_folder, "has a folder; use `gateway components version hero`"),
        (_taken_file, "has a flag or a file hero.json already"),
        (_taken_key, "has a flag or a file hero.json already"),
        (_taken_component, "has a flag or a file hero.json already"),
        (_broken_folder, "cannot be written: Directory not empty"),
    ],
)
def test_what_is_there_already_is_not_touched(folders: Folders, prepare: Any, reason: str) -> None:
    prepare(folders)
    before = _listing(folders)
    with pytest.raises(ScaffoldRefused, match=reason):
        new_component(folders, "hero", "team", "home", TODAY)
    assert _listing(folders) == before


def test_a_flag_that_would_not_be_good_is_not_written(folders: Folders) -> None:
    with pytest.raises(ScaffoldRefused, match=r"would not be good: hero\.json: component\.hero: 'No page'"):
        new_component(folders, "hero", "team", "No page", TODAY)
    write_version(folders.components, "tile.v1")
    metadata = {"component": "tile", "personalized": True, "floor": 1 / 3}
    write(folders.flags, {"tile": flag(metadata=metadata)})
    before = _listing(folders)
    with pytest.raises(ScaffoldRefused, match="for 4 variants is over 1 in all"):
        new_version(folders, "tile", TODAY)
    assert _listing(folders) == before


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({}, "no good flag has the component 'hero' in its metadata"),
        ({"hero": component("hero", state="?")}, "no good flag has the component 'hero' in its metadata"),
    ],
)
def test_a_version_without_a_flag_is_refused(folders: Folders, flags: dict[str, Any], reason: str) -> None:
    write_version(folders.components, "hero.v1")
    write(folders.flags, flags)
    with pytest.raises(ScaffoldRefused, match=reason):
        new_version(folders, "hero", TODAY)


def test_a_version_of_nothing_is_refused(folders: Folders) -> None:
    with pytest.raises(ScaffoldRefused, match="begin it with `gateway components new hero`"):
        new_version(folders, "hero", TODAY)


def test_a_file_that_is_read_meanwhile_is_never_half_written(folders: Folders) -> None:
    write_version(folders.components, "hero.v1")
    path = write(folders.flags, {"hero": component("hero")})
    with path.open() as reader:
        new_version(folders, "hero", TODAY)
        assert json.loads(reader.read())["flags"]["hero"]["variants"] == {"v1": "v1", "v2": "v2", "off": "off"}
