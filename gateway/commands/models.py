"""`gateway models`: look at the versions of models, make one live, go back."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.settings import Settings
from personalization.clock import SystemClock
from personalization.errors import UnknownModel
from personalization.registry import REGISTRY_FOLDER, ListedModel, ModelRegistry
from personalization.registry_records import Promotion, label_of

app = typer.Typer(help="The models that decide: list them, make one live, go back.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Option("--dir", help="Folder of the registry; left out, `registry` in GATEWAY_DATA_DIR.")
]
Label = Annotated[str, typer.Argument(help="Name and version, as `shelf@7`.")]
Name = Annotated[str, typer.Argument(help="Name of the model: `shelf` or `component`.")]
Because = Annotated[str, typer.Option("--because", help="Why, in a sentence; it is kept with the promotion.")]


@app.command(name="list")
def list_models(
    name: Annotated[str | None, typer.Argument(help="Only the model of this name.")] = None, directory: Folder = None
) -> None:
    """All versions, newest first: where they stand, what they learned from, and their metrics."""
    registry = _registry(directory)
    names = registry.names() if name is None else (name,)
    listed = [each for one in names for each in reversed(registry.listing(one))]
    if name is not None and not listed:
        raise UnknownModel(f"there is no model {name!r}; there are: {', '.join(registry.names()) or 'none'}")
    table = Table("model", "state", "created", "grew from", "events", "bytes", "SHA-256", "metrics", box=None)
    for each in listed:
        table.add_row(*(Text(cell) for cell in _row(each)))
    Console(width=None if Console().is_terminal else 200).print(table)


@app.command()
def show(label: Label, directory: Folder = None) -> None:
    """One version as JSON: its manifest, where it stands, and why it was ever made live. The checksum is compared."""
    registry = _registry(directory)
    name, version = _parsed(label)
    manifest = registry.load(name, version).manifest
    listed = next(each for each in registry.listing(name) if each.manifest.version == version)
    record = {"label": manifest.label, "state": listed.state, "manifest": manifest, "promotions": listed.promotions}
    typer.echo(orjson.dumps(record, option=orjson.OPT_INDENT_2).decode())


@app.command()
def promote(label: Label, because: Because, directory: Folder = None) -> None:
    """Make a version live, once its checksum and its canaries fit. Running gateways take it within a second."""
    from personalization.assembly import load_policy
    from personalization.bandit.canaries import check_canaries

    registry = _registry(directory)
    name, version = _parsed(label)
    stored = registry.load(name, version)
    check_canaries(load_policy(stored), stored.manifest.canaries)
    _echo(name, registry.promote(name, version, {"because": because, "by": "gateway models"}))


@app.command()
def rollback(
    name: Name,
    because: Because,
    to: Annotated[int | None, typer.Option(min=1, help="Version to go back to, rather than the one replaced.")] = None,
    directory: Folder = None,
) -> None:
    """Make the version live again that the live one replaced."""
    _echo(name, _registry(directory).rollback(name, {"because": because, "by": "gateway models"}, to=to))


def _echo(name: str, promotion: Promotion) -> None:
    before = "nothing" if promotion.replaces is None else label_of(name, promotion.replaces)
    typer.echo(f"{label_of(name, promotion.version)} is live in place of {before} (revision {promotion.revision})")


def _registry(directory: Path | None) -> ModelRegistry:
    return ModelRegistry(directory or Settings().data_dir / REGISTRY_FOLDER, SystemClock())


def _parsed(label: str) -> tuple[str, int]:
    name, _, version = label.rpartition("@")
    if not name or not version.isascii() or not version.isdecimal():
        raise UnknownModel(f"{label!r} is no version of a model, give name and version as shelf@7")
    return name, int(version)


def _row(listed: ListedModel) -> tuple[str, ...]:
    manifest = listed.manifest
    return (
        manifest.label,
        listed.state.value,
        manifest.created.isoformat(" ", "seconds"),
        " ".join(manifest.parents) or "-",
        "-" if manifest.data is None else f"{manifest.data.events:,}",
        f"{manifest.size:,}",
        manifest.sha256[:12],
        " ".join(f"{name}={value:.4g}" for name, value in manifest.metrics.items()) or "-",
    )
