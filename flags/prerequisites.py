"""Flags that require other flags: `"requires": "component.shelf=v2|v3,release.new-home"` in the metadata.

A flag is off wherever one that it requires does not give what is required, directly or through others.
"""

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flags.errors import InvalidDefinition

if TYPE_CHECKING:
    from flags.definition import FlagDefinition

MAX_REQUIRED = 32
_REQUIREMENT = re.compile(r"([a-z0-9][a-z0-9._-]*)(?:=([A-Za-z0-9._-]+(?:\|[A-Za-z0-9._-]+)*))?")


@dataclass(frozen=True, slots=True)
class Requirement:
    """The flag `key` must give one of `variants`; without variants, any whose value is neither false nor `off`."""

    key: str
    variants: frozenset[str] = frozenset()

    def accepted(self, definition: "FlagDefinition") -> frozenset[str]:
        """The variants of the required flag that will do."""
        on = (name for name, value in definition.variants.items() if value is not False and value != "off")
        return self.variants or frozenset(on)


def parse_requirements(text: object) -> tuple[Requirement, ...]:
    """The requirements that are written so: `key` or `key=variant` or `key=one|other`, with commas between them.

    Raises:
        InvalidDefinition: it is written otherwise, or names a flag twice.
    """
    if not isinstance(text, str):
        raise InvalidDefinition(f"'requires' is a text as 'a-flag=v2,other-flag'; received {text!r}")
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _REQUIREMENT.fullmatch(part)
        if match is None:
            raise InvalidDefinition(f"{part[:80]!r} is no requirement: 'key', 'key=variant' or 'key=one|other'")
        key, variants = match.groups()
        found.append(Requirement(key, frozenset(variants.split("|")) if variants else frozenset()))
    keys = [requirement.key for requirement in found]
    if len(set(keys)) < len(keys):
        raise InvalidDefinition(f"'requires' names a flag twice: {text[:80]!r}")
    return tuple(found)


def needs_of(key: str, flags: Mapping[str, "FlagDefinition"]) -> dict[str, frozenset[str]]:
    """For each flag that `key` requires, directly or through others, the variants that will do.

    All of them together are what recursion would ask for: a required flag that is off gives no variant, so what it
    requires in turn must hold as well. A flag that is not there can give nothing.
    """
    needs: dict[str, frozenset[str]] = {}
    waiting = [key]
    while waiting:
        for requirement in flags[waiting.pop()].requires:
            required = flags.get(requirement.key)
            accepted = frozenset[str]() if required is None else requirement.accepted(required)
            if required is not None and requirement.key not in needs:
                waiting.append(requirement.key)
            needs[requirement.key] = needs.get(requirement.key, accepted) & accepted
    return needs


def broken_requirements(flags: Mapping[str, "FlagDefinition"], refused: Container[str]) -> dict[str, str]:
    """What stands in the way of each flag that cannot be served among these, by key; `refused` are known to be bad.

    Flags that require one of those are not named until it is gone. Every cycle has a flag in the answer.
    """
    requiring = {key: flag for key, flag in flags.items() if flag.requires}
    broken = {}
    for key, flag in requiring.items():
        reason = next((reason for each in flag.requires if (reason := _wrong(each, flags, refused))), None)
        if reason is not None:
            broken[key] = reason
    return broken or dict(_tangled(requiring))


def _wrong(requirement: Requirement, flags: Mapping[str, "FlagDefinition"], refused: Container[str]) -> str | None:
    required = flags.get(requirement.key)
    if required is None:
        why = "is refused" if requirement.key in refused else "no definition names"
        return f"it requires {requirement.key!r}, which {why}"
    if required.metadata.get("personalized"):
        return f"it requires {requirement.key!r}, which is personalized: what it gives is known only when it is asked"
    unknown = sorted(requirement.variants - set(required.variants))
    if unknown:
        return f"it requires {requirement.key!r} to give {unknown}, of which it has only {sorted(required.variants)}"
    return None


def _tangled(requiring: Mapping[str, "FlagDefinition"]) -> Iterator[tuple[str, str]]:
    """Flags that require themselves, with the whole cycle, and flags that require too many."""
    left = {key: {each.key for each in flag.requires} for key, flag in requiring.items()}
    required: dict[str, frozenset[str]] = {}
    while left:
        free = 0
        for key in [*left]:
            keys = left[key]
            if keys & left.keys():
                continue
            del left[key]
            free += 1
            required[key] = frozenset(keys).union(*(required.get(each, ()) for each in keys))
            if len(required[key]) > MAX_REQUIRED:
                required[key] = frozenset()
                yield key, f"it requires over {MAX_REQUIRED} flags, all levels counted"
        if not free:
            cycle = _cycle(left)
            for key in cycle:
                del left[key]
                yield key, f"it requires itself: {' -> '.join([*cycle, cycle[0]])}"


def _cycle(left: Mapping[str, set[str]]) -> list[str]:
    """One of the cycles, where every flag requires another of these flags."""
    path: dict[str, None] = {}
    key = next(iter(left))
    while key not in path:
        path[key] = None
        key = min(left[key] & left.keys())
    keys = list(path)
    return keys[keys.index(key) :]
