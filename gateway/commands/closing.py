"""`gateway closing`: close a period, tell what came of it, go back, or run closings by a calendar."""

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from personalization.classification.deploy import Closed

app = typer.Typer(
    help="Closings: the classifier of segments learns, is judged, and is deployed if it passes.", no_args_is_help=True
)

PeriodArgument = Annotated[str, typer.Argument(help="The month, as 2017-10.")]
SegmentsFile = Annotated[
    Path | None, typer.Option(help="File of segments; unset, segments.json in the data folder, or the demo shop's own.")
]
Transactions = Annotated[
    Path | None, typer.Option(help="CSV of customer, timestamp, value to close on, rather than the embedded shop.")
]
AcceptGaps = Annotated[bool, typer.Option("--accept-gaps", help="Close although whole months have no orders.")]
_REFUSED = 3


@app.command()
def run(
    period: PeriodArgument,
    segments: SegmentsFile = None,
    transactions: Transactions = None,
    accept_schema: Annotated[
        str | None, typer.Option(help="Hash of features that may take the place of those of the live model.")
    ] = None,
    accept_gaps: AcceptGaps = False,
) -> None:
    """Close a period, or go on with a closing that was interrupted; one that is over is told again.

    Exit code 3 says that a gate refused the model, and the live one has scored everybody.
    """
    from rich.console import Console

    from gateway.closings import closing_source, open_closings
    from gateway.commands.closing_told import story_of
    from gateway.settings import Settings
    from personalization.classification.dataset import Period
    from personalization.clock import SystemClock

    settings, clock, month = Settings(), SystemClock(), Period.parse(period)
    with Steps() as steps:
        closings = open_closings(settings, clock, steps)
        source = closing_source(
            settings, clock, month, segments=segments, transactions=transactions, accept_gaps=accept_gaps
        )
        with source as shop:
            done = closings.run(month, shop, accepted_schema=accept_schema)
    for line in steps.told(done):
        typer.echo(line)
    story_of(done, Console())
    if not done.deployed:
        raise typer.Exit(_REFUSED)


@app.command(name="list")
def list_closings() -> None:
    """All closings, oldest first: how good their classifier is, and what came of it."""
    from rich.console import Console

    from gateway.closings import open_closings
    from gateway.commands.closing_told import list_of
    from gateway.settings import Settings
    from personalization.classification.deploy import SEGMENT_MODEL
    from personalization.clock import SystemClock
    from personalization.registry import REGISTRY_FOLDER, ModelRegistry

    settings, clock = Settings(), SystemClock()
    live = ModelRegistry(settings.data_dir / REGISTRY_FOLDER, clock).pointer(SEGMENT_MODEL).live
    list_of(open_closings(settings, clock).all(), live, Console(width=None if Console().is_terminal else 160))


@app.command()
def show(
    period: PeriodArgument,
    as_json: Annotated[bool, typer.Option("--json", help="The whole record, with all evidence.")] = False,
) -> None:
    """One closing: verdicts, marks beside other models, recall and confusion by segment, what drifted."""
    import orjson
    from rich.console import Console

    from gateway.closings import open_closings
    from gateway.commands.closing_told import details_of, story_of
    from gateway.settings import Settings
    from personalization.classification.dataset import Period
    from personalization.clock import SystemClock

    done = open_closings(Settings(), SystemClock()).show(Period.parse(period))
    if as_json:
        typer.echo(orjson.dumps(done, option=orjson.OPT_INDENT_2).decode())
        return
    console = Console(width=None if Console().is_terminal else 160)
    story_of(done, console)
    details_of(done, console)


@app.command()
def rollback(
    because: Annotated[str, typer.Option("--because", help="Why, in a sentence; it is kept with the change.")],
    to: Annotated[int | None, typer.Option(min=1, help="Version to go back to, rather than the one replaced.")] = None,
) -> None:
    """Make the classifier live again that the live one replaced, with the segments it gave everybody."""
    from gateway.closings import open_closings
    from gateway.settings import Settings
    from personalization.classification.deploy import SEGMENT_MODEL
    from personalization.clock import SystemClock
    from personalization.registry_records import label_of

    done = open_closings(Settings(), SystemClock()).rollback(because, to=to)
    before = "nothing" if done.replaces is None else label_of(SEGMENT_MODEL, done.replaces)
    typer.echo(f"{label_of(SEGMENT_MODEL, done.version)} is live in place of {before} (revision {done.revision})")


@app.command()
def schedule(
    cron: Annotated[str, typer.Option(help="When, in UTC: minute, hour, day, month, day of the week.")] = "0 3 1 * *",
    segments: SegmentsFile = None,
    transactions: Transactions = None,
) -> None:
    """Close what is over now, then whatever is over at each of these times, until Ctrl+C or SIGTERM."""
    import sys

    from gateway.closing_calendar import run_calendar, trigger_of
    from gateway.closings import closing_source, open_closings
    from gateway.logs import configure_logging
    from gateway.settings import Settings
    from personalization.classification.dataset import Period
    from personalization.clock import SystemClock

    settings, clock, times = Settings(), SystemClock(), trigger_of(cron)
    configure_logging(settings.log_level, stream=sys.stderr)
    closings = open_closings(settings, clock)

    def close(period: Period) -> "Closed":
        with closing_source(settings, clock, period, segments=segments, transactions=transactions) as shop:
            return closings.run(period, shop)

    run_calendar(times, close, lambda: [Period.parse(each.period) for each in closings.all()], clock)


class Steps:
    """Shows the step under way on standard error, and knows afterwards how long each took."""

    def __init__(self) -> None:
        from rich.console import Console

        self._status = Console(stderr=True).status("reading the shop")
        self._took: dict[str, float] = {}
        self._doing = "read"
        self._since = perf_counter()

    def __call__(self, doing: str) -> None:
        self._finish()
        self._doing, self._since = doing, perf_counter()
        self._status.update(doing)

    def __enter__(self) -> "Steps":
        self._status.start()
        self._since = perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        self._finish()
        self._status.stop()

    def told(self, done: "Closed") -> list[str]:
        """A line a step, with how long it took, and how fast everybody was scored."""
        lines = []
        for name, seconds in self._took.items():
            speed = f"  {done.customers / seconds:,.0f} customers a second" if name == "score" else ""
            lines.append(f"  {name:<10}{seconds:>7.2f} s{speed}")
        return lines

    def _finish(self) -> None:
        self._took[self._doing] = self._took.get(self._doing, 0.0) + perf_counter() - self._since
