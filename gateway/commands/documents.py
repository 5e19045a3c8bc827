"""`gateway documents`: build the manifest of trusted documents from GraphQL files, and check it against the schema."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.documents import Documents
    from gateway.manifest import TrustedDocument

Files = Annotated[list[Path], typer.Argument(help="GraphQL files; fragments may stand in any of them.")]
SchemaFile = Annotated[Path, typer.Option(help="The schema that operations must fit.")]


def add(
    files: Files,
    manifest: Annotated[Path, typer.Option(help="The manifest, made when it is missing.")] = Path("documents.json"),
    schema: SchemaFile = Path("schema.graphql"),
) -> None:
    """Add every operation of the files to the manifest, in place of those with the same name."""
    from gateway.errors import StartRefused
    from gateway.manifest import read_manifest, trusted_documents, write_manifest

    try:
        added = trusted_documents(files)
        kept = read_manifest(manifest) if manifest.exists() else ()
    except StartRefused as error:
        raise _failed([str(error)]) from error
    problems = _problems(_documents(schema), added)
    if problems:
        raise _failed(problems)
    names = {document.name for document in added}
    write_manifest(manifest, [*added, *(document for document in kept if document.name not in names)])
    for document in added:
        typer.echo(f"{document.id}  {document.name}")


def pages(
    manifest: Annotated[Path, typer.Option(help="The manifest, made when it is missing.")] = Path("documents.json"),
    app_version: Annotated[str, typer.Option(help="Version of the shop's pages, as they tell it.")] = "2.2.0",
    flags_dir: Annotated[Path | None, typer.Option(help="Folder of flag definitions.")] = None,
    components_dir: Annotated[Path | None, typer.Option(help="Folder of component versions.")] = None,
    schema: SchemaFile = Path("schema.graphql"),
) -> None:
    """Add what the shop's pages ask, for all versions of components that the flags can give together now."""
    from flags.definitions import read_definitions
    from flags.live import DEMO_DIRECTORY
    from flags.registry import SHIPPED_DIRECTORY, read_registry
    from flags.vocabulary import Vocabulary
    from gateway.errors import StartRefused
    from gateway.manifest import read_manifest, write_manifest
    from gateway.page_documents import page_documents, read_templates
    from gateway.settings import Settings

    settings = Settings()
    definitions = read_definitions(flags_dir or settings.flags_dir or DEMO_DIRECTORY, Vocabulary())
    registry = read_registry(components_dir or settings.components_dir or SHIPPED_DIRECTORY)
    made = page_documents(read_templates(), registry, definitions, app_version)
    try:
        kept = read_manifest(manifest) if manifest.exists() else ()
    except StartRefused as error:
        raise _failed([str(error)]) from error
    problems = _problems(_documents(schema), made)
    if problems:
        raise _failed(problems)
    names = {document.name for document in made}
    write_manifest(manifest, [*made, *(document for document in kept if document.name not in names)])
    typer.echo(f"{len(made)} documents of {len(names)} operations")


def check(
    files: Annotated[list[Path], typer.Argument(help="GraphQL files, and manifests (`.json`).")],
    schema: SchemaFile = Path("schema.graphql"),
) -> None:
    """Say whether every operation fits the schema and the limits, and what it costs without variables."""
    from gateway.errors import StartRefused
    from gateway.manifest import read_manifest, trusted_documents

    manifests = [path for path in files if path.suffix == ".json"]
    try:
        found = [*trusted_documents([path for path in files if path.suffix != ".json"])]
        for path in manifests:
            found += read_manifest(path)
    except StartRefused as error:
        raise _failed([str(error)]) from error
    documents = _documents(schema)
    problems = _problems(documents, found)
    if problems:
        raise _failed(problems)
    for each in found:
        operation = documents.trust(each, each.name)
        typer.echo(f"{each.name}: cost {operation.cost(None)}, {operation.cache_control}")


def _documents(schema: Path) -> "Documents":
    from graphql import GraphQLError, build_schema
    from prometheus_client import CollectorRegistry

    from gateway.documents import Documents
    from gateway.errors import StartRefused
    from gateway.settings import DocumentsMode, Settings

    settings = Settings(documents_mode=DocumentsMode.OFF)
    try:
        return Documents(build_schema(schema.read_text("utf-8")), settings, CollectorRegistry())
    except (OSError, GraphQLError, TypeError, StartRefused) as error:
        raise _failed([f"{schema}: {error}"]) from error


def _problems(documents: "Documents", found: Iterable["TrustedDocument"]) -> list[str]:
    from gateway.errors import StartRefused

    problems = []
    for each in found:
        try:
            documents.trust(each, each.id[:12])
        except StartRefused as error:
            problems.append(str(error))
    return problems


def _failed(problems: Sequence[str]) -> typer.Exit:
    for problem in problems:
        typer.echo(problem, err=True)
    return typer.Exit(1)
