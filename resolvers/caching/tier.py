"""What a second tier is: the same values, shared by many processes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """A kept value as it travels: JSON in parts, between them the keys of the values in its holes.

    `made_at`, `fresh_until` and `stale_until` are Unix seconds. `cost` is what it took to make, in seconds.
    """

    field: str
    parts: tuple[bytes, ...]
    holes: tuple[bytes, ...]
    tags: frozenset[str]
    made_at: float
    fresh_until: float
    stale_until: float
    cost: float


class Tier(Protocol):
    """A store of values. It may be slow, away or empty at any time, and then gives nothing; it never raises."""

    async def get_many(self, keys: Sequence[bytes]) -> Sequence[Stored | None]:
        """The values under these keys, in their order, None where there is none."""
        ...

    async def put_many(self, values: Mapping[bytes, Stored]) -> None:
        """Keep values, each until it is no longer good."""
        ...

    async def forget(self, tags: Collection[str]) -> None:
        """Throw out all that carries one of these tags."""
        ...

    async def clear(self) -> None:
        """Throw out everything that this release keeps there."""
        ...

    async def aclose(self) -> None:
        """Let go of connections; safe to call twice."""
        ...
