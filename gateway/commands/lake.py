"""`gateway lake`: the files that all events end in."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from gateway.settings import Settings
from personalization.lake.errors import LakeUnavailable

app = typer.Typer(help="The lake: raw files from the hub, and what the ETL makes of them.", no_args_is_help=True)

LakeDir = Annotated[
    Path | None, typer.Option("--lake-dir", help="Folder of the lake; left out, GATEWAY_LAKE_DIR.", file_okay=False)
]
Time = datetime.fromisoformat
SETTLED = timedelta(minutes=2)
SPILL = ".spill"


@app.command()
def write(
    lake_dir: LakeDir = None,
    once: Annotated[bool, typer.Option("--once", help="Write what is in the hub now, then end.")] = False,
    linger: Annotated[float, typer.Option(min=0.1, help="Seconds for which events are gathered into a file.")] = 30.0,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1 that answers Prometheus; unset, none does.")
    ] = None,
) -> None:
    """Write the events of the hub into the raw zone until Ctrl+C or SIGTERM, each once whatever is killed when."""
    from gateway.logs import configure_logging
    from gateway.loop import filling_the_lake, perform
    from personalization.lake.writer import LakePace

    settings = Settings()
    configure_logging(settings.log_level, stream=sys.stderr)
    root = _root(settings, lake_dir)
    if once:
        asyncio.run(_write_once(settings, root))
    else:
        writing = filling_the_lake(root, LakePace(linger=linger))
        asyncio.run(perform(settings, [writing], metrics_port=metrics_port))


@app.command()
def etl(
    lake_dir: LakeDir = None,
    since: Annotated[
        datetime | None, typer.Option(parser=Time, help="Take only decisions from this time on (ISO 8601).")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(parser=Time, help="Join what closed by this time; left out, two minutes ago."),
    ] = None,
    period_start: Annotated[
        datetime | None,
        typer.Option(parser=Time, help="Begin of the commission period; left out, of the month of --until."),
    ] = None,
    closing: Annotated[
        datetime | None, typer.Option(parser=Time, help="End of the commission period; left out, --until.")
    ] = None,
) -> None:
    """Join the raw zone offline, and make the result current. Times without an offset are UTC."""
    from gateway.join_rules import join_rules
    from personalization.ids import new_id
    from personalization.join.offline import JoinSpan, join_offline
    from personalization.lake.duckdb_runner import DuckDbRunner
    from personalization.lake.layout import Lake

    settings = Settings()
    end = _utc(until) or datetime.now(UTC) - SETTLED
    month = end.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    span = JoinSpan(end, _utc(period_start) or month, _utc(closing) or end)
    if since is not None:
        span = JoinSpan(end, span.period_start, span.period_end, _utc(since) or end)
    root = _root(settings, lake_dir)
    with _telling(), DuckDbRunner(spill=root / SPILL) as runner:
        run = join_offline(Lake(root), runner, new_id(), join_rules(settings), span)
    for dataset in run.datasets:
        typer.echo(f"{dataset.name:16} {dataset.rows:10,} rows")
    typer.echo(f"{run.folder} is current")


@app.command()
def compact(
    lake_dir: LakeDir = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Minutes for which merged files stand beside their parts, for who reads now.")
    ] = 15.0,
    most_rows: Annotated[int, typer.Option(min=2, help="Most rows of a merged file.")] = 500_000,
) -> None:
    """Merge small raw files. The rows stay the same; the parts are removed by a later run, when nobody reads them."""
    from personalization.lake.compaction import CompactionLimits
    from personalization.lake.compaction import compact as compact_lake
    from personalization.lake.layout import Lake

    limits = CompactionLimits(most_rows, timedelta(minutes=grace))
    with _telling():
        done = compact_lake(Lake(_root(Settings(), lake_dir)), datetime.now(UTC), limits)
    typer.echo(f"{done.written} merged files of {done.rows:,} rows written, {done.removed} parts removed")


@app.command()
def verify(lake_dir: LakeDir = None) -> None:
    """Check names, checksums, days, overlaps, gaps and repeated ids; one line for each finding, exit code 1 if any."""
    from personalization.lake.duckdb_runner import DuckDbRunner
    from personalization.lake.layout import Lake
    from personalization.lake.verification import verify as verify_lake

    root = _root(Settings(), lake_dir)
    with _telling(), DuckDbRunner(spill=root / SPILL) as runner:
        report = verify_lake(Lake(root), runner)
    for each in report.findings:
        typer.echo(f"{each.problem.value} {each.where}: {each.message}")
    typer.echo(f"{report.files} files, {report.rows:,} rows, {len(report.findings)} findings", err=True)
    raise typer.Exit(1 if report.findings else 0)


async def _write_once(settings: Settings, root: Path) -> None:
    from gateway.processes import reporting
    from gateway.telemetry import build_registry
    from personalization.clock import SystemClock
    from personalization.hub.sqlite import SqliteHub
    from personalization.hub.sqlite_file import HUB_FILE, HubFile
    from personalization.ids import new_id
    from personalization.lake.layout import Lake
    from personalization.lake.writer import LakeMetrics, LakeWriter

    metrics = LakeMetrics(build_registry())
    hub = SqliteHub(HubFile(settings.data_dir / HUB_FILE), SystemClock(), new_id)
    try:
        await reporting("lake_progress", metrics.summary, LakeWriter(hub, Lake(root), metrics).run_once())
    finally:
        await hub.aclose()


@contextmanager
def _telling() -> Iterator[None]:
    """Say what the disk refuses as an error of ours."""
    try:
        yield
    except OSError as error:
        raise LakeUnavailable(f"the lake cannot be used: {error.strerror}: {error.filename}") from error


def _root(settings: Settings, given: Path | None) -> Path:
    from gateway.loop import lake_root

    return given or lake_root(settings)


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
