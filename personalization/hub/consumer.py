"""One member of a group, over any store that keeps groups."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from personalization.clock import Clock
from personalization.errors import GroupMismatch, HubUnavailable
from personalization.hub.groups import GroupStore, Membership, Ownership, Place, shift_of
from personalization.hub.topics import Reassignment, StoredEvent

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a consumer does what, in seconds: a member whose lease ran out has lost its partitions.

    `lease` is renewed three times while it lasts; `interval` lies between two looks for new events.
    """

    lease: float = 10.0
    interval: float = 0.01


class GroupConsumer:
    """Reads its share of the group's partitions; partitions change hands only inside `poll_batch` and on leaving.

    A partition number goes to one member for all topics of the group, so what has one key is read by one member.
    `on_revoke` is told before a partition is given up, while offsets can still be committed, and also of one that
    was lost because the lease ran out, when they cannot. The lease is renewed for as long as the event loop runs,
    polled or not. A group that has committed nothing starts at the oldest event. Leaving calls `on_revoke` too.
    Not for use by several tasks at once.
    """

    def __init__(
        self,
        store: GroupStore,
        membership: Membership,
        *,
        clock: Clock,
        pace: Pace,
        on_assign: Reassignment | None,
        on_revoke: Reassignment | None,
    ) -> None:
        self._store = store
        self._membership = membership
        self._clock = clock
        self._pace = pace
        self._on_assign = on_assign
        self._on_revoke = on_revoke
        self._partitions = 0
        self._positions: dict[Place, int] = {}
        self._seen: int | None = None
        self._looked: datetime | None = None
        self._heart: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "GroupConsumer":
        self._partitions = await self._store.renew(self._membership)
        self._heart = asyncio.create_task(self._beat(), name=f"lease of {self._membership.member}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.wait({self._heart})
        try:
            await self._give_up(self._owned())
        finally:
            with suppress(HubUnavailable):  # then the lease runs out by itself
                await self._store.leave(self._membership)

    async def poll_batch(self, limit: int, wait: float) -> Sequence[StoredEvent]:
        """Up to `limit` events after the last ones polled, in order within a partition.

        Waits at most `wait` seconds for the first; an empty answer means there was none.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while True:
            events = await self._poll(limit)
            left = until - loop.time()
            if events or left <= 0:
                return events
            await asyncio.sleep(min(self._pace.interval, left))

    async def commit(self, offsets: Mapping[Place, int]) -> None:
        """Remember durably, for the group, that everything below these offsets is done.

        Raises:
            PartitionLost: another member holds one of them by now; nothing was remembered.
        """
        await self._store.commit(self._membership, offsets)

    async def _poll(self, limit: int) -> Sequence[StoredEvent]:
        version = await self._store.version()
        if version == self._seen and not self._leases_may_have_ended():
            return ()
        await self._rebalance()
        self._seen = version
        if not self._positions:
            return ()
        events = await self._store.read(self._positions, limit)
        for event in events:
            self._positions[event.topic, event.partition] = event.offset + 1
        if events:
            self._seen = None  # there may be more
            self._rotate()
        return events

    def _leases_may_have_ended(self) -> bool:
        """Whether it is time to look at the group again: a lease ends without a write."""
        return self._looked is None or self._clock.now() - self._looked >= timedelta(seconds=self._pace.lease / 4)

    def _rotate(self) -> None:
        """Let another place come first in the next batch."""
        first = next(iter(self._positions))
        self._positions[first] = self._positions.pop(first)

    async def _rebalance(self) -> None:
        ownership = await self._ownership()
        self._looked = self._clock.now()
        mine = {each for each, owner in ownership.owners.items() if owner == self._membership.member}
        await self._give_up(self._owned() - mine)
        shift = shift_of(self._membership.member, ownership, self._partitions)
        if shift.release:
            await self._give_up(set(shift.release))
            await self._store.release(self._membership, shift.release)
        halfway = mine - self._owned() - set(shift.release)  # claimed by a poll that was cancelled before it knew
        if shift.claim or halfway:
            await self._take((*shift.claim, *sorted(halfway)))

    async def _ownership(self) -> Ownership:
        ownership = await self._store.ownership(self._membership.group)
        if self._membership.member in ownership.live:
            return ownership
        await self._store.renew(self._membership)
        return await self._store.ownership(self._membership.group)

    async def _take(self, partitions: Sequence[int]) -> None:
        positions = await self._store.claim(self._membership, partitions)
        self._positions.update(positions)
        if positions and self._on_assign is not None:
            await self._on_assign(tuple(sorted(positions)))

    async def _give_up(self, partitions: set[int]) -> None:
        places = sorted(place for place in self._positions if place[1] in partitions)
        if places and self._on_revoke is not None:
            await self._on_revoke(tuple(places))
        for place in places:
            del self._positions[place]

    def _owned(self) -> set[int]:
        return {partition for _, partition in self._positions}

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._pace.lease / 3)
            try:
                await self._store.renew(self._membership)
            except (HubUnavailable, GroupMismatch) as error:
                _log.warning("lease_not_renewed", group=self._membership.group, cause=type(error).__name__)
