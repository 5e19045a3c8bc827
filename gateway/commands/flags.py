"""`gateway flags`: look at definitions, ask them, and see why they answer as they do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flags.definition import FlagDefinition
from flags.definitions import Definitions, read_definitions
from flags.errors import FlagsError, InvalidSubject, UnknownFlag
from flags.evaluation import Evaluation, FlagSet
from flags.explanation import explain as explain_flag
from flags.live import DEMO_DIRECTORY
from flags.prerequisites import needs_of
from flags.subject import Subject
from flags.vocabulary import Vocabulary
from gateway.settings import Settings

app = typer.Typer(help="Look at the flag definitions and ask them.", no_args_is_help=True)

Directory = Annotated[
    Path | None, typer.Option("--dir", help="Folder of definitions; left out, GATEWAY_FLAGS_DIR or the demo shop's.")
]
Segments = Annotated[
    list[str] | None,
    typer.Option(
        "--segment", help="A segment that exists, given once or more: others are refused. Or GATEWAY_FLAGS_SEGMENTS."
    ),
]
Key = Annotated[str, typer.Argument(help="Key of the flag.")]
SubjectPairs = Annotated[
    list[str] | None,
    typer.Option(
        "--subject",
        help="An attribute as name=text, or name:=json for a number or true and false; targetingKey is the key.",
    ),
]


@app.command()
def lint(directory: Directory = None, segment: Segments = None) -> None:
    """Check the definitions; one line for each flag or file that is refused. Exit code 1 if any is."""
    definitions = _read(directory, segment)
    for refusal in definitions.refused:
        typer.echo(str(refusal))
    typer.echo(f"{len(definitions.flags)} flags, {len(definitions.refused)} refused", err=True)
    raise typer.Exit(1 if definitions.refused else 0)


@app.command(name="list")
def list_flags(directory: Directory = None) -> None:
    """All flags that are served, in the order of the definitions."""
    table = Table("flag", "state", "type", "variants", "default", "component", "pages", "owner", "file", box=None)
    for flag in _read(directory).flags:
        table.add_row(*(Text(cell) for cell in _row(flag)))
    Console(width=None if Console().is_terminal else 200).print(table)


@app.command()
def show(key: Key, directory: Directory = None) -> None:
    """One flag as it is served, its $refs resolved and all flags that it requires, as JSON."""
    definitions = _read(directory)
    flag = next((flag for flag in definitions.flags if flag.key == key), None)
    if flag is None:
        _fail(UnknownFlag(f"no definition names the flag {key!r}"))
    _print_json(
        {
            "key": flag.key,
            "file": flag.file,
            "state": "ENABLED" if flag.enabled else "DISABLED",
            "type": flag.type,
            "variants": dict(flag.variants),
            "defaultVariant": flag.default_variant,
            "requires": {
                required: sorted(variants)
                for required, variants in needs_of(key, {each.key: each for each in definitions.flags}).items()
            },
            "targeting": flag.targeting,
            "metadata": dict(flag.metadata),
            "digest": flag.digest,
        }
    )


@app.command(name="eval")
def evaluate(key: Key, subject: SubjectPairs = None, directory: Directory = None) -> None:
    """What a flag is for a subject, as JSON. Exit code 1 if it cannot be evaluated."""
    evaluation = FlagSet(_read(directory)).evaluate(key, _subject(subject))
    _print_json(_answer(evaluation))
    raise typer.Exit(1 if evaluation.error_code else 0)


@app.command()
def explain(key: Key, subject: SubjectPairs = None, directory: Directory = None) -> None:
    """Why a flag is what it is for a subject: each condition on the way, and what it gave."""
    try:
        explanation = explain_flag(FlagSet(_read(directory)), key, _subject(subject))
    except UnknownFlag as error:
        _fail(error)
    for step in explanation.steps:
        typer.echo(f"{'  ' * step.depth}{step.expression} -> {step.gave}")
    evaluation = explanation.evaluation
    typer.echo(
        f"{key} = {orjson.dumps(evaluation.value).decode()} (variant {evaluation.variant or 'none'}, "
        f"{evaluation.reason}, decided by {evaluation.decided_by})"
    )


def parse_subject(pairs: list[str]) -> Subject:
    """The subject that `name=text` and `name:=json` describe.

    Raises:
        InvalidSubject: a pair has neither form, or its JSON is no text, number, true or false.
    """
    attributes: dict[str, str | int | float | bool] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name.strip(":"):
            raise InvalidSubject(f"--subject takes name=text or name:=json; received {pair!r}")
        attributes[name.removesuffix(":")] = _json_value(pair, text) if name.endswith(":") else text
    key = attributes.pop("targetingKey", None)
    return Subject(None if key is None else str(key), attributes)


def _json_value(pair: str, text: str) -> str | int | float | bool:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidSubject(f"--subject {pair!r}: what follows ':=' is not JSON") from error
    if not isinstance(value, str | int | float):
        raise InvalidSubject(f"--subject {pair!r}: an attribute is a text, a number, true or false")
    return value


def _subject(pairs: list[str] | None) -> Subject:
    try:
        return parse_subject(pairs or [])
    except InvalidSubject as error:
        _fail(error)


def _read(directory: Path | None, segments: list[str] | None = None) -> Definitions:
    settings = Settings()
    vocabulary = Vocabulary().with_segments(segments or settings.flags_segments)
    try:
        return read_definitions(directory or settings.flags_dir or DEMO_DIRECTORY, vocabulary)
    except FlagsError as error:
        _fail(error)


def _fail(error: FlagsError) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(2)


def _row(flag: FlagDefinition) -> tuple[str, ...]:
    return (
        flag.key,
        "on" if flag.enabled else "DISABLED",
        flag.type.lower(),
        " ".join(flag.variants),
        flag.default_variant or "",
        flag.component or "",
        " ".join(flag.pages),
        flag.owner or "",
        flag.file,
    )


def _answer(evaluation: Evaluation) -> Mapping[str, Any]:
    return {
        "key": evaluation.key,
        "value": evaluation.value,
        "variant": evaluation.variant,
        "reason": evaluation.reason,
        "decidedBy": evaluation.decided_by,
        "definitions": evaluation.definitions,
        "metadata": dict(evaluation.metadata),
        "errorCode": evaluation.error_code,
        "errorMessage": evaluation.error_message,
    }


def _print_json(value: Mapping[str, Any]) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
