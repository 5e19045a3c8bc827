"""`gateway segments`: groups of customers, explored, defined and told of by a data scientist."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from personalization.lake.shop_exposures import Given
    from personalization.segmentation.definitions import SegmentSet
    from personalization.segmentation.exploration import Exploration, Progress
    from personalization.segmentation.features import FeatureTable
    from personalization.segmentation.identity import Identity
    from personalization.segmentation.report import Report

app = typer.Typer(
    help="Segments of customers: explore how many there are, define them, tell of them.", no_args_is_help=True
)

Until = Annotated[
    datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="Nothing from this day (UTC) on is known.")
]
Since = Annotated[
    datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="First day of the period; unset, the first.")
]
SegmentsFile = Annotated[
    Path | None, typer.Option("--file", help="File of segments; unset, segments.json in the data folder.")
]
_END = datetime(2018, 1, 1)  # typer's options are naive; the embedded year ends here


@app.command()
def explore(
    until: Until = _END,
    since: Since = None,
    least: Annotated[int, typer.Option(min=2, help="Least number of groups.")] = 2,
    most: Annotated[int, typer.Option(min=2, max=50, help="Greatest number of groups.")] = 8,
    k: Annotated[int | None, typer.Option("--k", min=2, max=50, help="Groups to look into; unset, suggested.")] = None,
    feature: Annotated[list[str] | None, typer.Option(help="Only this numeric feature; may be repeated.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Page to write; unset, segments-explored.html beside the data.")
    ] = None,
) -> None:
    """Try k-means and Gaussian mixtures over a range of numbers of groups, on the embedded shop's customers."""
    from personalization.segmentation.exploration import look
    from personalization.segmentation.exploration_page import exploration_page

    table = features_of(until, since)
    with _progress() as told:
        found = look(table, range(least, most + 1), keys=feature or (), k=k, progress=told)
    _tell_trials(found)
    path = out or Settings().data_dir / "segments-explored.html"
    _write_page(path, exploration_page(found))


@app.command()
def define(
    k: Annotated[int, typer.Option("--k", min=2, max=50, help="Number of segments.")],
    name: Annotated[list[str] | None, typer.Option(help="key=Name, the largest first; may be repeated.")] = None,
    describe: Annotated[list[str] | None, typer.Option(help="key=what they are; may be repeated.")] = None,
    until: Until = _END,
    since: Since = None,
    file: SegmentsFile = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Give new keys, whatever segments the file has.")] = False,
) -> None:
    """Make so many segments by k-means and write them to a file, where names and descriptions may be edited.

    Segments of the file that are found again keep key, name and description; what split, merged, appeared or vanished
    is told. At a terminal, without --name, names are asked for, with a profile of each segment.
    """
    from personalization.segmentation.definitions import define as defined
    from personalization.segmentation.definitions import keep_known, read_segments, write_segments

    path = file or _own_file()
    table = features_of(until, since)
    segments = defined(table, k, name or [], descriptions=describe or [])
    if path.exists() and not name and not fresh:
        segments, identity = keep_known(segments, table, read_segments(path))
        _tell_identity(identity)
    if not name and _is_terminal():
        segments = _asked(segments, table)
    write_segments(path, segments)
    for each in segments.segments:
        typer.echo(f"{each.key}  {each.name}  {each.size:,} customers{'  ' * bool(each.description)}{each.description}")
    typer.echo(f"Written to {path}")


