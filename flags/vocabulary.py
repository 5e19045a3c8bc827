"""The words that rules may use about a subject, so that a misspelt one is refused and not silently false."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from personalization.events import Device, Persona, Season

ATTRIBUTES = frozenset(
    {"targetingKey", "segment", "persona", "region", "season", "device", "role", "appVersion", "category"}
)


def _known_values() -> Mapping[str, frozenset[str]]:
    return MappingProxyType(
        {
            "persona": frozenset(Persona),
            "season": frozenset(Season),
            "device": frozenset(Device),
        }
    )


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Attributes that rules may read, and the values that some of them can have.

    An attribute without an entry in `values` may be compared with anything.
    """

    attributes: frozenset[str] = ATTRIBUTES
    values: Mapping[str, frozenset[str]] = field(default_factory=_known_values)

    def with_segments(self, segments: Iterable[str]) -> "Vocabulary":
        """The same words, with these segments the only ones known; without any, nothing is known about them."""
        known = frozenset(segments)
        return Vocabulary(self.attributes, MappingProxyType({**self.values, "segment": known})) if known else self
