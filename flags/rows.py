"""Definitions as they cross from one process to another: frames of JSON, each with its length in front."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO

import orjson

from flags.definition import FlagDefinition, FlagType
from flags.definitions import Refusal
from flags.vocabulary import Vocabulary

LENGTH_BYTES = 4
IN_A_FRAME = 16
Row = list[Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What to read: the folder, and the words that rules may use. The flags served until now come after it."""

    directory: str
    attributes: list[str]
    values: Mapping[str, list[str]]

    @classmethod
    def of(cls, directory: str, vocabulary: Vocabulary) -> "Request":
        """The request for this folder."""
        values = {name: sorted(known) for name, known in vocabulary.values.items()}
        return cls(directory, sorted(vocabulary.attributes), values)

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that rules may use."""
        values = {name: frozenset(known) for name, known in self.values.items()}
        return Vocabulary(frozenset(self.attributes), MappingProxyType(values))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reading came to, beside the flags; `failed` says why the folder could not be read."""

    refused: list[tuple[str, str | None, str]]
    kept: list[str]
    version: str
    failed: str | None = None

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What is refused."""
        return tuple(Refusal(*refusal) for refusal in self.refused)


def frame(content: object) -> bytes:
    """One frame."""
    raw = orjson.dumps(content)
    return len(raw).to_bytes(LENGTH_BYTES) + raw


def frames(rows: Iterable[object]) -> Iterator[bytes]:
    """Frames with a few rows each, and an empty one as the end of them."""
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == IN_A_FRAME:
            yield frame(batch)
            batch = []
    if batch:
        yield frame(batch)
    yield frame([])


def read_frame(source: BinaryIO) -> Any:
    """The content of the next frame; raises `EOFError` where there is none."""
    size = int.from_bytes(source.read(LENGTH_BYTES))
    raw = source.read(size)
    if not size or len(raw) < size:
        raise EOFError
    return orjson.loads(raw)


def read_rows(source: BinaryIO) -> Iterator[Any]:
    """The rows of all frames to the empty one."""
    while rows := read_frame(source):
        yield from rows


def row_of(flag: FlagDefinition) -> Row:
    """A definition as a row."""
    return [
        flag.key,
        flag.file,
        flag.type,
        flag.enabled,
        dict(flag.variants),
        flag.default_variant,
        flag.digest,
        flag.rule,
        dict(flag.metadata),
    ]


def definition_of(row: Row) -> FlagDefinition:
    """The definition in a row."""
    key, file, kind, enabled, variants, default_variant, digest, rule, metadata = row
    return FlagDefinition(
        key,
        file,
        FlagType(kind),
        enabled,
        MappingProxyType(variants),
        default_variant,
        digest,
        rule,
        MappingProxyType(metadata),
    )
