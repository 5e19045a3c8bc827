"""The manifest of one component version, as its team wrote it: `manifest.json` in its folder, strictly read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from flags.checks import shown
from flags.errors import InvalidComponent

_OPTIONAL: Final = frozenset({"$schema", "expires", "variables"})
_VARIABLE: Final = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_TYPE: Final = re.compile(r"[\[\]!_0-9A-Za-z]+(?: = .+)?")
_LONGEST: Final = 500


class Status(StrEnum):
    """Where a version stands in its life; its flag must say the same.

    - `draft`: being built; no rule may give it.
    - `live`: given to viewers; its fragment must fit the schema.
    - `deprecated`: still given, and gone after `expires`.
    - `retired`: given to nobody; its folder may be removed.
    """

    DRAFT = "draft"
    LIVE = "live"
    DEPRECATED = "deprecated"
    RETIRED = "retired"

    @property
    def in_use(self) -> bool:
        """Whether viewers may get such a version."""
        return self in (Status.LIVE, Status.DEPRECATED)


@dataclass(frozen=True, slots=True)
class ComponentVersionManifest:
    """What a team says of one version.

    `name` and `number` are those of its folder. `flag` is the key of the flag that switches the component. `since` is
    the day the version was begun, `expires` the last day it is meant to be used; None for no such day. `variables` are
    the variables that its fragment uses, with their GraphQL types: `{"context": "Context"}`.
    """

    name: str
    number: int
    flag: str
    owner: str
    status: Status
    since: date
    description: str
    expires: date | None = None
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def version(self) -> str:
        """The version as flags and clients name it: `v2`."""
        return f"v{self.number}"

    @property
    def folder(self) -> str:
        """The name of its folder: `hero.v2`."""
        return f"{self.name}.{self.version}"

    @property
    def fragment_name(self) -> str:
        """The name that its fragment must have: `hero_v2`."""
        return fragment_name(self.name, self.number)


def fragment_name(name: str, number: int) -> str:
    """The name of the fragment of a version; GraphQL has no '-' in names."""
    return f"{name.replace('-', '_')}_v{number}"


def parse_manifest(name: str, number: int, content: Mapping[str, Any]) -> ComponentVersionManifest:
    """The manifest of version `number` of the component `name`.

    Raises:
        InvalidComponent: a member is missing, not known, or has a value that it cannot have.
    """
    members = _MEMBERS
    unknown = sorted(set(content) - set(members) - _OPTIONAL)
    if unknown:
        raise InvalidComponent(f"{unknown[0]}: no member of a manifest; write {_listed(sorted(members))}")
    missing = [member for member in members if member not in content and member not in _OPTIONAL]
    if missing:
        raise InvalidComponent(f"{missing[0]}: missing; write {_FORMS[missing[0]]}")
    read = {member: parse(member, content[member]) for member, parse in members.items() if member in content}
    manifest = ComponentVersionManifest(name=name, number=number, **read)
    _check_dates(manifest)
    return manifest


def _check_dates(manifest: ComponentVersionManifest) -> None:
    if manifest.expires is None and manifest.status is Status.DEPRECATED:
        raise InvalidComponent("expires: missing; a deprecated version says on which day it is used last")
    if manifest.expires is not None and manifest.expires < manifest.since:
        raise InvalidComponent(f"expires: received {manifest.expires}; write a day after since, {manifest.since}")


def _text(member: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise _refused(member, value)
    return value


def _status(member: str, value: object) -> Status:
    if not isinstance(value, str) or value not in frozenset(Status):
        raise _refused(member, value)
    return Status(value)


def _day(member: str, value: object) -> date:
    try:
        # Only `2026-10-01`: later Pythons take more forms of ISO 8601 than others.
        day = date.fromisoformat(value) if isinstance(value, str) and len(value) == len("2026-10-01") else None
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:
        raise _refused(member, value)
    return day


def _last_day(member: str, value: object) -> date | None:
    return None if value is None else _day(member, value)


def _variables(member: str, value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise _refused(member, value)
    for name, type_ in value.items():
        if not _VARIABLE.fullmatch(name) or not isinstance(type_, str) or not _TYPE.fullmatch(type_):
            raise _refused(f"{member}.{name}", type_)
    return MappingProxyType(dict(value))


def _refused(member: str, value: object) -> InvalidComponent:
    return InvalidComponent(f"{member}: received {shown(value)}; write {_FORMS[member.partition('.')[0]]}")


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


_MEMBERS: Final[Mapping[str, Callable[[str, Any], Any]]] = MappingProxyType(
    {
        "flag": _text,
        "owner": _text,
        "status": _status,
        "since": _day,
        "expires": _last_day,
        "description": _text,
        "variables": _variables,
    }
)
_FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "flag": "the key of the component's flag, such as 'component.hero'",
        "owner": "the team that answers for the version",
        "status": _listed([str(status) for status in Status]),
        "since": "the day the version was begun, as '2026-10-01'",
        "expires": "the last day the version is used, as '2026-10-01', or null",
        "description": f"a sentence or two about the version, up to {_LONGEST} characters",
        "variables": 'the variables of the fragment with their types, as {"context": "Context"}',
    }
)
