"""`gateway segments`: groups of customers, explored and defined by a data scientist."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from personalization.segmentation.features import FeatureTable

app = typer.Typer(help="Segments of customers: explore how many there are, define them.", no_args_is_help=True)

Until = Annotated[
    datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="Nothing from this day (UTC) on is known.")
]
Since = Annotated[
    datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="First day of the period; unset, the first.")
]
_END = datetime(2018, 1, 1)  # typer's options are naive; the embedded year ends here


@app.command()
def explore(
    until: Until = _END,
    since: Since = None,
    least: Annotated[int, typer.Option(min=2, help="Least number of groups.")] = 2,
    most: Annotated[int, typer.Option(min=2, max=50, help="Greatest number of groups.")] = 8,
) -> None:
    """Try k-means and Gaussian mixtures over a range of numbers of groups, on the embedded shop's customers."""
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from personalization.segmentation.clustering import Method, Scaling
    from personalization.segmentation.clustering import explore as trials_of

    table = _features(until, since)
    matrix = Scaling.of(table).matrix(table)
    shown = Table("method", "k", "silhouette", "stability", "largest", "smallest", box=None)
    steps = trials_of(matrix, range(least, most + 1))
    total = (most + 1 - least) * len(Method)
    for trial in track(steps, "trying", total=total, console=Console(stderr=True), transient=True):
        shares = f"{trial.sizes[0]:.1%}", f"{trial.sizes[-1]:.1%}"
        shown.add_row(trial.method, str(trial.k), f"{trial.silhouette:.3f}", f"{trial.stability:.3f}", *shares)
    console = Console()
    console.print(f"{len(table.customers):,} customers, {matrix.shape[1]} features", highlight=False)
    console.print(shown)


@app.command()
def define(
    k: Annotated[int, typer.Option("--k", min=2, max=50, help="Number of segments.")],
    name: Annotated[list[str] | None, typer.Option(help="key=Name, the largest first; may be repeated.")] = None,
    until: Until = _END,
    since: Since = None,
    file: Annotated[Path | None, typer.Option(help="File to write; unset, segments.json in the data folder.")] = None,
) -> None:
    """Make so many segments by k-means and write them to a file, where names and descriptions may be edited."""
    from gateway.settings import Settings
    from personalization.segmentation.definitions import SEGMENTS_FILE, write_segments
    from personalization.segmentation.definitions import define as defined

    segments = defined(_features(until, since), k, name or [])
    path = file or Settings().data_dir / SEGMENTS_FILE
    write_segments(path, segments)
    for each in segments.segments:
        typer.echo(f"{each.key}  {each.name}  {each.size:,} customers")
    typer.echo(f"Written to {path}")


def _features(until: datetime, since: datetime | None) -> "FeatureTable":
    """Features of the embedded shop's customers, with shares of its five largest categories."""
    from personalization.segmentation.features import compute_features
    from resolvers.sources.embedded_export import LARGEST_CATEGORIES, export_shop

    with TemporaryDirectory() as folder:
        return compute_features(
            export_shop(Path(folder)),
            until=until.replace(tzinfo=UTC),
            since=None if since is None else since.replace(tzinfo=UTC),
            categories=LARGEST_CATEGORIES,
        )


@app.command()
def evaluate(
    transactions: Annotated[Path, typer.Option(help="CSV with the columns customer, timestamp, value.")],
    cut: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day (UTC) of what is foretold.")],
    k: Annotated[int, typer.Option("--k", min=2, max=50, help="Number of segments.")] = 6,
) -> None:
    """Tell who buys from a day on by segments made before it, and by RFM quintile sums; print the AUC of both."""
    from personalization.segmentation.evaluation import evaluate as evaluated
    from personalization.segmentation.evaluation import read_transactions

    found = evaluated(read_transactions(transactions), cut.replace(tzinfo=UTC), k=k)
    typer.echo(f"{found.customers:,} customers, {found.bought:.1%} buy from {cut:%Y-%m-%d} on")
    typer.echo(f"AUC of segments' rates {found.segments:.3f}, of RFM quintile sums {found.rfm:.3f}")