@app.command()
def report(
    as_of: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Nothing from this day (UTC) on is known.")
    ] = _END,
    days: Annotated[int, typer.Option(min=1, help="Days of the period, which also ends the one before.")] = 90,
    file: SegmentsFile = None,
    out: Annotated[Path | None, typer.Option(help="Page to write; unset, segments.html beside the data.")] = None,
) -> None:
    """Tell of each segment: size, sales, categories, personas, what sets it apart, and how customers moved.

    Features look back as far as they did when the segments were defined.
    """
    from personalization.segmentation.definitions import read_segments
    from personalization.segmentation.errors import SegmentationError
    from personalization.segmentation.report import analyse
    from personalization.segmentation.report_page import report_page

    segments = read_segments(file or _own_file())
    earlier = as_of - timedelta(days=days)
    back = None if segments.days is None else timedelta(days=segments.days)
    table = features_of(as_of, None if back is None else as_of - back)
    try:
        before = features_of(earlier, None if back is None else earlier - back)
    except SegmentationError as error:
        typer.echo(f"How they moved cannot be told: {error}", err=True)
        before = None
    found = analyse(table, segments, before)
    _tell_report(found)
    page = report_page(found, before=None if before is None else before.until, synthetic=True)
    _write_page(out or Settings().data_dir / "segments.html", page)


@app.command()
def evaluate(
    transactions: Annotated[Path, typer.Option(help="CSV with the columns customer, timestamp, value.")],
    cut: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day (UTC) of what is foretold.")],
    k: Annotated[int | None, typer.Option("--k", min=2, max=50, help="Number of segments; unset, chosen too.")] = None,
) -> None:
    """Tell who buys from a day on by segments made before it, and by RFM quintile sums; print the AUC of both.

    Features, number of groups and weights are chosen by an earlier cut; nothing from the day on is looked at.
    """
    from rich.table import Table

    from personalization.segmentation.evaluation import evaluate as evaluated
    from personalization.segmentation.transactions import read_transactions, usable

    taken = usable(read_transactions(transactions), datetime.now(UTC))
    for note in taken.notes:
        typer.echo(note, err=True)
    found = evaluated(taken.transactions, cut.replace(tzinfo=UTC), k=k)
    typer.echo(f"{found.customers:,} customers, {found.bought:.1%} buy from {cut:%Y-%m-%d} on")
    typer.echo(f"{found.recipe}, {'chosen by an earlier cut' if found.chosen else 'for want of a past to choose in'}")
    shown = Table("segment", "customers", "foretold", "bought", box=None)
    for each in found.rates:
        shown.add_row(each.key, f"{each.customers:,}", f"{each.foretold:.1%}", f"{each.bought:.1%}")
    _console().print(shown)
    gap = found.segments - found.rfm
    typer.echo(f"AUC of segments' rates {found.segments:.3f}, of RFM quintile sums {found.rfm:.3f}")
    typer.echo(f"The difference is {gap:+.3f} with a standard error of {found.error:.3f}")


def features_of(until: datetime, since: datetime | None) -> "FeatureTable":
    """Features of the embedded shop's customers, with shares of its largest categories and uses of components."""
    import asyncio
    from tempfile import TemporaryDirectory

    from personalization.lake.shop_exposures import exposure_rows
    from personalization.lake.shop_tables import EXPOSURES, write_shop_table
    from personalization.segmentation.features import compute_features
    from resolvers.sources.embedded_export import LARGEST_CATEGORIES, export_shop

    rows = exposure_rows(asyncio.run(_given(Settings())))
    with TemporaryDirectory() as folder:
        tables = dict(export_shop(Path(folder)))
        tables[EXPOSURES] = write_shop_table(Path(folder), EXPOSURES, rows)
        return compute_features(
            tables,
            until=until.replace(tzinfo=UTC),
            since=None if since is None else since.replace(tzinfo=UTC),
            categories=LARGEST_CATEGORIES,
            components=sorted({flag for _, flag, at in rows if at < until}),
        )


async def _given(settings: Settings) -> "list[Given]":
    """The exposures in the lake and in the hub, as far as there are any."""
    from gateway.loop import lake_root
    from personalization.clock import SystemClock
    from personalization.hub.sqlite import SqliteHub
    from personalization.hub.sqlite_file import HUB_FILE, HubFile
    from personalization.ids import new_id
    from personalization.lake.layout import Lake
    from personalization.lake.shop_exposures import exposures_in_hub, exposures_in_lake

    found = list(exposures_in_lake(Lake(lake_root(settings))))
    if (settings.data_dir / HUB_FILE).exists():
        hub = SqliteHub(HubFile(settings.data_dir / HUB_FILE), SystemClock(), new_id)
        try:
            found += await exposures_in_hub(hub)
        finally:
            await hub.aclose()
    return found


