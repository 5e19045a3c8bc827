"""The folder of component versions: what is read, and what is refused with which words."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flags.errors import ComponentsUnreadable
from flags.manifest import Status, parse_manifest
from flags.registry import folder_of, read_registry
from tests.components.writing import manifest, write_version


def test_versions_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for folder in ("hero.v10", "hero.v2", "banner.v1"):
        write_version(tmp_path, folder)
    (tmp_path / "hero.v2" / "hero.js").write_text("// the code of the version may stand beside")
    (tmp_path / "README.md").write_text("# What stands here")
    (tmp_path / ".hero.v3.part").mkdir()
    registry = read_registry(tmp_path)
    assert [version.manifest.folder for version in registry.versions] == ["banner.v1", "hero.v2", "hero.v10"]
    assert [version.manifest.number for version in registry.of("hero")] == [2, 10]
    assert registry.refused == ()


def test_a_manifest_is_read_whole(tmp_path: Path) -> None:
    write_version(
        tmp_path,
        "quick-reorder.v2",
        status="deprecated",
        expires="2026-12-31",
        variables={"context": "Context", "first": "Int! = 12"},
    )
    (version,) = read_registry(tmp_path).versions
    read = version.manifest
    assert (read.name, read.version, read.folder) == ("quick-reorder", "v2", "quick-reorder.v2")
    assert (read.status, read.since, read.expires) == (Status.DEPRECATED, date(2026, 10, 1), date(2026, 12, 31))
    assert dict(read.variables) == {"context": "Context", "first": "Int! = 12"}
    assert read.fragment_name == "quick_reorder_v2"
    assert version.fragment.startswith("fragment quick_reorder_v2 on Product")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "alive"}, "status: received 'alive'; write draft, live, deprecated or retired"),
        ({"status": 1}, "status: received 1; write draft, live, deprecated or retired"),
        ({"since": "1.10.2026"}, "since: received '1.10.2026'; write the day the version was begun, as '2026-10-01'"),
        ({"since": "2026-02-30"}, "since: received '2026-02-30'; write the day the version was begun, as '2026-10-01'"),
        ({"since": "20261001"}, "since: received '20261001'; write the day the version was begun, as '2026-10-01'"),
        ({"since": None}, "since: received None; write the day the version was begun, as '2026-10-01'"),
        (
            {"expires": "soon"},
            "expires: received 'soon'; write the last day the version is used, as '2026-10-01', or null",
        ),
        ({"expires": "2026-09-30"}, "expires: received 2026-09-30; write a day after since, 2026-10-01"),
        ({"status": "deprecated"}, "expires: missing; a deprecated version says on which day it is used last"),
        ({"owner": " "}, "owner: received ' '; write the team that answers for the version"),
        ({"flag": 7}, "flag: received 7; write the key of the component's flag, such as 'component.hero'"),
        (
            {"description": "x" * 501},
            f"description: received '{'x' * 79}…; write a sentence or two about the version, up to 500 characters",
        ),
        (
            {"variables": ["context"]},
            "variables: received ['context']; write the variables of the fragment with their types, as "
            '{"context": "Context"}',
        ),
        (
            {"variables": {"context": "Context) { x }"}},
            "variables.context: received 'Context) { x }'; write the variables of the fragment with their types, as "
            '{"context": "Context"}',
        ),
        (
            {"ownr": "x"},
            "ownr: no member of a manifest; write description, expires, flag, owner, since, status or variables",
        ),
    ],
)
def test_a_wrong_member_is_named_with_what_was_received_and_what_to_write(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    write_version(tmp_path, "hero.v1", **changes)
    registry = read_registry(tmp_path)
    (refused,) = registry.refused
    assert registry.versions == ()
    assert (refused.place, refused.reason) == ("hero.v1/manifest.json", reason)


@pytest.mark.parametrize("member", ["flag", "owner", "status", "since", "description"])
def test_a_member_left_out_is_named(tmp_path: Path, member: str) -> None:
    path = write_version(tmp_path, "hero.v1")
    content = manifest("hero")
    del content[member]
    (path / "manifest.json").write_text(json.dumps(content))
    (refused,) = read_registry(tmp_path).refused
    assert refused.reason.startswith(f"{member}: missing; write ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is not JSON in UTF-8: Expecting property name"),
        ("[]", "the file does not hold a JSON object"),
        ('{"flag": "a", "flag": "b"}', "a key stands twice: ['flag']"),
    ],
)
def test_a_manifest_that_is_no_object_is_told(tmp_path: Path, text: str, reason: str) -> None:
    (write_version(tmp_path, "hero.v1") / "manifest.json").write_text(text)
    (refused,) = read_registry(tmp_path).refused
    assert refused.place == "hero.v1/manifest.json"
    assert refused.reason.startswith(reason)


@pytest.mark.parametrize(
    "folder", ["hero", "hero.2", "hero.v0", "hero.v01", "Hero.v1", "hero-.v1", "2hero.v1", "a_b.v1"]
)
def test_a_folder_that_names_no_version_is_told(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (refused,) = read_registry(tmp_path).refused
    assert refused.place == folder
    assert refused.reason.startswith("the folder names no version; call it NAME.vN")
    assert folder_of(folder) is None


@pytest.mark.parametrize("file", ["manifest.json", "fragment.graphql"])
def test_a_folder_without_its_files_is_told_and_the_rest_goes_on(tmp_path: Path, file: str) -> None:
    write_version(tmp_path, "banner.v1")
    (write_version(tmp_path, "hero.v1") / file).unlink()
    registry = read_registry(tmp_path)
    assert [version.manifest.folder for version in registry.versions] == ["banner.v1"]
    assert [refused.place for refused in registry.refused] == [f"hero.v1/{file}"]


def test_a_manifest_outside_of_its_folder_is_not_followed(tmp_path: Path) -> None:
    path = write_version(tmp_path / "components", "hero.v1")
    (path / "manifest.json").rename(tmp_path / "elsewhere.json")
    (path / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    (refused,) = read_registry(tmp_path / "components").refused
    assert "leads out of the folder" in refused.reason


def test_a_fragment_that_is_no_text_or_too_long_is_told(tmp_path: Path) -> None:
    (write_version(tmp_path, "a.v1") / "fragment.graphql").write_bytes(b"\xff")
    (write_version(tmp_path, "b.v1") / "fragment.graphql").write_text("#" * 100_001)
    reasons = [refused.reason for refused in read_registry(tmp_path).refused]
    assert reasons == ["it cannot be read: UnicodeDecodeError", "it is over 100000 bytes long"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ComponentsUnreadable, match="cannot be read: No such file or directory"):
        read_registry(tmp_path / "nowhere")


def test_the_manifest_on_the_page_is_a_good_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "components.md").read_text()
    shown = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    content = json.loads(shown[1])
    assert parse_manifest("hero", 2, content).owner == "storefront-team"
    assert set(re.findall(r"^\| `(\w+)` \| ", page, re.MULTILINE)) >= set(content)
