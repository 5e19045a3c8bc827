"""`gateway data`: the embedded shop's store."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The data of the embedded shop.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """The data of the embedded shop."""


@app.command()
def prepare(
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the store; unset, that of the settings.")] = None,
    products: Annotated[
        int | None, typer.Option(help="Make a store of this many products instead, by varying the real ones.")
    ] = None,
) -> None:
    """Build the store where there is none, or where it is stale or damaged; say where it is."""
    from gateway.settings import Settings
    from personalization.errors import PersonaError

    try:
        typer.echo(prepare_shown(data_dir or Settings().data_dir, products))
    except (PersonaError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


@app.command()
def transactions(file: Annotated[Path, typer.Argument(help="CSV to write: customer, timestamp, value.")]) -> None:
    """Write the embedded shop's purchases as transactions, in the money paid before coupons."""
    import csv

    from resolvers.sources.embedded_data import read_shop

    totals: dict[tuple[str, str], int] = {}
    lines = read_shop().purchases
    for line in lines:
        key = (line.customer_id, line.at.isoformat())
        totals[key] = totals.get(key, 0) + line.unit_cents * line.quantity
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("customer", "timestamp", "value"))
        rows.writerows((customer, at, f"{cents / 100:.2f}") for (customer, at), cents in totals.items())
    typer.echo(f"{len(totals):,} transactions of {len(lines):,} lines in {file}")


def prepare_shown(data_dir: Path, products: int | None = None) -> Path:
    """`prepare_store`, with its progress on standard error while it builds. Blocks; raises what it raises."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from resolvers.sources.embedded_build import prepare_store

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("the embedded shop")

        def show(doing: str, done: int, total: int) -> None:
            progress.update(task, description=f"the embedded shop: {doing}", completed=done, total=total)

        return prepare_store(data_dir, show, products)