def _own_file() -> Path:
    from personalization.segmentation.definitions import SEGMENTS_FILE

    return Settings().data_dir / SEGMENTS_FILE


def _asked(segments: "SegmentSet", table: "FeatureTable") -> "SegmentSet":
    """The segments with names and descriptions from the terminal; what is left empty stays as it is."""
    from dataclasses import replace

    from personalization.segmentation.report import analyse

    portraits = {each.segment.key: each for each in analyse(table, segments).portraits}
    named = []
    for each in segments.segments:
        portrait = portraits.get(each.key)
        typer.echo(f"\n{each.key}: {each.size:,} customers")
        for effect in portrait.effects[:5] if portrait is not None else ():
            typer.echo(f"  {effect.feature.sentence.rstrip('.')}: {effect.words}")
        name = typer.prompt("Name", default=each.name)
        description = typer.prompt("Description", default=each.description, show_default=bool(each.description))
        named.append(replace(each, name=name, description=description))
    return replace(segments, segments=tuple(named))


def _tell_trials(found: "Exploration") -> None:
    from rich.table import Table

    shown = Table("method", "k", "silhouette", "stability", "largest", "smallest", box=None)
    for trial in found.trials:
        shares = f"{trial.sizes[0]:.1%}", f"{trial.sizes[-1]:.1%}"
        shown.add_row(trial.method, str(trial.k), f"{trial.silhouette:.3f}", f"{trial.stability:.3f}", *shares)
    console = _console()
    console.print(f"{len(found.table.customers):,} customers, {len(found.keys)} features", highlight=False)
    console.print(shown)


def _tell_identity(identity: "Identity") -> None:
    if identity.kept:
        typer.echo(f"Kept: {', '.join(sorted(identity.kept.values()))}")
    for key, parts in identity.split.items():
        typer.echo(f"Split: {key} into {', '.join(parts)}")
    for key, parts in identity.merged.items():
        typer.echo(f"Merged: {', '.join(parts)} into {key}")
    if identity.appeared:
        typer.echo(f"Appeared: {', '.join(identity.appeared)}")
    if identity.vanished:
        typer.echo(f"Vanished: {', '.join(identity.vanished)}")


def _tell_report(found: "Report") -> None:
    from rich.table import Table

    shown = Table("segment", "customers", "of sales", "value", "orders", "persona", "stayed", "set apart by", box=None)
    for each in found.portraits:
        key = each.segment.key
        stayed = found.moved.share(key, key) if found.moved is not None else None
        apart = "; ".join(f"{effect.feature.key} {effect.size:+.1f}" for effect in each.effects[:4])
        shown.add_row(
            found.labels[key],
            f"{each.size:,}",
            f"{each.sales_share:.1%}",
            f"{each.value:,.2f}",
            f"{each.orders:.1f}",
            next(iter(each.personas), ""),
            "" if stayed is None else f"{stayed:.0%}",
            apart,
        )
    _console().print(shown)


def _write_page(path: Path, text: str) -> None:
    from personalization.files import write_whole

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())
    typer.echo(f"Page: {path}")


@contextmanager
def _progress() -> Iterator["Progress"]:
    from rich.console import Console
    from rich.progress import Progress as Shown

    with Shown(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)

        def told(doing: str, done: int, total: int) -> None:
            shown.update(task, description=doing, completed=done, total=total)

        yield told


def _console() -> "Console":
    from rich.console import Console

    return Console(width=None if _is_terminal() else 160)


def _is_terminal() -> bool:
    import sys

    return sys.stdin.isatty() and sys.stdout.isatty()
