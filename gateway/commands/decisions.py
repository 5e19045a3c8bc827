"""`gateway decisions`: a past decision, decided once more from its record."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.settings import Settings

app = typer.Typer(help="Look at past decisions.", no_args_is_help=True)


@app.callback()
def decisions() -> None:
    """Look at past decisions."""


@app.command()
def show(
    decision_id: Annotated[str, typer.Argument(metavar="ID", help="The decision's id.")],
    data_dir: Annotated[Path | None, typer.Option("--data", help="Folder of the hub; else GATEWAY_DATA_DIR.")] = None,
) -> None:
    """A decision from the hub, drawn again and asked again: what was logged, whether it fits, and what came of it.

    Exit code 1 when the record contradicts itself or its policy.
    """
    from gateway.commands.decision_report import print_report
    from gateway.join_rules import join_rules

    console, settings = Console(width=None if Console().is_terminal else 160), Settings()
    fits = print_report(console, data_dir or settings.data_dir, decision_id, join_rules(settings))
    raise typer.Exit(0 if fits else 1)
