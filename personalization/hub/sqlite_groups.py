"""Groups, offsets and reading on the hub's file."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import orjson

from personalization.clock import Clock
from personalization.errors import GroupMismatch, PartitionLost
from personalization.hub.groups import Membership, Ownership, Place, read_shares
from personalization.hub.sqlite_file import partitions_of
from personalization.hub.sqlite_threads import Reader, Writer
from personalization.hub.topics import NewEvent, StoredEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_LIVE = "SELECT member FROM members WHERE group_name = ? AND lease_until_us > ?"


def microseconds(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


class SqliteGroups:
    """What consumers need from the file. Leases end by the wall clock, which all processes of a machine share."""

    def __init__(self, writer: Writer, reader: Reader, clock: Clock, lease: float) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._lease = timedelta(seconds=lease)

    async def renew(self, membership: Membership) -> int:
        """Join the group, or stay in it for another lease; the number of partitions."""
        now = self._clock.now()
        until = microseconds(now + self._lease)
        return await self._writer.run(lambda connection: _renew(connection, membership, microseconds(now), until))

    async def leave(self, membership: Membership) -> None:
        """End the lease and give up every partition."""
        who = membership.group, membership.member

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM members WHERE group_name = ? AND member = ?", who)
            connection.execute("DELETE FROM owners WHERE group_name = ? AND member = ?", who)

        await self._writer.run(work)

    async def ownership(self, group: str) -> Ownership:
        """The group as it is now."""
        now = microseconds(self._clock.now())
        return await self._reader.run(lambda connection: _ownership(connection, group, now))

    async def claim(self, membership: Membership, partitions: Sequence[int]) -> Mapping[Place, int]:
        """Take those partitions that no other live member owns; where the group goes on in each place."""
        now = microseconds(self._clock.now())
        return await self._writer.run(lambda connection: _claim(connection, membership, partitions, now))

    async def release(self, membership: Membership, partitions: Sequence[int]) -> None:
        """Give partitions up."""
        rows = [(membership.group, membership.member, partition) for partition in partitions]
        await self._writer.run(
            lambda connection: connection.executemany(
                "DELETE FROM owners WHERE group_name = ? AND member = ? AND partition = ?", rows
            )
        )

    async def commit(self, membership: Membership, offsets: Mapping[Place, int]) -> None:
        """Set the group's offsets, if this member owns all their partitions."""
        await self._writer.run(lambda connection: _commit(connection, membership, offsets))

    async def version(self) -> int:
        """A number that changes with every commit of another connection, and all writing is done by others."""
        return await self._reader.run(_data_version)

    async def heads(self, topic: str) -> Mapping[Place, int]:
        """The offset of the next event in each partition of a topic."""
        return await self._reader.run(lambda connection: _heads(connection, topic))

    async def read(self, positions: Mapping[Place, int], limit: int) -> Sequence[StoredEvent]:
        """Events from these offsets on, `limit` at most, from every place its share, in the order of the places."""
        places = dict(positions)

        def work(connection: sqlite3.Connection) -> Sequence[StoredEvent]:
            return read_shares(places, limit, lambda place, offset, most: _read(connection, place, offset, most))

        return await self._reader.run(work)


def _heads(connection: sqlite3.Connection, topic: str) -> Mapping[Place, int]:
    found = dict(connection.execute("SELECT partition, offset FROM heads WHERE topic = ?", (topic,)).fetchall())
    return {(topic, each): found.get(each, 0) for each in range(partitions_of(connection))}


def _renew(connection: sqlite3.Connection, membership: Membership, now: int, until: int) -> int:
    topics = " ".join(membership.topics)
    others = connection.execute(
        "SELECT topics FROM members WHERE group_name = ? AND member <> ? AND lease_until_us > ? AND topics <> ?",
        (membership.group, membership.member, now, topics),
    ).fetchone()
    if others is not None:
        raise GroupMismatch(f"group {membership.group!r} reads {others[0]!r}, not {topics!r}")
    connection.execute(
        "INSERT INTO members VALUES (?, ?, ?, ?) "
        "ON CONFLICT (group_name, member) DO UPDATE SET lease_until_us = excluded.lease_until_us",
        (membership.group, membership.member, topics, until),
    )
    return partitions_of(connection)


def _ownership(connection: sqlite3.Connection, group: str, now: int) -> Ownership:
    live = frozenset(member for (member,) in connection.execute(_LIVE, (group, now)))
    owners = connection.execute("SELECT partition, member FROM owners WHERE group_name = ?", (group,))
    return Ownership(live, dict(owners.fetchall()))


def _claim(
    connection: sqlite3.Connection, membership: Membership, partitions: Sequence[int], now: int
) -> Mapping[Place, int]:
    group, member = membership.group, membership.member
    ownership = _ownership(connection, group, now)
    others = ownership.live - {member}
    taken = [each for each in partitions if ownership.owners.get(each) not in others]
    connection.executemany(
        "INSERT OR REPLACE INTO owners VALUES (?, ?, ?)", [(group, partition, member) for partition in taken]
    )
    connection.execute(
        "DELETE FROM members WHERE group_name = ? AND member <> ? AND lease_until_us <= ?", (group, member, now)
    )
    known = connection.execute("SELECT topic, partition, offset FROM offsets WHERE group_name = ?", (group,))
    offsets = {(topic, partition): offset for topic, partition, offset in known}
    return {place: offsets.get(place, 0) for topic in membership.topics for place in ((topic, each) for each in taken)}


def _commit(connection: sqlite3.Connection, membership: Membership, offsets: Mapping[Place, int]) -> None:
    group = membership.group
    mine = {
        partition
        for (partition,) in connection.execute(
            "SELECT partition FROM owners WHERE group_name = ? AND member = ?", (group, membership.member)
        )
    }
    for topic, partition in offsets:
        if partition not in mine:
            raise PartitionLost(f"{topic}/{partition} of group {group!r} is held by another member")
    connection.executemany(
        "INSERT OR REPLACE INTO offsets VALUES (?, ?, ?, ?)",
        [(group, topic, partition, offset) for (topic, partition), offset in offsets.items()],
    )


def _data_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _read(connection: sqlite3.Connection, place: Place, offset: int, most: int) -> Sequence[StoredEvent]:
    rows = connection.execute(
        "SELECT offset, appended_us, id, key, value, headers FROM events "
        "WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?",
        (*place, offset, most),
    )
    return [
        StoredEvent(*place, at, _EPOCH + appended * _MICROSECOND, NewEvent(event_id, key, value, _headers(headers)))
        for at, appended, event_id, key, value, headers in rows
    ]


def _headers(stored: bytes | None) -> Mapping[str, str]:
    headers: dict[str, str] = {} if stored is None else orjson.loads(stored)
    return headers
