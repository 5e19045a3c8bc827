"""A hub that lives and dies with its process: the fake that tests of everything above a hub use."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from personalization.clock import Clock
from personalization.errors import GroupMismatch, HubUnavailable, PartitionLost
from personalization.hub.consumer import GroupConsumer, Pace
from personalization.hub.groups import Membership, Ownership, Place, partition_of, read_shares
from personalization.hub.retention import Retention
from personalization.hub.tail import Tail
from personalization.hub.topics import Appended, NewEvent, Reassignment, StoredEvent
from personalization.ids import Ids


class MemoryHub:
    """Everything the SQLite hub promises, but durability. `fail` makes it unavailable, as a full disk would."""

    def __init__(self, clock: Clock, ids: Ids, *, partitions: int = 4, pace: Pace | None = None) -> None:
        self._clock = clock
        self._ids = ids
        self._pace = pace or Pace()
        self._store = _MemoryStore(clock, partitions, self._pace)
        self._log_id = uuid4().hex

    def fail(self, reason: str | None) -> None:
        """From now on everything raises `HubUnavailable` with this reason; None ends it."""
        self._store.broken = reason

    async def append(self, topic: str, events: Sequence[NewEvent]) -> Appended:
        """Write all or nothing; returns after the write is done."""
        return self._store.append(topic, events)

    def consumer(
        self,
        group: str,
        topics: Sequence[str],
        on_assign: Reassignment | None = None,
        on_revoke: Reassignment | None = None,
    ) -> GroupConsumer:
        """A new member of `group`."""
        membership = Membership(group, self._ids(), tuple(sorted(topics)))
        return GroupConsumer(
            self._store, membership, clock=self._clock, pace=self._pace, on_assign=on_assign, on_revoke=on_revoke
        )

    def tail(self, topic: str) -> Tail:
        """A reader of all that is appended to a topic from now on."""
        return Tail(self._store, topic)

    async def prune(self, retention: Retention) -> int:
        """Drop what `retention` no longer keeps; how many events that were."""
        return self._store.prune(self._clock.now() - retention.age, retention.most_events)

    async def log_id(self) -> str:
        """A name for this log; another hub has another."""
        return self._log_id

    async def aclose(self) -> None:
        """Nothing is to be flushed; what was written is still there."""


class _MemoryStore:
    """Logs, groups and offsets in dictionaries; each method runs without giving way, so it is a transaction."""

    def __init__(self, clock: Clock, partitions: int, pace: Pace) -> None:
        self.broken: str | None = None
        self._clock = clock
        self._partitions = partitions
        self._lease = timedelta(seconds=pace.lease)
        self._version = 0
        self._logs: dict[Place, dict[int, StoredEvent]] = {}
        self._heads: dict[Place, int] = {}
        self._ids: set[tuple[str, str]] = set()
        self._members: dict[tuple[str, str], tuple[tuple[str, ...], datetime]] = {}
        self._owners: dict[str, dict[int, str]] = {}
        self._offsets: dict[tuple[str, Place], int] = {}

    def append(self, topic: str, events: Sequence[NewEvent]) -> Appended:
        self._write()
        duplicates: list[str] = []
        for event in events:
            if (topic, event.id) in self._ids:
                duplicates.append(event.id)
            else:
                self._add(topic, event)
        return Appended(len(events) - len(duplicates), tuple(duplicates))

    def _add(self, topic: str, event: NewEvent) -> None:
        place = topic, partition_of(event.key, self._partitions)
        offset = self._heads.get(place, 0)
        self._heads[place] = offset + 1
        self._ids.add((topic, event.id))
        self._logs.setdefault(place, {})[offset] = StoredEvent(*place, offset, self._clock.now(), event)

    def prune(self, before: datetime, most_events: int) -> int:
        self._write()
        dropped = 0
        for place, log in self._logs.items():
            floor = self._heads[place] - most_events // self._partitions
            for offset in [each for each, event in log.items() if event.appended_at < before or each < floor]:
                self._ids.discard((place[0], log.pop(offset).event.id))
                dropped += 1
        return dropped

    async def renew(self, membership: Membership) -> int:
        self._write()
        live = self._live(membership.group)
        others = {self._members[membership.group, each][0] for each in live - {membership.member}}
        if others - {membership.topics}:
            raise GroupMismatch(f"group {membership.group!r} reads {others}, not {membership.topics}")
        lease_until = self._clock.now() + self._lease
        self._members[membership.group, membership.member] = membership.topics, lease_until
        return self._partitions

    async def leave(self, membership: Membership) -> None:
        self._write()
        self._members.pop((membership.group, membership.member), None)
        owners = self._owners.get(membership.group, {})
        self._owners[membership.group] = {each: who for each, who in owners.items() if who != membership.member}

    async def ownership(self, group: str) -> Ownership:
        self._check()
        return Ownership(frozenset(self._live(group)), dict(self._owners.get(group, {})))

    async def claim(self, membership: Membership, partitions: Sequence[int]) -> Mapping[Place, int]:
        self._write()
        owners = self._owners.setdefault(membership.group, {})
        others = self._live(membership.group) - {membership.member}
        taken = [each for each in partitions if owners.get(each) not in others]
        owners.update(dict.fromkeys(taken, membership.member))
        places = [(topic, partition) for topic in membership.topics for partition in taken]
        return {place: self._offsets.get((membership.group, place), 0) for place in places}

    async def release(self, membership: Membership, partitions: Sequence[int]) -> None:
        self._write()
        owners = self._owners.get(membership.group, {})
        for partition in partitions:
            if owners.get(partition) == membership.member:
                del owners[partition]

    async def commit(self, membership: Membership, offsets: Mapping[Place, int]) -> None:
        self._write()
        owners = self._owners.get(membership.group, {})
        for topic, partition in offsets:
            if owners.get(partition) != membership.member:
                raise PartitionLost(f"{topic}/{partition} of group {membership.group!r} is held by another member")
        self._offsets.update({(membership.group, place): offset for place, offset in offsets.items()})

    async def version(self) -> int:
        self._check()
        return self._version

    async def heads(self, topic: str) -> Mapping[Place, int]:
        self._check()
        return {(topic, each): self._heads.get((topic, each), 0) for each in range(self._partitions)}

    async def read(self, positions: Mapping[Place, int], limit: int) -> Sequence[StoredEvent]:
        self._check()
        return read_shares(positions, limit, self._read)

    def _read(self, place: Place, offset: int, most: int) -> Sequence[StoredEvent]:
        log = self._logs.get(place, {})
        first = max(offset, next(iter(log), 0))  # what is kept has no gaps
        return tuple(log[each] for each in range(first, min(first + most, self._heads.get(place, 0))))

    def _live(self, group: str) -> set[str]:
        now = self._clock.now()
        return {who for (name, who), (_, until) in self._members.items() if name == group and until > now}

    def _write(self) -> None:
        self._check()
        self._version += 1

    def _check(self) -> None:
        if self.broken is not None:
            raise HubUnavailable(f"the hub cannot be used: {self.broken}")
