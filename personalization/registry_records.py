"""What the registry writes beside the bytes of models: manifests, promotions and the pointer, as JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import orjson

from personalization.bandit.canaries import Canary
from personalization.errors import InvalidModel, ModelDamaged
from personalization.events import DecisionContext

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
T = TypeVar("T")


class ModelState(StrEnum):
    """Where a version stands: stored, served, or served once."""

    CANDIDATE = "candidate"
    LIVE = "live"
    RETIRED = "retired"


class Change(StrEnum):
    """How a version became the live one."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True)
class DataRange:
    """What a model learned from: the decisions' first and last time, how many events, and up to which offsets.

    `offsets` are by `topic/partition`; learning goes on there.
    """

    first: datetime
    last: datetime
    events: int
    offsets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A version of a model: what it is, where it comes from, and how to tell that its bytes are whole.

    `parents` are the labels of what it grew out of (`shelf@6`), `settings` those to load it with. A metric that is not
    finite is not kept.
    """

    name: str
    version: int
    sha256: str
    size: int
    created: datetime
    parents: tuple[str, ...] = ()
    data: DataRange | None = None
    settings: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, Json] = field(default_factory=dict)
    canaries: tuple[Canary, ...] = ()

    @property
    def label(self) -> str:
        """Name and version, as logged with each decision: `shelf@7`."""
        return label_of(self.name, self.version)


@dataclass(frozen=True, slots=True)
class Promotion:
    """One change of the live version, and why. `replaces` is the version that was live before, None for the first."""

    revision: int
    version: int
    replaces: int | None
    change: Change
    at: datetime
    evidence: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which version is live; the one file of a model that changes.

    `revision` counts the changes. `graduated` says that an apprentice has agreed with the default long enough.
    """

    revision: int = 0
    live: int | None = None
    graduated: bool = False


def label_of(name: str, version: int) -> str:
    """`shelf@7` for version 7 of `shelf`."""
    return f"{name}@{version}"


def encode(record: Manifest | Promotion | Pointer) -> bytes:
    """The record as JSON, members in one order.

    Raises:
        InvalidModel: it holds what JSON cannot.
    """
    try:
        return orjson.dumps(record, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    except TypeError as error:
        raise InvalidModel(f"a record of the registry cannot be written as JSON: {error}") from error


def decode_manifest(label: str, value: bytes) -> Manifest:
    """The manifest of the version with this label.

    Raises:
        ModelDamaged: these are not the bytes of a manifest.
    """
    return _read(f"manifest of {label}", value, _manifest)


def decode_promotion(value: bytes) -> Promotion:
    """What `encode` wrote of a promotion.

    Raises:
        ModelDamaged: these are not the bytes of a promotion.
    """
    return _read(
        "promotion",
        value,
        lambda record: Promotion(
            int(record["revision"]),
            int(record["version"]),
            None if record["replaces"] is None else int(record["replaces"]),
            Change(record["change"]),
            datetime.fromisoformat(record["at"]),
            dict(record["evidence"]),
        ),
    )


def decode_pointer(value: bytes) -> Pointer:
    """What `encode` wrote of a pointer.

    Raises:
        ModelDamaged: these are not the bytes of a pointer.
    """
    return _read(
        "pointer",
        value,
        lambda record: Pointer(
            int(record["revision"]),
            None if record["live"] is None else int(record["live"]),
            bool(record["graduated"]),
        ),
    )


def _manifest(record: Mapping[str, Any]) -> Manifest:
    data = record["data"]
    return Manifest(
        name=str(record["name"]),
        version=int(record["version"]),
        sha256=str(record["sha256"]),
        size=int(record["size"]),
        created=datetime.fromisoformat(record["created"]),
        parents=tuple(record["parents"]),
        data=None if data is None else _data_range(data),
        settings=dict(record["settings"]),
        metrics={name: float(value) for name, value in record["metrics"].items() if value is not None},
        evidence=dict(record["evidence"]),
        canaries=tuple(_canary(each) for each in record["canaries"]),
    )


def _data_range(record: Mapping[str, Any]) -> DataRange:
    first, last = datetime.fromisoformat(record["first"]), datetime.fromisoformat(record["last"])
    return DataRange(first, last, int(record["events"]), dict(record["offsets"]))


def _canary(record: Mapping[str, Any]) -> Canary:
    context = DecisionContext(**record["context"])
    return Canary(context, tuple(record["actions"]), tuple(float(each) for each in record["distribution"]))


def _read(what: str, value: bytes, make: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        return make(orjson.loads(value))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelDamaged(f"the {what} cannot be read: {type(error).__name__}: {error}") from error
