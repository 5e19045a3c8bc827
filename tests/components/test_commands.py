"""`gateway components …`, as a component developer and a build run it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.commands.components import app
from personalization.events import Persona
from tests.components.writing import SCHEMA, write_version
from tests.flags.writing import component, flag, read, write

BUILDER = {"==": [{"var": "persona"}, "BUILDER"]}
SIZE = "fragment {} on Product {\n  name\n  size\n}\n"


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: hero with two versions, its flag, and the schema in use."""
    write_version(tmp_path / "components", "hero.v1")
    write_version(tmp_path / "components", "hero.v2", SIZE)
    (tmp_path / "flags").mkdir()
    write(tmp_path / "flags", {"hero": component("hero", {"if": [BUILDER, "v2", None]})})
    (tmp_path / "schema.graphql").write_text(SCHEMA)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWAY_COMPONENTS_DIR", "components")
    monkeypatch.setenv("GATEWAY_FLAGS_DIR", "flags")
    return tmp_path


def _run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def _check(*arguments: str | Path) -> tuple[int, list[str], str]:
    """Exit code, lines without the spaces at their ends, and what stands on stderr."""
    code, out, err = _run("check", "--today", "2026-10-15", "--schema", "schema.graphql", *arguments)
    return code, [line.rstrip() for line in out.splitlines()], err


def test_check_shows_all_versions_and_is_content(shop: Path) -> None:
    assert _check() == (
        0,
        [
            " component  version  status  given by  since       expires  owner  flag  findings",
            " hero       v1       live    default   2026-10-01           team   hero",
            " hero       v2       live    rule      2026-10-01           team   hero",
        ],
        "1 component, 2 versions: 0 errors, 0 warnings, 0 notes\n",
    )


def test_a_breaking_change_of_the_schema_is_told_by_component_and_version(shop: Path) -> None:
    new = shop / "new.graphql"
    new.write_text(SCHEMA.replace("name: String! size: String", "name: String"))
    code, lines, err = _check("--schema", new, "--against", shop / "schema.graphql")
    assert code == 1
    assert lines == [
        " component  version  status  given by  since       expires  owner  flag  findings",
        " hero       v1       live    default   2026-10-01           team   hero  CHANGED",
        " hero       v2       live    rule      2026-10-01           team   hero  BROKEN",
        "",
        "error BROKEN hero.v2: fragment.graphql:3: Cannot query field 'size' on type 'Product' (new.graphql)",
        "warning CHANGED hero.v1: Field Product.name changed type from String! to String (new.graphql)",
    ]
    assert err == "1 component, 2 versions: 1 error, 1 warning, 0 notes\n"


def test_the_report_as_markdown(shop: Path) -> None:
    write_version(shop / "components", "hero.v3", "fragment {} on Product {\n  thickness\n}\n", owner="a | b")
    code, lines, _ = _check("--markdown")
    assert code == 1
    assert lines == [
        "# Components",
        "",
        "1 component, 3 versions: 1 error, 1 warning, 0 notes",
        "",
        "## Versions",
        "",
        "| component | version | status | given by | since | expires | owner | flag | findings |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| hero | v1 | live | default | 2026-10-01 |  | team | hero |  |",
        "| hero | v2 | live | rule | 2026-10-01 |  | team | hero |  |",
        "| hero | v3 | live | nobody | 2026-10-01 |  | a \\| b | hero | INVALID_FRAGMENT DEAD |",
        "",
        "## Findings",
        "",
        "| level | rule | place | finding |",
        "| --- | --- | --- | --- |",
        "| error | INVALID_FRAGMENT | hero.v3 | fragment.graphql:2: Cannot query field 'thickness' on type 'Product' "
        "(schema.graphql) |",
        "| warning | DEAD | hero.v3 | nobody can get it: no rule, default or decision of hero gives it; retire it and "
        "remove its folder |",
    ]


