"""Breaking changes are found, and a page under docs/decisions accounts for them."""

from pathlib import Path

from typer.testing import CliRunner

from gateway.__main__ import app
from resolvers.schema import build_schema, printed
from resolvers.schema_changes import changes

OLD = "type Query { product(id: ID!): Int  basket: Int }"
NEW = "type Query { product(id: ID!, unit: String): Int }"


def test_a_removed_field_is_breaking_and_a_new_argument_is_not(tmp_path: Path) -> None:
    found = changes(OLD, NEW, tmp_path)
    assert found.breaking == ("Field Query.basket was removed.",)
    assert found.unaccounted == found.breaking
    assert len(found.other) == 1


def test_a_decision_accounts_for_a_breaking_change(tmp_path: Path) -> None:
    (tmp_path / "0009-no-baskets.md").write_text("# No baskets\n\nBreaking: Field Query.basket was removed.\n")
    assert changes(OLD, NEW, tmp_path).unaccounted == ()


def test_the_command_refuses_to_write_what_breaks_clients(tmp_path: Path) -> None:
    file, decisions = tmp_path / "schema.graphql", tmp_path / "decisions"
    decisions.mkdir()
    text = printed(build_schema())
    committed = text.replace("type Query {", 'type Query {\n  """Old."""\n  old: Int\n')
    file.write_text(committed)
    options = ["--file", str(file), "--decisions", str(decisions)]

    refused = CliRunner().invoke(app, ["schema", "--write", *options])
    assert refused.exit_code == 1
    assert "Breaking: Field Query.old was removed." in refused.stderr
    assert file.read_text() == committed

    (decisions / "0001.md").write_text("Breaking: Field Query.old was removed.\n")
    assert CliRunner().invoke(app, ["schema", "--write", *options]).exit_code == 0
    assert file.read_text() == text
    assert CliRunner().invoke(app, ["schema", "--check", *options]).exit_code == 0


def test_the_check_shows_what_drifted(tmp_path: Path) -> None:
    file = tmp_path / "schema.graphql"
    text = printed(build_schema())
    file.write_text(text.replace('  """Purchase lines on record."""\n  popularity: Int!\n', ""))
    shown = CliRunner().invoke(app, ["schema", "--check", "--file", str(file), "--decisions", str(tmp_path)])
    assert shown.exit_code == 1
    assert "+  popularity: Int!" in shown.stderr
    assert "gateway schema --write" in shown.stderr


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "schema.graphql"
    file.write_text("type Query {")
    shown = CliRunner().invoke(app, ["schema", "--check", "--file", str(file), "--decisions", str(tmp_path)])
    assert shown.exit_code == 2
    assert f"{file} is no GraphQL schema" in shown.stderr
