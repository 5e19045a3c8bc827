"""A kept value: ready-made JSON with holes, and each hole another kept value."""

from collections.abc import Sequence
from sys import getsizeof
from typing import Final

DEAD: Final = float("-inf")
"""The moment from which a cell that was thrown out is good: none."""


class Cell:
    """One kept value under one key. A renewed value takes its predecessor's place, so whoever holds the cell sees it.

    `parts` are bytes of JSON, and between them are the texts of `holes`, of which there is one less. Moments are
    seconds of the cache's clock: fresh before `fresh_until`, good to serve before `stale_until`.
    `cost` is what it took to make, in seconds. `uses`, `rank`, `raised` and `place` are the tier's.
    """

    __slots__ = (
        "_row",
        "_youngest",
        "cost",
        "field",
        "fresh_until",
        "holes",
        "key",
        "made_at",
        "parts",
        "place",
        "raised",
        "rank",
        "size",
        "stale_until",
        "tags",
        "uses",
    )

    def __init__(self, key: bytes, field: str) -> None:
        self.key = key
        self.field = field
        self.parts: tuple[bytes, ...] = (b"",)
        self.holes: tuple[Cell, ...] = ()
        self.tags: frozenset[str] = frozenset()
        self.made_at = 0.0
        self.fresh_until = self.stale_until = DEAD
        self.cost = 0.0
        self.size = 0
        self.uses = 0
        self.rank = self.raised = 0.0
        self.place = (0, 0)
        self._row: list[bytes] = []
        self._youngest = DEAD

    def fill(
        self,
        parts: Sequence[bytes],
        holes: Sequence["Cell"],
        tags: frozenset[str],
        moments: tuple[float, float, float],
        cost: float,
    ) -> None:
        """Take a value; `moments` are when it was made, until when it is fresh, and until when it is good."""
        self.parts, self.holes, self.tags, self.cost = tuple(parts), tuple(holes), tags, cost
        self.made_at, self.fresh_until, self.stale_until = moments
        self._youngest = DEAD
        self._row = [each for part in parts for each in (part, b"")][:-1] if holes else []
        self.size = size_of(self)

    def kill(self) -> None:
        """Let go of the value; nobody is served from it any more."""
        self.fresh_until = self.stale_until = DEAD
        self.parts, self.holes, self._row = (b"",), (), []

    def text(self, now: float) -> bytes | None:
        """The JSON, or None when it, or something in it, is no longer good."""
        if now >= self.stale_until:
            return None
        if not self.holes:
            return self.parts[0]
        filled = texts_of(self.holes, now)
        if filled is None:
            return None
        row = self._row
        row[1::2] = filled
        return b"".join(row)

    def is_fresh(self, now: float) -> bool:
        """Whether it and all in it are fresh."""
        if now >= self._youngest:
            self._youngest = min((self.fresh_until, *(hole.fresh_through() for hole in self.holes)))
        return now < self._youngest

    def fresh_through(self) -> float:
        """Until when it and all in it are fresh."""
        return (
            min((self.fresh_until, *(hole.fresh_through() for hole in self.holes))) if self.holes else self.fresh_until
        )

    def good_through(self) -> float:
        """Until when it and all in it may be served."""
        return min((self.stale_until, *(hole.good_through() for hole in self.holes)))

    def fields(self) -> set[str]:
        """Its field, and those of all in it."""
        return {self.field}.union(*(hole.fields() if hole.holes else (hole.field,) for hole in self.holes))

    def oldest(self) -> float:
        """When the oldest part of it was made."""
        return min((self.made_at, *(hole.oldest() for hole in self.holes))) if self.holes else self.made_at


def texts_of(cells: Sequence[Cell], now: float) -> Sequence[bytes] | None:
    """The JSON of each of these cells; None unless all of them are good."""
    texts = [cell.text(now) if cell.holes else cell.parts[0] for cell in cells if now < cell.stale_until]
    return texts if len(texts) == len(cells) and None not in texts else None  # type: ignore[return-value]


def size_of(cell: Cell) -> int:
    """The bytes a cell takes: its own, its key's, its text's and its tags', not those of the cells in its holes."""
    held = getsizeof(cell) + getsizeof(cell.key) + getsizeof(cell.parts) + sum(map(getsizeof, cell.parts))
    if cell.holes:
        held += getsizeof(cell.holes) + 8 * 2 * len(cell.parts) + 56
    return held + getsizeof(cell.tags) + sum(getsizeof(tag) + _TAG_ENTRY for tag in cell.tags) + _ENTRY


_ENTRY: Final = 400
"""Bytes that the dictionaries and lists of the tier take for an entry, its numbers included (measured)."""

_TAG_ENTRY: Final = 300
"""Bytes that the index takes for one tag of an entry (measured)."""