def test_the_report_as_json(shop: Path) -> None:
    write_version(shop / "components", "hero.v2", SIZE, expires="2026-10-14")
    code, out, _ = _run("check", "--today", "2026-10-15", "--schema", "schema.graphql", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["versions"][1] == {
        "component": "hero",
        "version": "v2",
        "status": "live",
        "givenBy": ["rule"],
        "since": "2026-10-01",
        "expires": "2026-10-14",
        "owner": "team",
        "flag": "hero",
        "description": "What it shows.",
    }
    (finding,) = report["findings"]
    assert (finding["level"], finding["rule"], finding["place"]) == ("warning", "EXPIRED", "hero.v2")


def test_strict_counts_warnings_and_no_notes(shop: Path) -> None:
    assert _check("--strict")[0] == 0
    write(shop / "flags", {"hero": component("hero", {"if": [BUILDER, "v2", None]}, state="DISABLED")})
    assert _check("--strict")[0] == 0
    write(shop / "flags", {"hero": component("hero", {"if": [BUILDER, "v1", None]})})
    assert (_check()[0], _check("--strict")[0]) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--against", "nowhere.graphql"], "the schema nowhere.graphql cannot be read: FileNotFoundError"),
        (["--against", "components/hero.v1/manifest.json"], "manifest.json is no GraphQL schema: "),
        (["--dir", "nowhere"], "the folder of components nowhere cannot be read: No such file or directory"),
        (["--flags-dir", "nowhere"], "the folder of definitions cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_read_is_told(arguments: list[str], told: str) -> None:
    code, lines, err = _check(*arguments)
    assert (code, lines) == (2, [])
    assert err.startswith(told)


def test_without_schemas_the_code_is_held_against_the_file_here(shop: Path) -> None:
    code, out, _ = _run("check", "--today", "2026-10-15")
    assert code == 0, "name and size are fields of the real schema's products"
    (shop / "schema.graphql").unlink()
    assert _run("check", "--today", "2026-10-15") == (
        code,
        out,
        "1 component, 2 versions: 0 errors, 0 warnings, 0 notes\n",
    )
    write_version(shop / "components", "hero.v2", "fragment {} on Product { weight }")
    code, out, _ = _run("check", "--today", "2026-10-15")
    assert code == 1
    assert "Cannot query field 'weight' on type 'Product' (the working schema)" in out


def test_a_component_goes_from_new_to_live(shop: Path) -> None:
    code, out, _ = _run("new", "gift-list", "--owner", "gift-team", "--page", "home,basket")
    assert code == 0
    assert out == (
        "components/gift-list.v1: a draft; its data goes into fragment.graphql\n"
        "flags/gift-list.json: component.gift-list gives it to nobody yet\n"
    )
    assert _check()[0] == 0
    assert _run("version", "gift-list")[0] == 0
    assert _check()[0] == 0
    assert {each.component for each in read(shop / "flags").flags} == {"hero", "gift-list"}
    gifts = json.loads((shop / "flags" / "gift-list.json").read_text())
    gifts["flags"]["component.gift-list"]["defaultVariant"] = "v2"
    write(shop / "flags", gifts["flags"], "gift-list.json")
    code, lines, _ = _check()
    assert code == 1
    assert lines[-2:] == [
        "error NOT_LIVE gift-list.v2: its status is draft and component.gift-list gives it; take it out of the flag or "
        "make it live",
        "warning NOT_LIVE gift-list.v1: its status is draft and clients that cannot render v2 fall back to it; take it "
        "out of component.gift-list",
    ]
    manifest = shop / "components" / "gift-list.v2" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("draft", "live"))
    assert _check()[0] == 0


@pytest.mark.parametrize("arguments", [("new", "hero"), ("new", "Hero"), ("version", "nothing")])
def test_what_cannot_be_written_is_told(arguments: tuple[str, ...]) -> None:
    code, out, err = _run(*arguments)
    assert (code, out) == (2, "")
    assert arguments[1] in err


def _preview(*arguments: str) -> list[list[str]]:
    """The rows of a preview, column for column."""
    code, out, _ = _run("preview", *arguments)
    assert code == 0
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.splitlines()[1:]]


def test_preview_says_which_version_and_by_which_rule(shop: Path) -> None:
    rule = {"if": [BUILDER, {"if": [{"==": [{"var": "season"}, "WINTER"]}, "v2", "off"]}, None]}
    write(
        shop / "flags",
        {
            "hero": component("hero", rule),
            "tile": component("tile", state="DISABLED"),
            "cart": component("cart", page="basket"),
            "team": component("team", {"if": [BUILDER, "v1", "off"]}),
        },
    )
    winter = ("--at", "2026-12-24T18:00:00")
    assert _preview("--persona", "builder", "--page", "home", *winter) == [
        [
            *("hero", "v2", "TARGETING", "RULE"),
            '{"==":[{"var":"persona"},"BUILDER"]} and {"==":[{"var":"season"},"WINTER"]}',
        ],
        ["tile", "off", "KILL_SWITCH", "KILL_SWITCH", "the flag is disabled"],
        ["team", "v1", "TARGETING", "RULE", '{"==":[{"var":"persona"},"BUILDER"]}'],
    ]
    assert _preview("--persona", "BUILDER", "--page", "home", *winter, "--region", "AU-NSW")[0][1] == "off"
    assert _preview("--persona", "BUILDER", "--page", "home", "--season", "winter")[0][1] == "v2"
    assert [row[0] for row in _preview("--page", "basket")] == ["cart"]
    assert _preview("--page", "home")[2] == ["team", "off", "TARGETING", "RULE", "no condition holds: the last branch"]


