"""`gateway documents` builds manifests that the gateway starts with, and finds what it would not start with."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from gateway.commands.documents import add, check
from gateway.documents import GraphQLRequest
from gateway.manifest import document_hash
from tests.documents.shop import SDL, asked, documents

HOME = "# home\nquery Home($n: Int) {\n  catalog(first: $n) { edges { node { ...Tile } } }\n}\n"
TILE = "fragment Tile on Product { id name }\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schema.graphql").write_text(SDL)
    return tmp_path


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(add)
    app.command()(check)
    return CliRunner().invoke(app, list(arguments))


def operations() -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(Path("documents.json").read_text())["operations"]
    return found


def write(folder: Path, **texts: str) -> list[str]:
    for name, text in texts.items():
        (folder / f"{name}.graphql").write_text(text)
    return [f"{name}.graphql" for name in texts]


async def test_a_manifest_that_was_built_is_one_the_gateway_serves(folder: Path) -> None:
    files = write(folder, home=HOME, tile=TILE, clock="query Clock { clock }\n")
    result = run("add", *files)
    assert result.exit_code == 0, result.output
    shop = documents(documents_mode="only", documents_manifest=folder / "documents.json")
    assert await shop.warm() == 2
    assert shop.operation(asked("query Clock { clock }\n")).name == "Clock"
    (home,) = (each for each in operations() if each["name"] == "Home")
    assert home["id"] == document_hash(home["body"])
    by_id = GraphQLRequest(None, variables={"n": 2}, extensions={"persistedQuery": {"id": home["id"]}})
    assert shop.operation(by_id).name == "Home"


def test_adding_replaces_by_name_keeps_the_rest_and_repeats_exactly(folder: Path) -> None:
    run("add", *write(folder, clock="query Clock { clock }", home=HOME + TILE))
    before = Path("documents.json").read_text()
    run("add", *write(folder, clock="query Clock { clock }"))
    assert Path("documents.json").read_text() == before
    run("add", *write(folder, clock="query Clock { again: clock }"))
    assert [(each["name"], "again" in each["body"]) for each in operations()] == [("Clock", True), ("Home", False)]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ({"a": "query A { clok }"}, "operation 'A' is refused: Cannot query field 'clok'"),
        ({"a": "query A { clock"}, "a.graphql does not parse"),
        ({"a": "{ clock }"}, "an operation without a name"),
        ({"a": "query A { clock }", "b": "query A { clock }"}, "2 operations are named 'A'"),
        ({"a": TILE, "b": "fragment Tile on Product { id }"}, "another fragment 'Tile'"),
        ({"a": HOME}, "Unknown fragment 'Tile'"),
        ({"a": "query A { product { " + "related { " * 12 + "id" + " }" * 14}, "depth is 14, at most 12"),
    ],
)
@pytest.mark.parametrize("command", ["add", "check"])
def test_what_would_not_be_served_is_refused(folder: Path, command: str, texts: dict[str, str], reason: str) -> None:
    result = run(command, *write(folder, **texts))
    assert result.exit_code == 1
    assert reason in result.output
    assert not Path("documents.json").exists()


def test_checking_says_what_operations_cost_and_how_long_they_keep(folder: Path) -> None:
    result = run("check", *write(folder, home=HOME, tile=TILE))
    assert result.output == "Home: cost 72, public, max-age=120, stale-while-revalidate=30\n"


def test_checking_a_manifest_finds_what_a_schema_change_broke(folder: Path) -> None:
    run("add", *write(folder, clock="query Clock { clock }"))
    assert run("check", "documents.json").exit_code == 0
    (folder / "schema.graphql").write_text(SDL.replace("  clock: String\n", ""))
    result = run("check", "documents.json")
    assert (result.exit_code, "Cannot query field 'clock'" in result.output) == (1, True)


def test_files_that_cannot_be_read_are_named(folder: Path) -> None:
    (folder / "latin.graphql").write_bytes(b"query A { clock } # \xe9")
    for arguments, reason in (
        (("check", "missing.graphql"), "missing.graphql cannot be read"),
        (("check", "latin.graphql"), "latin.graphql is not UTF-8"),
        (("check", "missing.json"), "missing.json cannot be read"),
        (("check", "--schema", "missing.graphql"), "missing.graphql"),
    ):
        result = run(*arguments, *write(folder, clock="query Clock { clock }"))
        assert result.exit_code == 1
        assert reason in result.output
