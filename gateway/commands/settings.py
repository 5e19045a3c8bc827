"""`gateway settings`: every setting with its default and its sentence."""

from enum import Enum

import typer
from pydantic.fields import FieldInfo

from gateway.settings import Settings


def settings() -> None:
    """List every setting as a Markdown table: its environment variable, its default, what it does."""
    typer.echo(settings_table(), nl=False)


def settings_table() -> str:
    """The table, as the README shows it."""
    rows = ["| variable | default | what it does |", "| --- | --- | --- |"]
    rows += [
        f"| `GATEWAY_{name.upper()}` | {_default(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    default = field.default.value if isinstance(field.default, Enum) else field.default
    if default is None or default == ():
        return "unset"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