def test_preview_passes_everything_on_that_a_rule_may_read(shop: Path) -> None:
    traits = {"segment": "gold", "region": "US-NE", "device": "PHONE", "appVersion": "2.1.0", "targetingKey": "v:1"}
    conditions = [{"==": [{"var": name}, value]} for name, value in traits.items()]
    late = {">": [{"var": "$flagd.timestamp"}, 1_790_000_000]}
    write(shop / "flags", {"hero": component("hero", {"if": [{"and": [*conditions, late]}, "v2", None]})})
    options = [
        "--segment",
        "gold",
        "--region",
        "US-NE",
        "--device",
        "phone",
        "--app-version",
        "2.1.0",
        "--viewer",
        "v:1",
    ]
    assert _preview(*options, "--at", "2026-12-01")[0][1] == "v2"
    assert _preview(*options, "--at", "2020-12-01")[0][1] == "v1"
    assert _preview(*options[:-2], "--at", "2026-12-01")[0][1] == "v1"


def test_preview_lists_what_a_decision_chooses_among(shop: Path) -> None:
    metadata = {"component": "hero", "personalized": True, "floor": 0.05, "holdback": 0.1, "audience.VISITOR": "v1,v2"}
    variants = {"v1": "v1", "v2": "v2", "v3": "v3"}
    rule = {"if": [BUILDER, "v3", None]}
    write(shop / "flags", {"hero": flag(rule, variants=variants, metadata=metadata)})
    because = "decided among v1, v2 (floor 0.05, holdback 0.1)"
    assert _preview() == [["hero", "v1", "DEFAULT", "BANDIT", because]]
    assert _preview("--persona", "BUILDER")[0][1:4] == ["v3", "TARGETING", "RULE"]
    assert _preview("--persona", "CONSULTANT")[0][4] == "decided among v1, v2, v3 (floor 0.05, holdback 0.1)"
    (only,) = json.loads(_run("preview", "--persona", "CONSULTANT", "--supports", "hero=v1,v3", "--json")[1])
    assert (only["candidates"], only["version"], only["decidedBy"]) == (["v1", "v3"], "v1", "BANDIT")
    (only,) = json.loads(_run("preview", "--supports", "hero=v1", "--json")[1])
    assert (only["candidates"], only["version"], only["decidedBy"]) == ([], "v1", "DEFAULT")


def test_preview_shows_what_a_client_falls_back_to(shop: Path) -> None:
    assert _preview("--persona", "BUILDER", "--supports", "hero=v1,v9")[0][1:3] == ["v1", "DOWNGRADED"]
    assert _preview("--persona", "BUILDER", "--supports", "hero=v9")[0][1:3] == ["off", "UNSUPPORTED_VERSION"]
    (only,) = json.loads(_run("preview", "--persona", "BUILDER", "--supports", "hero=v1", "--json")[1])
    assert only["steps"][0] == {"expression": '{"==":[{"var":"persona"},"BUILDER"]}', "gave": "true"}
    code, out, err = _run("preview", "--supports", "hero")
    assert (code, out) == (2, "")
    assert err == "--supports takes a component and its versions, as hero=v1,v2; received 'hero'\n"


def test_preview_shows_a_rule_that_fails(shop: Path) -> None:
    write(shop / "flags", {"hero": component("hero", {"var": "region"})})
    (row,) = _preview("--region", "US-NE")
    assert row == ["hero", "off", "ERROR", "DEFAULT", "the rule gave no variant of the flag"]


@pytest.mark.parametrize("persona", list(Persona))
def test_the_demo_shop_is_previewed_when_no_folder_is_named(persona: Persona, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_FLAGS_DIR")
    rows = _preview("--persona", persona.lower(), "--page", "home", "--viewer", "customer:1")
    assert len(rows) == 11
    assert all(len(row) == 5 for row in rows)
