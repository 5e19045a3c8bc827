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
