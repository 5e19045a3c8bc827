"""Who reads what in a group: the rules as pure functions, and what a store must keep for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from personalization.hub.topics import StoredEvent

Place = tuple[str, int]
"""A topic and one of its partitions."""


def partition_of(key: str, partitions: int) -> int:
    """Where events of this key go, always, in every topic: what belongs together is read by one member."""
    return spread_of(key) % partitions


def spread_of(key: str) -> int:
    """What `partition_of` divides."""
    return crc32(key.encode())


@dataclass(frozen=True, slots=True)
class Ownership:
    """A group as a store has it: members whose lease holds, and the last owner of each partition number.

    A partition number stands for that partition of all topics of the group.
    """

    live: frozenset[str]
    owners: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Shift:
    """What a member does next: partitions it gives up, partitions it may take."""

    release: tuple[int, ...]
    claim: tuple[int, ...]


def shift_of(member: str, ownership: Ownership, partitions: int) -> Shift:
    """The next step of a member towards even shares among the live ones and itself.

    Shares differ by at most one; a member keeps what it has up to its share, and takes only what nobody live owns.
    When each member takes its steps, in any order, all partitions end up owned and none changes hands any more.
    """
    live = sorted(ownership.live | {member})
    share = partitions // len(live) + (live.index(member) < partitions % len(live))
    mine = sorted(each for each, owner in ownership.owners.items() if owner == member)
    free = [each for each in range(partitions) if ownership.owners.get(each) not in ownership.live]
    return Shift(tuple(mine[share:]), tuple(free[: max(0, share - len(mine))]))


@dataclass(frozen=True, slots=True)
class Membership:
    """A member of a group over topics (sorted)."""

    group: str
    member: str
    topics: tuple[str, ...]


class GroupStore(Protocol):
    """What a consumer needs from the store behind a hub. All of it may raise `HubUnavailable`."""

    async def renew(self, membership: Membership) -> int:
        """Join the group, or stay in it for another lease; the number of partitions.

        Raises:
            GroupMismatch: a live member of the group reads other topics.
        """
        ...

    async def leave(self, membership: Membership) -> None:
        """End the lease and give up every partition."""
        ...

    async def ownership(self, group: str) -> Ownership:
        """The group as it is now."""
        ...

    async def claim(self, membership: Membership, partitions: Sequence[int]) -> Mapping[Place, int]:
        """Take those partitions that no other live member owns; where the group goes on in each place."""
        ...

    async def release(self, membership: Membership, partitions: Sequence[int]) -> None:
        """Give partitions up."""
        ...

    async def commit(self, membership: Membership, offsets: Mapping[Place, int]) -> None:
        """Set the group's offsets, if this member owns all their partitions.

        Raises:
            PartitionLost: it does not; nothing was set.
        """
        ...

    async def version(self) -> int:
        """A number that changes with every write to the store; cheap."""
        ...

    async def read(self, positions: Mapping[Place, int], limit: int) -> Sequence[StoredEvent]:
        """Events from these offsets on, `limit` at most, from every place its share, in the order of the places."""
        ...


def shares(places: int, limit: int) -> int:
    """How many events of one place a batch of `limit` may hold, so that no place waits for another's backlog."""
    return max(1, -(-limit // places))


def read_shares(
    positions: Mapping[Place, int], limit: int, read: Callable[[Place, int, int], Sequence[StoredEvent]]
) -> tuple[StoredEvent, ...]:
    """The batch of `GroupStore.read`, from a store's way to read one place from an offset, so many at most."""
    events: list[StoredEvent] = []
    for place, offset in positions.items():
        most = min(shares(len(positions), limit), limit - len(events))
        if most > 0:
            events.extend(read(place, offset, most))
    return tuple(events)
