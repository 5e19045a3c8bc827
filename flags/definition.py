"""One flag as its team wrote it, checked and resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from flags.prerequisites import Requirement, parse_requirements

FlagValue = bool | str | int | float | Mapping[str, Any]
MetadataValue = str | int | float | bool


class FlagType(StrEnum):
    """What kind of values the variants of a flag have."""

    BOOLEAN = "BOOLEAN"
    STRING = "STRING"
    NUMBER = "NUMBER"
    OBJECT = "OBJECT"


@dataclass(frozen=True, slots=True)
class FlagDefinition:
    """A flag that may be served.

    `rule` is the targeting as JSON with its `$ref`s resolved; None means that there is none. It stays text until it is
    needed: a set has thousands of rules, and the garbage collector has no text to go through. `metadata` is the file's
    with the flag's own over it. `digest` (64 hex digits) changes with anything in the definition.
    """

    key: str
    file: str
    type: FlagType
    enabled: bool
    variants: Mapping[str, FlagValue]
    default_variant: str | None
    digest: str
    rule: str | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)

    @property
    def targeting(self) -> Mapping[str, Any] | None:
        """The rule as JSONLogic, made anew for each caller."""
        targeting: Mapping[str, Any] | None = None if self.rule is None else orjson.loads(self.rule)
        return targeting

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """The flags without which this one is off."""
        text = self.metadata.get("requires")
        return () if text is None else parse_requirements(text)

    @property
    def component(self) -> str | None:
        """The UI component that this flag switches, if it is a component's."""
        name = self.metadata.get("component")
        return name if isinstance(name, str) else None

    @property
    def placement(self) -> str:
        """Where decisions about this flag stand: `component:<name>` or `flag:<key>`."""
        return f"flag:{self.key}" if self.component is None else f"component:{self.component}"

    @property
    def pages(self) -> tuple[str, ...]:
        """The pages on which that component stands; none means every page."""
        pages = self.metadata.get("page", "")
        return tuple(page.strip() for page in str(pages).split(",") if page.strip())

    @property
    def owner(self) -> str | None:
        """The team that answers for the flag."""
        owner = self.metadata.get("owner")
        return owner if isinstance(owner, str) else None
