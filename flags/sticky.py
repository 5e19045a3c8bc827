"""Decisions that are remembered, so that a page looks the same for as long as a session lasts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Protocol

from cachetools import LRUCache

from personalization.clock import Clock
from personalization.events import Decision

STICKY = timedelta(minutes=30)
"""How long a decision is kept to unless a setting says otherwise: as long as a browsing session lasts when idle."""

_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Keep:
    """A decision to remember under a key, in place of the one with the id `instead_of`, if that is what is there."""

    key: str
    decision: Decision
    instead_of: str | None = None


class StickyDecisions(Protocol):
    """What was decided for whom, for as long as it holds. Of several that decide at once the first wins for all."""

    def at_hand(self, keys: Sequence[str]) -> list[Decision | None]:
        """What is known of these keys without waiting; None does not say that there is nothing."""
        ...

    async def remembered(self, keys: Sequence[str]) -> list[Decision | None]:
        """The decisions under these keys, None where there is none.

        Raises:
            StickyUnavailable: the store cannot be read.
        """
        ...

    async def remember(self, keeps: Sequence[Keep]) -> list[Decision]:
        """Keep these decisions; gives those that hold now: another one where it was there first.

        Raises:
            StickyUnavailable: the store cannot be written; nothing was kept.
        """
        ...

    async def forget(self, keys: Sequence[str]) -> None:
        """Keep nothing under these keys.

        Raises:
            StickyUnavailable: the store cannot be written.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the store. Safe to call twice."""
        ...


def sticky_key(flag: str, session: str | None, subject: str) -> str:
    """The key of a flag for a subject in a session, from which neither can be told."""
    return blake2b(f"{flag}\0{session or ''}\0{subject}".encode(), digest_size=16).hexdigest()


class MemoryStickyDecisions:
    """Remembers in this process, the `most` last used ones."""

    def __init__(self, clock: Clock, lasts: timedelta = STICKY, most: int = _MOST) -> None:
        self._clock = clock
        self._lasts = lasts
        self._known: LRUCache[str, Decision] = LRUCache(most)

    def at_hand(self, keys: Sequence[str]) -> list[Decision | None]:
        """What is known of these keys."""
        oldest = self._clock.now() - self._lasts
        known, found = self._known, list[Decision | None]()
        for key in keys:
            try:  # half of what `get` of cachetools takes
                each = known[key]
            except KeyError:
                each = None
            found.append(each if each is not None and each.at > oldest else None)
        return found

    async def remembered(self, keys: Sequence[str]) -> list[Decision | None]:
        """The decisions under these keys; never fails."""
        return self.at_hand(keys)

    async def remember(self, keeps: Sequence[Keep]) -> list[Decision]:
        """Keep these decisions, or learn which was there first; never fails."""
        return [self._first(keep) for keep in keeps]

    async def forget(self, keys: Sequence[str]) -> None:
        """Keep nothing under these keys; never fails."""
        for key in keys:
            self._known.pop(key, None)

    def learn(self, key: str, decision: Decision) -> None:
        """Know of a decision that is kept elsewhere."""
        self._known[key] = decision

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _first(self, keep: Keep) -> Decision:
        (there,) = self.at_hand([keep.key])
        if there is not None and there.id != keep.instead_of:
            return there
        self._known[keep.key] = keep.decision
        return keep.decision
