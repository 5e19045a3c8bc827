"""The cache of fragments: what is kept, for how long, and who makes it anew."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import structlog
from cachetools import LRUCache

from personalization.clock import Clock
from personalization.listeners import Listeners
from resolvers.caching.cell import DEAD, Cell
from resolvers.caching.memory import MemoryTier
from resolvers.caching.metrics import CacheMetrics
from resolvers.caching.shared import SharedTier

JITTER: Final = 0.1
"""Lives are shortened by up to this share, so that what was made together does not end together."""

ABSENCE_S: Final = 5.0
"""How long it is remembered that something is not there."""

RENEWALS: Final = 16
"""How many values are made anew at a time; more wait for the next one who is served a stale value."""

MOST_JOINED: Final = 64
"""So many texts are remembered that were put together, 1 MB of them besides what memory is accounted for."""

LONGEST_JOINED: Final = 16_384
"""Longer texts are put together each time."""

_PURGES_KEPT_S: Final = 60.0
"""Longer than anything is in the making."""

_KNOWN_AUDIENCES: Final = 4096

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Life:
    """How long a value may be kept: fresh for `max_age` seconds, then served while it is renewed for `swr` more."""

    max_age: float
    swr: float = 0.0

    def brief(self) -> "Life":
        """The life of an absence."""
        return Life(min(self.max_age, ABSENCE_S))


@dataclass(frozen=True, slots=True)
class Made:
    """A value to be kept: JSON in parts, and between them the cells in its holes.

    `began` is when its making began, and `epoch` what the cache's epoch was then.
    """

    parts: Sequence[bytes]
    holes: Sequence[Cell]
    tags: frozenset[str]
    life: Life
    began: float
    epoch: int


@dataclass(slots=True)
class _Joined:
    """A text that was put together of cells of these fields, when so much had changed of them; None the first time."""

    fields: Sequence[str]
    changes: int
    until: float = DEAD
    text: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Purge:
    """A purge: the epoch that it began, and when."""

    epoch: int
    at: float


class FragmentCache:
    """Kept JSON by key, in memory and, when there is one, in a second tier.

    Everything is decided on one event loop; nothing here waits, save `fetch`, `purge` and `aclose`. `find` gives the
    cell under a key; `peek` does, and does not count as a use. Whether it is still good says its `text`. Each purge
    begins an `epoch`; `lore` is another number whenever something else is known of audiences.
    """

    def __init__(
        self,
        memory: MemoryTier,
        metrics: CacheMetrics,
        clock: Clock,
        *,
        shared: SharedTier | None = None,
        chance: Random | None = None,
    ) -> None:
        self.metrics = metrics
        self.memory = memory
        self.now = clock.monotonic
        self.find = memory.find
        self.peek = memory.peek
        self._shared = shared
        self._chance = chance or Random()  # noqa: S311 - chance spreads expiry, it guards nothing
        self._flights: dict[bytes, asyncio.Future[None]] = {}
        self._renewing: dict[bytes, asyncio.Task[None]] = {}
        self._purging: set[asyncio.Task[None]] = set()
        self.epoch = 0
        self.lore = 0
        self._listeners: Listeners[Callable[[], None]] = Listeners()
        self._purges: dict[str, _Purge] = {}
        self._cleared = _Purge(0, float("-inf"))
        self._joined: dict[Cell, _Joined] = {}
        self._audiences: LRUCache[bytes, tuple[str, ...]] = LRUCache(_KNOWN_AUDIENCES)

    def text(self, cell: Cell, now: float) -> bytes | None:
        """As the cell's own `text`. What was put together twice is remembered until anything of its fields changes."""
        if not cell.holes:
            return cell.text(now)
        known = self._joined.get(cell)
        if known is None or known.changes != self._changes_of(known.fields):
            self._begin_joining(cell)
            return cell.text(now)
        if now < known.until:
            return known.text
        text = cell.text(now)
        if text is not None and len(text) <= LONGEST_JOINED:
            known.until, known.text = cell.good_through(), text
        return text

    async def fetch(self, keys: Sequence[bytes]) -> None:
        """Bring what the second tier has of these keys, and of all in their holes, into memory."""
        if self._shared is not None:
            for made, cell in await self._shared.fetch(keys, self.find, self.now()):
                # What another process began before a purge and kept after it is as old as what was purged.
                if not any(made - cell.cost <= purge.at for purge in self._purges_of(cell.tags)):
                    self.memory.keep(cell)

    @property
    def has_second_tier(self) -> bool:
        """Whether `fetch` can find anything."""
        return self._shared is not None

    def keep(self, key: bytes, field: str, made: Made) -> Cell | None:
        """Keep a value; None when it was purged while it was made, or there is no room for it."""
        now = self.now()
        if any(made.epoch < purge.epoch for purge in self._purges_of(made.tags)):
            self.metrics.bypassed(field, "outrun")
            return None
        age = made.life.max_age * (1.0 - JITTER * self._chance.random())
        cell = self.memory.take(key) or Cell(key, field)
        cell.fill(made.parts, made.holes, made.tags, (now, now + age, now + age + made.life.swr), now - made.began)
        if not self.memory.keep(cell):
            cell.kill()
            self.metrics.bypassed(field, "room")
            return None
        if self._shared is not None:
            self._shared.put(cell, now)
        return cell

    def flight(self, key: bytes) -> "asyncio.Future[None] | None":
        """None: the caller is to make the value, and to `land` whatever comes of it. Otherwise, wait for this."""
        flying = self._flights.get(key)
        if flying is None:
            self._flights[key] = asyncio.get_running_loop().create_future()
        return flying

    def land(self, key: bytes) -> None:
        """Let those go on who wait for the maker of this value, kept or not."""
        flying = self._flights.pop(key, None)
        if flying is not None and not flying.done():
            flying.set_result(None)

    def renew(self, cell: Cell, make: Callable[[], Awaitable[None]]) -> None:
        """Have a stale value made anew in the background, once at a time; `make` is called if that is for us to do."""
        if cell.key in self._renewing or len(self._renewing) >= RENEWALS:
            return
        # In a context of its own: the trace of whoever is served the stale value ends with its answer.
        task = asyncio.create_task(
            self._renew(cell.field, make), name=f"renewal of {cell.field}", context=contextvars.Context()
        )
        self._renewing[cell.key] = task
        task.add_done_callback(lambda _task: self._renewing.pop(cell.key, None))

    async def purge(self, tags: Collection[str]) -> int:
        """Throw out all that carries one of the tags, in both tiers and in the making; how many in memory."""
        purged = self.forget(tags)
        if self._shared is not None:
            await self._shared.forget(tags)
        return purged

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called on the loop with each purge; the answer ends that. It must not raise or block."""
        return self._listeners.add(listener)

    def purge_soon(self, tags: Collection[str]) -> None:
        """As `purge`, in memory at once and in the second tier in the background."""
        self.forget(tags)
        if self._shared is not None:
            task = asyncio.create_task(self._shared.forget(tags), name="purge")
            self._purging.add(task)
            task.add_done_callback(self._purging.discard)

    def forget(self, tags: Iterable[str]) -> int:
        """As `purge`, in memory alone."""
        now = self.now()
        self._begin_epoch()
        self._purges = {tag: purge for tag, purge in self._purges.items() if now - purge.at < _PURGES_KEPT_S}
        purged = 0
        for tag in tags:
            self._purges[tag] = _Purge(self.epoch, now)
            purged += self.memory.forget(tag)
        self.metrics.purged(purged)
        return purged

    async def clear(self) -> int:
        """Throw out everything; how many in memory."""
        self._begin_epoch()
        self._cleared = _Purge(self.epoch, self.now())
        cleared = self.memory.clear()
        self.metrics.purged(cleared)
        if self._shared is not None:
            await self._shared.clear()
        return cleared

    def audience(self, form: bytes) -> tuple[str, ...]:
        """The members of a context that values of this form were seen to depend on, sorted."""
        try:
            return self._audiences[form]
        except KeyError:
            return ()

    def learn(self, form: bytes, read: Iterable[str]) -> None:
        """Note what a making read."""
        known = self.audience(form)
        learned = self._audiences[form] = tuple(sorted({*known, *read}))
        self.lore += learned != known

    def unlearn(self) -> None:
        """Forget what values depend on; it is learned anew with the next ones."""
        self._audiences.clear()
        self.lore += 1

    async def settle(self) -> None:
        """Wait for the renewals under way."""
        await asyncio.gather(*self._renewing.values(), return_exceptions=True)

    async def aclose(self) -> None:
        """Stop renewals, let go of the second tier; safe to call twice."""
        for task in tuple(self._renewing.values()):
            task.cancel()
        await self.settle()
        await asyncio.gather(*self._purging)
        if self._shared is not None:
            await self._shared.aclose()

    async def _renew(self, field: str, make: Callable[[], Awaitable[None]]) -> None:
        try:
            await make()
        except Exception as error:  # the stale value goes on being served until it is no longer good
            self.metrics.renewed(field, "failed")
            _log.warning("cache_renewal_failed", field=field, reason=type(error).__name__)
        else:
            self.metrics.renewed(field, "ok")

    def _begin_joining(self, cell: Cell) -> None:
        if len(self._joined) >= MOST_JOINED:
            del self._joined[next(iter(self._joined))]
        fields = tuple(cell.fields())
        self._joined[cell] = _Joined(fields, self._changes_of(fields))

    def _changes_of(self, fields: Iterable[str]) -> int:
        return sum(map(self.memory.changes.__getitem__, fields))

    def _begin_epoch(self) -> None:
        self.epoch += 1
        for listener in self._listeners:
            listener()

    def _purges_of(self, tags: Collection[str]) -> Iterable[_Purge]:
        """The purges that what carries these tags must not be older than."""
        found = (self._purges.get(tag) for tag in tags) if self._purges else ()
        return (self._cleared, *(purge for purge in found if purge is not None))
