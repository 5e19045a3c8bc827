"""The files in a folder of definitions: what is there, and what is in one, read without trusting it."""

import json
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flags.errors import DefinitionsUnreadable, InvalidDefinition

MAX_FILE_BYTES = 8 * 2**20
Signature = tuple[tuple[str, int, int, int], ...]


class Repeated(dict[str, Any]):
    """A JSON object in which some keys stand more than once; the last value of each is kept."""

    def __init__(self, pairs: list[tuple[str, Any]], keys: frozenset[str]) -> None:
        super().__init__(pairs)
        self.keys_repeated = keys


@dataclass(slots=True)
class Pace:
    """Work that lets other threads in: after each `slice_seconds` of it, the interpreter is theirs for a moment.

    An evaluation must not wait for a reload, and Python runs one thread at a time.
    """

    slice_seconds: float = 0.0005
    rest_seconds: float = 0.00005
    _since: float = 0.0

    def step(self) -> None:
        """Rest if it is time to."""
        if time.perf_counter() - self._since > self.slice_seconds:
            time.sleep(self.rest_seconds)
            self._since = time.perf_counter()


def signature_of(directory: Path) -> Signature:
    """Names, times, sizes and inodes of the definition files: it changes when any of them does.

    Raises:
        DefinitionsUnreadable: the folder cannot be read.
    """
    try:
        return tuple(_stamp(path) for path in definition_files(directory))
    except OSError as error:
        raise DefinitionsUnreadable(f"the folder of definitions cannot be read: {error.strerror}") from error


def definition_files(directory: Path) -> list[Path]:
    """The `*.json` files right in the folder, by name; names that begin with a dot are left out."""
    return sorted(path for path in directory.iterdir() if path.suffix == ".json" and not path.name.startswith("."))


def read_file(path: Path, pace: Pace) -> Mapping[str, Any]:
    """The JSON object in a file; objects in it with repeated keys are `Repeated`.

    A symbolic link is followed only to a place within the folder, as mounted configuration maps need it.

    Raises:
        DefinitionsUnreadable: it is no regular file, leads out of the folder, is too large, or is not JSON.
    """
    content = _parse(_read(path), pace.step)
    if not isinstance(content, dict):
        raise DefinitionsUnreadable("the file does not hold a JSON object")
    return content


def refuse_repeated(value: object) -> None:
    """Raises `InvalidDefinition` if an object in this value has a key twice."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Repeated):
            raise InvalidDefinition(f"a key stands twice: {sorted(node.keys_repeated)}")
        if isinstance(node, dict):
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _stamp(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return path.name, 0, 0, 0
    return path.name, found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> bytes:
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(path.parent.resolve()):
            raise DefinitionsUnreadable("it is a link that leads out of the folder of definitions")
        found = real.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DefinitionsUnreadable("it is no regular file")
        with real.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except (OSError, RuntimeError) as error:
        raise DefinitionsUnreadable(f"it cannot be read: {type(error).__name__}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise DefinitionsUnreadable(f"it is over {MAX_FILE_BYTES} bytes long")
    return raw


def _parse(raw: bytes, step: Callable[[], None]) -> object:
    def take(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        step()
        content = dict(pairs)
        if len(content) == len(pairs):
            return content
        names = [name for name, _value in pairs]
        return Repeated(pairs, frozenset(name for name in content if names.count(name) > 1))

    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=take, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise DefinitionsUnreadable("it is nested too deep") from error
    except ValueError as error:
        raise DefinitionsUnreadable(f"it is not JSON in UTF-8: {_where(error)}") from error


def _where(error: ValueError) -> str:
    """Where a file stops being JSON, without what stands there."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return type(error).__name__ if isinstance(error, UnicodeDecodeError) else "a number is out of range"


def _refuse_constant(name: str) -> object:
    raise json.JSONDecodeError(f"{name} is no JSON number", name, 0)
