"""The second tier as the cache uses it: cells there and back, writes gathered, all in the background."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

from personalization.clock import Clock
from resolvers.caching.cell import Cell
from resolvers.caching.tier import Stored, Tier

LINGER_S: Final = 0.005
MOST_WAITING: Final = 5_000
"""How many values wait to be written; more are not written at all."""


class SharedTier:
    """Reads whole values with all that is in their holes; writes behind, in batches."""

    def __init__(self, tier: Tier, clock: Clock) -> None:
        self._tier = tier
        self._clock = clock
        self._waiting: dict[bytes, Stored] = {}
        self._writer: asyncio.Task[None] | None = None

    async def fetch(
        self, keys: Sequence[bytes], find: Callable[[bytes], Cell | None], now: float
    ) -> list[tuple[float, Cell]]:
        """The cells of those keys that are there whole and still good, each after those in its holes, with their age.

        What `find` has of the holes is not read again.
        The number with a cell is when it was made, by the clock of `now`.
        """
        shift = now - self._clock.now().timestamp()
        found: dict[bytes, Stored] = {}
        wanted = list(dict.fromkeys(keys))
        while wanted:
            values = await self._tier.get_many(wanted)
            fresh = {key: value for key, value in zip(wanted, values, strict=True) if value is not None}
            found.update(fresh)
            holes = dict.fromkeys(hole for value in fresh.values() for hole in value.holes)
            wanted = [hole for hole in holes if hole not in found and not _is_good(find(hole), now)]
        made: dict[bytes, Cell | None] = {}
        for key in keys:
            _make(key, found, made, find, shift, now)
        return [(cell.made_at, cell) for cell in made.values() if cell is not None]

    def put(self, cell: Cell, now: float) -> None:
        """Have a value written, soon."""
        if len(self._waiting) >= MOST_WAITING:
            return
        shift = self._clock.now().timestamp() - now
        self._waiting[cell.key] = Stored(
            field=cell.field,
            parts=cell.parts,
            holes=tuple(hole.key for hole in cell.holes),
            tags=cell.tags,
            made_at=cell.made_at + shift,
            fresh_until=cell.fresh_until + shift,
            stale_until=cell.stale_until + shift,
            cost=cell.cost,
        )
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="cache writer")

    async def forget(self, tags: Collection[str]) -> None:
        """Throw out all that carries one of these tags, written or waiting."""
        wanted = frozenset(tags)
        self._waiting = {key: value for key, value in self._waiting.items() if not wanted & value.tags}
        await self._tier.forget(tags)

    async def clear(self) -> None:
        """Throw out everything."""
        self._waiting.clear()
        await self._tier.clear()

    async def flush(self) -> None:
        """Wait until what waits is written."""
        if self._writer is not None:
            await self._writer

    async def aclose(self) -> None:
        """Drop what waits, let go of connections; safe to call twice."""
        if self._writer is not None:
            self._writer.cancel()
            with suppress(asyncio.CancelledError):
                await self._writer
        await self._tier.aclose()

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(LINGER_S)
            batch, self._waiting = self._waiting, {}
            await self._tier.put_many(batch)


def _is_good(cell: Cell | None, now: float) -> bool:
    return cell is not None and cell.text(now) is not None


def _make(
    key: bytes,
    found: dict[bytes, Stored],
    made: dict[bytes, Cell | None],
    find: Callable[[bytes], Cell | None],
    shift: float,
    now: float,
) -> Cell | None:
    """The cell of a key, from what was read or is at hand; None when it, or one of its holes, is not good."""
    if key in made:
        return made[key]
    stored = found.get(key)
    if stored is None:
        known = find(key)
        return known if _is_good(known, now) else None
    holes = [_make(hole, found, made, find, shift, now) for hole in stored.holes]
    whole = [hole for hole in holes if hole is not None]
    cell = None
    if len(whole) == len(holes) and now < stored.stale_until + shift:
        cell = Cell(key, stored.field)
        moments = (stored.made_at + shift, stored.fresh_until + shift, stored.stale_until + shift)
        cell.fill(stored.parts, whole, stored.tags, moments, stored.cost)
    made[key] = cell
    return cell
