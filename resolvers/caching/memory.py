"""The tier in this process: bounded in bytes, least valuable out first, and no field may take it all."""

from collections import defaultdict
from operator import attrgetter
from random import Random
from typing import Final

from cachetools import Cache

from resolvers.caching.cell import Cell
from resolvers.caching.metrics import CacheMetrics

RUN: Final = 64
"""How many entries, one after the other, are looked at to find one to throw out."""

SHARE: Final = 0.6
"""The part of the budget that the entries of one field may take."""

_HALF_SEEN: Final = 16_384

_rank_of = attrgetter("rank")


class MemoryTier:
    """Cells by key, at most `budget` bytes of them.

    What goes out first is what is worth least by GreedyDual-Size-Frequency (Cherkasova 1998): rank = L + uses * cost /
    size, where L is the rank of what went out last; of `RUN` entries, the first of them drawn by chance, the lowest
    goes. What is in the holes of an entry ranks no lower than the entry, which is nothing without it. A full tier takes
    a new key only when it is asked for a second time within a while, so that a flood of keys that are asked for once
    passes by.

    `peek` gives the cell under a key as `find` does, and does not count as a use.
    `changes` of a field is another number whenever one of its cells comes or goes.
    """

    def __init__(self, budget: int, metrics: CacheMetrics, chance: Random | None = None) -> None:
        self._cells = _Ranked(budget, self)
        self._by_key: dict[bytes, Cell] = {}  # the same, found without a call of Python code
        self.peek = self._by_key.get
        self._metrics = metrics
        self._chance = chance or Random()  # noqa: S311 - chance picks what to forget, not secrets
        self._lowest = 0.0
        self._everywhere: list[Cell] = []
        self._by_field: dict[str, list[Cell]] = {}
        self._bytes: dict[str, int] = {}
        self._by_tag: dict[str, set[Cell]] = {}
        self.changes: defaultdict[str, int] = defaultdict(int)
        self._seen: set[int] = set()
        self._seen_before: set[int] = set()

    def __len__(self) -> int:
        return len(self._everywhere)

    @property
    def held(self) -> int:
        """Bytes held."""
        return int(self._cells.currsize)

    def held_by(self, field: str) -> int:
        """Bytes held by the entries of one field."""
        return self._bytes.get(field, 0)

    def find(self, key: bytes) -> Cell | None:
        """The cell under this key, good or not; to ask for it counts as a use."""
        cell = self._by_key.get(key)
        if cell is None:
            return None
        cell.uses += 1
        cell.rank = self._lowest + cell.uses * cell.cost / cell.size  # `_rank`, where each call counts
        if cell.holes and cell.raised != self._lowest:
            self._raise_holes(cell)
        return cell

    def cells(self) -> tuple[Cell, ...]:
        """All cells held."""
        return tuple(self._everywhere)

    def take(self, key: bytes) -> Cell | None:
        """Take the cell of a key out, alive, to be filled anew and kept again: whoever holds it sees the new value."""
        cell = self._by_key.get(key)
        if cell is not None:
            self._drop(cell)
        return cell

    def keep(self, cell: Cell) -> bool:
        """Keep a filled cell, in place of what its key had; False when there is no room for it."""
        known = self._by_key.get(cell.key)
        if known is not None:
            self._drop(known)
        if not self._admits(cell):
            if known is not None:
                known.kill()
            return False
        self._make_room_in(cell.field, cell.size)
        self._cells[cell.key] = cell
        self._index(cell)
        if known is not None and known is not cell:
            known.kill()
        return True

    def forget(self, tag: str) -> int:
        """Throw out all that carries the tag; how many that was."""
        cells = tuple(self._by_tag.get(tag, ()))
        for cell in cells:
            self._drop(cell)
            cell.kill()
        return len(cells)

    def clear(self) -> int:
        """Throw out everything; how much that was."""
        cells = self.cells()
        for cell in cells:
            self._drop(cell)
            cell.kill()
        return len(cells)

    def evict_lowest(self, among: list[Cell] | None = None) -> None:
        """Throw out the least valuable of a few entries, of all or of those given."""
        found = among if among is not None else self._everywhere
        first = int(self._chance.random() * len(found))
        run = found[first : first + RUN]
        lowest = min(run + found[: RUN - len(run)], key=_rank_of)
        self._lowest = max(self._lowest, lowest.rank)
        self._metrics.evicted(lowest.field)
        self._drop(lowest)
        lowest.kill()

    def _admits(self, cell: Cell) -> bool:
        budget = self._cells.maxsize
        if cell.size > budget * SHARE:
            return False
        room = self._cells.currsize + cell.size <= budget
        if room and self._bytes.get(cell.field, 0) + cell.size <= budget * SHARE:
            return True
        mark = hash(cell.key)
        if mark in self._seen or mark in self._seen_before:
            return True
        self._seen.add(mark)
        if len(self._seen) >= _HALF_SEEN:
            self._seen, self._seen_before = set(), self._seen
        return False

    def _make_room_in(self, field: str, size: int) -> None:
        most = self._cells.maxsize * SHARE
        while self._bytes.get(field, 0) + size > most:
            self.evict_lowest(self._by_field[field])

    def _index(self, cell: Cell) -> None:
        self.changes[cell.field] += 1
        self._by_key[cell.key] = cell
        siblings = self._by_field.setdefault(cell.field, [])
        cell.place = (len(self._everywhere), len(siblings))
        self._everywhere.append(cell)
        siblings.append(cell)
        for tag in cell.tags:
            self._by_tag.setdefault(tag, set()).add(cell)
        cell.uses += 1
        cell.rank = self._rank(cell)
        self._raise_holes(cell)
        self._weigh(cell.field, cell.size)

    def _drop(self, cell: Cell) -> None:
        self.changes[cell.field] += 1
        del self._cells[cell.key]
        del self._by_key[cell.key]
        everywhere, among = cell.place
        _close_gap(self._everywhere, everywhere, 0)
        _close_gap(self._by_field[cell.field], among, 1)
        for tag in cell.tags:
            tagged = self._by_tag[tag]
            tagged.discard(cell)
            if not tagged:
                del self._by_tag[tag]
        self._weigh(cell.field, -cell.size)

    def _weigh(self, field: str, change: int) -> None:
        self._bytes[field] = self._bytes.get(field, 0) + change
        self._metrics.holds(field, self._bytes[field], len(self._by_field[field]))

    def _raise_holes(self, cell: Cell) -> None:
        """Rank what is in the holes as high as the cell; done again when something has gone out in between."""
        cell.raised = self._lowest
        for hole in cell.holes:
            hole.rank = max(hole.rank, cell.rank)
            if hole.holes:
                self._raise_holes(hole)

    def _rank(self, cell: Cell) -> float:
        return self._lowest + cell.uses * cell.cost / cell.size


class _Ranked(Cache[bytes, Cell]):
    """cachetools keeps the account of bytes and asks for room; the tier says who has to go."""

    def __init__(self, budget: int, tier: MemoryTier) -> None:
        super().__init__(budget, getsizeof=_size_of)
        self._tier = tier

    def popitem(self) -> tuple[bytes, Cell]:
        """Make room; asked by cachetools until there is enough."""
        self._tier.evict_lowest()
        return b"", Cell(b"", "")


def _close_gap(cells: list[Cell], place: int, which: int) -> None:
    last = cells.pop()
    if place < len(cells):
        cells[place] = last
        last.place = (place, last.place[1]) if which == 0 else (last.place[0], place)


def _size_of(cell: Cell) -> int:
    return cell.size
