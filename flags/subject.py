"""Who a flag is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Attribute = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Subject:
    """A targeting key (a pseudonym: customer or visitor id; None for the public default) and attributes.

    Attributes of this project: `segment persona region season device role appVersion category`.
    """

    targeting_key: str | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
