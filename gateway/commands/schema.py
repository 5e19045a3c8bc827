"""`gateway schema`: print the schema, write `schema.graphql`, or check that file and code agree."""

import difflib
from pathlib import Path
from typing import Annotated

import strawberry
import typer
from graphql import GraphQLError

SCHEMA_FILE = Path("schema.graphql")
DECISIONS = Path("docs/decisions")


def schema(
    check: Annotated[
        bool,
        typer.Option("--check", help="Say whether the file is what the code prints, and the rules of the schema hold."),
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write the file; refused for a breaking change that no decision names.")
    ] = False,
    file: Annotated[Path, typer.Option(help="The committed schema.")] = SCHEMA_FILE,
    decisions: Annotated[Path, typer.Option(help="Pages that account for breaking changes.")] = DECISIONS,
) -> None:
    """Print the schema; with --check or --write compare it with the committed file first."""
    from resolvers.schema import build_schema, printed

    built = build_schema()
    now = printed(built)
    if not (check or write):
        typer.echo(now, nl=False)
        return
    try:
        problems = _broken_rules(built) + _unaccounted(file, now, decisions)
    except GraphQLError as error:
        typer.echo(f"{file} is no GraphQL schema: {error.message} {error.locations}", err=True)
        raise typer.Exit(2) from error
    if check:
        problems += _drift(file, now)
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    if write:
        file.write_text(now)
    typer.echo(f"{file}: {'written' if write else 'up to date'}")


def _broken_rules(built: strawberry.Schema) -> list[str]:
    from resolvers.schema import PERSONALIZED, PLAIN, executable, field_names
    from resolvers.schema_rules import findings

    plain = [name for part in PLAIN for name in field_names(part)]
    personalized = [name for part in PERSONALIZED for name in field_names(part)]
    return findings(executable(built), plain, personalized)


def _unaccounted(file: Path, now: str, decisions: Path) -> list[str]:
    from resolvers.schema_changes import changes

    if not file.exists():
        return []
    found = changes(file.read_text(), now, decisions)
    return [
        f"breaking: {change}\n  Clients in use may break. Keep the old beside the new, deprecated, or say in a page "
        f"under {decisions}/ why, with the line\n  Breaking: {change}"
        for change in found.unaccounted
    ]


def _drift(file: Path, now: str) -> list[str]:
    committed = file.read_text() if file.exists() else ""
    if committed == now:
        return []
    diff = difflib.unified_diff(committed.splitlines(), now.splitlines(), str(file), "the code", lineterm="", n=1)
    return ["\n".join(diff), f"{file} is not what the code prints: run `gateway schema --write`"]
