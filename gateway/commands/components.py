"""`gateway components`: begin components and versions, check them against schema and flags, preview them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from flags.contracts import ComponentReport, Level, Schemas, check_components
from flags.definitions import Definitions, read_definitions
from flags.errors import FlagsError, InvalidSubject, SchemaUnreadable
from flags.evaluation import FlagSet
from flags.fragments import FragmentSchema, SchemaText
from flags.live import DEMO_DIRECTORY
from flags.page_preview import preview_page
from flags.registry import SHIPPED_DIRECTORY, read_registry
from flags.scaffold import Folders, Written, new_component, new_version
from flags.subject import Attribute, Subject
from flags.vocabulary import Vocabulary
from gateway.commands import component_tables as tables
from gateway.settings import Settings
from personalization.clock import ManualClock
from personalization.events import Device, Persona, Season
from resolvers.season import season as season_at

SCHEMA_FILE = Path("schema.graphql")

app = typer.Typer(help="UI components with their versions: begin, check and preview them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the component, such as `hero`.")]
Directory = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder of component versions; left out, GATEWAY_COMPONENTS_DIR or the demo shop's."),
]
FlagsDirectory = Annotated[
    Path | None,
    typer.Option("--flags-dir", help="Folder of flags; left out, GATEWAY_FLAGS_DIR or the demo shop's."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def new(
    name: Name,
    owner: Annotated[str, typer.Option(help="The team that answers for it.")] = "storefront-team",
    page: Annotated[str, typer.Option(help="The pages on which it stands, separated by commas.")] = "home",
    directory: Directory = None,
    flags_dir: FlagsDirectory = None,
) -> None:
    """Begin a component: a folder NAME.v1 as a draft, and a flag that is off for everyone."""
    with _told():
        _say_written(new_component(_folders(directory, flags_dir), name, owner, page, _today()))


@app.command()
def version(name: Name, directory: Directory = None, flags_dir: FlagsDirectory = None) -> None:
    """Begin the next version of a component: a draft copied from the newest, and a variant that nobody gets."""
    with _told():
        _say_written(new_version(_folders(directory, flags_dir), name, _today()))


@app.command()
def check(
    schema: Annotated[
        Path | None, typer.Option(help="The schema about to be used; left out, what the code prints.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="The schema in use; left out, schema.graphql if there is one here.")
    ] = None,
    directory: Directory = None,
    flags_dir: FlagsDirectory = None,
    today: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day that `expires` is compared with.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    json: Json = False,
) -> None:
    """Hold every version against schema, flags and calendar. Exit code 1 for an error, 2 if it cannot be read."""
    with _told():
        folders = _folders(directory, flags_dir)
        report = check_components(
            read_registry(folders.components), _definitions(folders), _schemas(schema, against), _day(today)
        )
    _show(report, markdown=markdown, json=json)
    typer.echo(tables.summary(report), err=True)
    failing = report.at(Level.ERROR) + (report.at(Level.WARNING) if strict else ())
    raise typer.Exit(1 if failing else 0)


@app.command()
def preview(
    persona: Annotated[Persona, typer.Option(case_sensitive=False, help="Who looks at the page.")] = Persona.VISITOR,
    page: Annotated[str | None, typer.Option(help="The page; left out, all components.")] = None,
    segment: Annotated[str | None, typer.Option(help="Key of the viewer's segment.")] = None,
    region: Annotated[str | None, typer.Option(help="The viewer's region, such as US-NE.")] = None,
    season: Annotated[
        Season | None, typer.Option(case_sensitive=False, help="Left out, the region's season at the time.")
    ] = None,
    device: Annotated[Device | None, typer.Option(case_sensitive=False, help="Kind of screen.")] = None,
    app_version: Annotated[str | None, typer.Option(help="Version of the viewer's app, such as 2.1.0.")] = None,
    viewer: Annotated[
        str | None, typer.Option(help="Pseudonym of the viewer, for percentage splits; left out, it is in none.")
    ] = None,
    supports: Annotated[
        list[str] | None, typer.Option(help="Versions the client can render, as hero=v1,v2; once for each component.")
    ] = None,
    at: Annotated[datetime | None, typer.Option(help="The time, UTC; left out, now.")] = None,
    flags_dir: FlagsDirectory = None,
    json: Json = False,
) -> None:
    """Which version of each component a viewer would get, who decides, and by which rule."""
    time = datetime.now(UTC) if at is None else at.replace(tzinfo=at.tzinfo or UTC)
    traits: dict[str, Attribute | None] = {
        "persona": persona,
        "segment": segment,
        "region": region,
        "season": season or season_at(time, region),
        "device": device,
        "appVersion": app_version,
    }
    subject = Subject(viewer, {name: value for name, value in traits.items() if value is not None})
    with _told():
        flags = FlagSet(_definitions(_folders(None, flags_dir)), ManualClock(time))
        found = preview_page(flags, subject, page, _supports(supports))
    if json:
        typer.echo(tables.json_previews(found))
    else:
        tables.print_previews(found)


def _show(report: ComponentReport, *, markdown: bool, json: bool) -> None:
    if json:
        typer.echo(tables.json_report(report))
    elif markdown:
        typer.echo(tables.markdown_report(report), nl=False)
    else:
        tables.print_report(report)


def _schemas(schema: Path | None, against: Path | None) -> Schemas:
    working = FragmentSchema(_printed() if schema is None else _read_schema(schema))
    if against is None and not SCHEMA_FILE.exists():
        return Schemas(working, working)
    return Schemas(FragmentSchema(_read_schema(against or SCHEMA_FILE)), working)


def _printed() -> SchemaText:
    from resolvers.schema import build_schema, printed

    return SchemaText("the working schema", printed(build_schema()))


def _read_schema(file: Path) -> SchemaText:
    try:
        return SchemaText(file.name, file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaUnreadable(f"the schema {file} cannot be read: {type(error).__name__}") from error


def _folders(directory: Path | None, flags_dir: Path | None) -> Folders:
    settings = Settings()
    return Folders(
        directory or settings.components_dir or SHIPPED_DIRECTORY, flags_dir or settings.flags_dir or DEMO_DIRECTORY
    )


def _definitions(folders: Folders) -> Definitions:
    return read_definitions(folders.flags, Vocabulary())


def _supports(pairs: list[str] | None) -> dict[str, tuple[str, ...]] | None:
    if not pairs:
        return None
    supported: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, _, versions = pair.partition("=")
        listed = tuple(version.strip() for version in versions.split(",") if version.strip())
        if not name or not listed:
            raise InvalidSubject(f"--supports takes a component and its versions, as hero=v1,v2; received {pair!r}")
        supported[name] = supported.get(name, ()) + listed
    return supported


def _say_written(written: Written) -> None:
    typer.echo(f"{written.folder}: a draft; its data goes into fragment.graphql")
    typer.echo(f"{written.flag_file}: {written.flag_key} gives it to nobody yet")


def _today() -> date:
    return datetime.now(UTC).date()


def _day(given: datetime | None) -> date:
    return _today() if given is None else given.date()


@contextmanager
def _told() -> Iterator[None]:
    """Errors of ours end the command with a sentence and exit code 2."""
    try:
        yield
    except FlagsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
