"""`gateway learn`: models learn from joined decisions, online in a process of its own, or offline from the lake."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from personalization.events import JoinedDecision
    from personalization.learning.offline import Candidate, Progress, Study
    from personalization.registry import ModelRegistry
    from personalization.registry_records import Json

app = typer.Typer(invoke_without_command=True)

BY = "gateway learn offline"


class ModelName(StrEnum):
    """The models there are."""

    SHELF = "shelf"
    COMPONENT = "component"


class RowSource(StrEnum):
    """Where joined decisions are read from."""

    AUTO = "auto"
    LAKE = "lake"
    HUB = "hub"


@app.callback()
def learn(
    context: typer.Context,
    checkpoint: Annotated[float, typer.Option(min=0.1, help="Seconds between two stored versions.")] = 2.0,
    lessons: Annotated[int, typer.Option(min=1, help="Store a version after so many lessons in any case.")] = 5_000,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1 that answers Prometheus; unset, none does.")
    ] = None,
) -> None:
    """Learn joined decisions from the hub until Ctrl+C or SIGTERM, and store models in the registry.

    They become live by themselves when GATEWAY_POLICY_MODE is `online` or `apprentice`; otherwise they are candidates.
    One process learns at a time: a second one waits, and takes over when the first has ended.
    """
    if context.invoked_subcommand is not None:
        return
    from gateway.logs import configure_logging
    from gateway.loop import learning, perform
    from personalization.learning.online import LearnPace

    settings = Settings()
    configure_logging(settings.log_level, stream=sys.stderr)
    pace = LearnPace(lessons=lessons, seconds=checkpoint)
    asyncio.run(perform(settings, [learning(pace)], metrics_port=metrics_port))


@app.command()
def offline(
    days: Annotated[float, typer.Option(min=0.001, help="Take the decisions of so many days until now.")] = 30.0,
    model: Annotated[ModelName, typer.Option(help="Which model.")] = ModelName.SHELF,
    source: Annotated[
        RowSource, typer.Option("--from", help="Where to read; `auto` takes the lake, and the hub while it is empty.")
    ] = RowSource.AUTO,
    promote: Annotated[bool, typer.Option("--promote", help="Make the best live, if the bounds allow it.")] = False,
    out: Annotated[Path, typer.Option(help="Page to write, with plots.", dir_okay=False)] = Path("offline.html"),
) -> None:
    """Make several candidates anew from the first 70 % of the rows, and judge them on the rest.

    They are stored in the registry with all numbers. One is promoted only if it earns more than the live model beyond
    doubt; exit code 3 says that --promote was asked for and none may be.
    """
    from rich.console import Console

    from gateway.logs import configure_logging
    from personalization.clock import SystemClock
    from personalization.learning.report import study_page
    from personalization.registry import REGISTRY_FOLDER, ModelRegistry

    settings, console = Settings(), Console()
    configure_logging("WARNING", stream=sys.stderr)
    rows, where = _rows(settings, source, datetime.now(UTC) - timedelta(days=days), model)
    console.print(f"{len(rows):,} joined decisions of the {model.value} model from {where}")
    registry = ModelRegistry(settings.data_dir / REGISTRY_FOLDER, SystemClock())
    with _progress() as progress:
        found = _study(registry, model, rows, progress)
    _show(found, console)
    out.write_text(study_page(found, f"Offline study of the {model.value} model"))
    console.print(f"The plots are in {out}")
    _store(registry, model, found, promote, console)


@app.command()
def report(
    days: Annotated[float, typer.Option(min=0.001, help="Take the decisions of so many days until now.")] = 30.0,
    source: Annotated[
        RowSource, typer.Option("--from", help="Where to read; `auto` takes the lake, and the hub while it is empty.")
    ] = RowSource.AUTO,
) -> None:
    """What decisions earned at each placement, beside those of who was held back: the gain, and how sure it is."""
    from rich.console import Console

    from gateway.logs import configure_logging
    from personalization.learning.gain import gains_over_holdback
    from personalization.learning.report import GAIN_HEAD, gain_rows

    settings, console = Settings(), Console()
    configure_logging("WARNING", stream=sys.stderr)
    rows, where = _rows(settings, source, datetime.now(UTC) - timedelta(days=days))
    console.print(f"{len(rows):,} joined decisions from {where}")
    _print_table(console, GAIN_HEAD, gain_rows(gains_over_holdback(rows)), "Reward of a displayed decision")


def _print_table(console: "Console", head: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich.table import Table

    table = Table(*head, title=title, box=None)
    for row in rows:
        table.add_row(*row)
    wide = console if console.is_terminal else type(console)(width=220)
    wide.print(table)


def _rows(
    settings: Settings, source: RowSource, since: datetime, model: ModelName | None = None
) -> tuple[list["JoinedDecision"], str]:
    """The joined decisions of a model, or of all, and where they are from."""
    from gateway.loop import lake_root
    from personalization.events import is_shelf
    from personalization.lake.errors import LakeEmpty
    from personalization.lake.reader import LakeReader

    rows, where = [], "the hub"
    reader = LakeReader(lake_root(settings))
    try:
        if source is not RowSource.HUB:
            run = reader.current()
            rows, where = list(reader.joined(since, run=run)), f"{run.folder.name} of the lake"
    except LakeEmpty:
        if source is RowSource.LAKE:
            raise
    if where == "the hub":
        rows = asyncio.run(_hub_rows(settings, since))
    shelves = model is ModelName.SHELF
    mine = [each for each in rows if model is None or is_shelf(each.decision.context.placement) is shelves]
    return mine, where


async def _hub_rows(settings: Settings, since: datetime) -> list["JoinedDecision"]:
    from personalization.clock import SystemClock
    from personalization.hub.sqlite import SqliteHub
    from personalization.hub.sqlite_file import HUB_FILE, HubFile
    from personalization.ids import new_id
    from personalization.learning.rows import joined_in

    hub = SqliteHub(HubFile(settings.data_dir / HUB_FILE), SystemClock(), new_id)
    try:
        return await joined_in(hub, since)
    finally:
        await hub.aclose()


@contextmanager
def _progress() -> Iterator["Progress"]:
    """A bar for each thing that is done, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def show(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = bars.add_task(doing)
            bars.update(tasks[doing], completed=done, total=total)

        yield show


def _study(registry: "ModelRegistry", model: ModelName, rows: list["JoinedDecision"], progress: "Progress") -> "Study":
    from personalization.assembly import load_policy
    from personalization.learning.offline import split, study

    live = registry.pointer(model.value).live
    policy = None if live is None else load_policy(registry.load(model.value, live))
    return study(split(rows), policy, progress=progress)


def _show(found: "Study", console: "Console") -> None:
    from personalization.learning.report import SCORE_HEAD, score_rows

    trial = found.trial
    title = f"{trial.rows:,} held out decisions of {trial.clusters:,} subjects"
    _print_table(console, SCORE_HEAD, score_rows(trial), title)
    for action, each in trial.weight_sums.items():
        if not each.sound:
            console.print(f"The log is in doubt: mean weight of {action} is {each.mean:.3f}, not 1 ± {each.error:.3f}")


def _store(registry: "ModelRegistry", model: ModelName, found: "Study", promote: bool, console: "Console") -> None:
    """Store all candidates; promote the best when that is wanted and it may be."""
    versions = {each.name: _add(registry, model, found, each) for each in found.candidates}
    console.print("Stored: " + ", ".join(f"{model.value}@{version} ({name})" for name, version in versions.items()))
    best = found.best()
    if best is None:
        console.print("No candidate is better than what is live beyond doubt.")
        raise typer.Exit(3 if promote else 0)
    label = f"{model.value}@{versions[best.name]}"
    if not promote:
        console.print(f"{label} ({best.name}) may be promoted: run this with --promote, or `gateway models promote`.")
        return
    evidence = {"by": BY, "because": "its lower bound is above the live model", **found.trial.evidence(best.name)}
    registry.promote(model.value, versions[best.name], evidence)
    console.print(f"{label} ({best.name}) is live")


def _add(registry: "ModelRegistry", model: ModelName, found: "Study", candidate: "Candidate") -> int:
    evidence: dict[str, Json] = {"by": BY, "candidate": candidate.name, "judged": found.trial.evidence(candidate.name)}
    return registry.add(
        model.value,
        candidate.snapshot.model,
        canaries=candidate.snapshot.canaries,
        data_range=candidate.data,
        settings=candidate.settings.record(),
        metrics={"lessons": float(candidate.data.events)},
        evidence=evidence,
    ).version
