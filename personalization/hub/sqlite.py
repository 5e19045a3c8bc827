"""The hub of one machine: an SQLite file that several processes append to and read from."""

import asyncio
import sqlite3
from collections.abc import Sequence
from itertools import chain

import orjson

from personalization.clock import Clock
from personalization.errors import InvalidEvent
from personalization.hub.consumer import GroupConsumer, Pace
from personalization.hub.groups import Membership, spread_of
from personalization.hub.retention import Retention
from personalization.hub.sqlite_file import HubFile, log_id_of, partitions_of
from personalization.hub.sqlite_groups import SqliteGroups, microseconds
from personalization.hub.sqlite_threads import Reader, Writer
from personalization.hub.tail import Tail
from personalization.hub.topics import Appended, NewEvent, Reassignment
from personalization.ids import Ids
from personalization.json_each import dumps_each

_INSERT = "INSERT INTO events (topic, appended_us, partition, offset, id, key, headers, value) VALUES"
_PLACES = ", (?1, ?2, ?, ?, ?, ?, ?, ?)"  # each `?` is the one after the last: topic and time are given once
_INSERTED_TOGETHER = 256
_MADE_TOGETHER = 100

# Made on the event loop: whatever Python a thread runs, all requests of that moment wait for.
_Row = tuple[int, str, str, bytes | None, bytes]
_NUL = r"\u0000"
_PRUNED_TOGETHER = 2_000
_GIVEN_BACK_TOGETHER = 10_000


class SqliteHub:
    """A hub in one file; each process has its own `SqliteHub` on it, made after the fork.

    Nothing touches the file before the first use. What `append` acknowledged survives kill -9 and loss of power:
    every transaction ends with an fsync, and appends that wait at the same time share one. Offsets are given out inside
    the write transaction, of which the file allows one at a time, so they appear in order and without gaps.
    """

    def __init__(self, file: HubFile, clock: Clock, ids: Ids, *, pace: Pace | None = None) -> None:
        self._clock = clock
        self._ids = ids
        self._pace = pace or Pace()
        self._writer = Writer(file)
        self._reader = Reader(file)
        self._groups = SqliteGroups(self._writer, self._reader, clock, self._pace.lease)

    async def append(self, topic: str, events: Sequence[NewEvent]) -> Appended:
        """Write all or nothing; returns after the write is durable.

        Raises:
            HubUnavailable: the file cannot be written, or is full.
            InvalidEvent: a text in an event is not valid Unicode.
        """
        rows: list[_Row] = []
        for begin in range(0, len(events), _MADE_TOGETHER):
            rows += _rows(events[begin : begin + _MADE_TOGETHER])
            if len(rows) < len(events):
                await asyncio.sleep(0)
        return await self._writer.run(
            lambda connection: _append(connection, topic, rows, microseconds(self._clock.now()))
        )

    def consumer(
        self,
        group: str,
        topics: Sequence[str],
        on_assign: Reassignment | None = None,
        on_revoke: Reassignment | None = None,
    ) -> GroupConsumer:
        """A new member of `group`; see `GroupConsumer` for when the callbacks are told what."""
        membership = Membership(group, self._ids(), tuple(sorted(topics)))
        return GroupConsumer(
            self._groups, membership, clock=self._clock, pace=self._pace, on_assign=on_assign, on_revoke=on_revoke
        )

    def tail(self, topic: str) -> Tail:
        """A reader of all that is appended to a topic from now on."""
        return Tail(self._groups, topic)

    async def prune(self, retention: Retention) -> int:
        """Drop what `retention` no longer keeps, in short transactions; how many events that were.

        Raises:
            HubUnavailable: the file cannot be written; what was dropped before stays dropped.
        """
        before = microseconds(self._clock.now() - retention.age)
        dropped = 0
        for topic, partition, head in await self._reader.run(_heads):
            floor = head - retention.most_events // await self._reader.run(partitions_of)
            dropped += await self._prune(topic, partition, floor, before)
        return dropped

    async def log_id(self) -> str:
        """A name for the log in this file; one that is made anew has another.

        Raises:
            HubUnavailable: the file cannot be read or written.
        """
        return await self._writer.run(log_id_of)

    async def aclose(self) -> None:
        """Commit what waits and close the file; safe to call twice."""
        await self._writer.aclose()
        await self._reader.aclose()

    async def _prune(self, topic: str, partition: int, floor: int, before: int) -> int:
        dropped = 0
        while True:
            step = await self._writer.run(lambda connection: _prune_some(connection, (topic, partition), floor, before))
            dropped += step
            if step < _PRUNED_TOGETHER:
                return dropped


def _rows(events: Sequence[NewEvent]) -> list[_Row]:
    try:
        spreads = [spread_of(event.key) for event in events]
        headers = dumps_each([event.headers for event in events])
    except (UnicodeEncodeError, TypeError) as error:
        raise InvalidEvent(f"an event's key or headers cannot be stored: {error}") from error
    return [
        (spread, event.id, event.key, header if event.headers else None, event.value)
        for spread, header, event in zip(spreads, headers, events, strict=True)
    ]


def _append(connection: sqlite3.Connection, topic: str, rows: Sequence[_Row], now: int) -> Appended:
    fresh, duplicates = _sorted_out(connection, topic, rows)
    if fresh:
        _insert(connection, topic, fresh, now)
    return Appended(len(fresh), tuple(duplicates))


def _insert(connection: sqlite3.Connection, topic: str, fresh: Sequence[_Row], now: int) -> None:
    partitions = partitions_of(connection)
    heads: dict[int, int] = dict(
        connection.execute("SELECT partition, offset FROM heads WHERE topic = ?", (topic,)).fetchall()
    )
    placed: list[tuple[object, ...]] = []
    for spread, event_id, key, headers, value in fresh:
        partition = spread % partitions
        offset = heads.get(partition, 0)
        heads[partition] = offset + 1
        placed.append((partition, offset, event_id, key, headers, value))
    _insert_rows(connection, (topic, now), placed)
    connection.executemany(
        "INSERT OR REPLACE INTO heads VALUES (?, ?, ?)",
        [(topic, partition, offset) for partition, offset in heads.items()],
    )


def _insert_rows(connection: sqlite3.Connection, common: tuple[str, int], rows: Sequence[tuple[object, ...]]) -> None:
    """Insert events, up to 256 a statement, by powers of two so that few statements are ever prepared.

    `sqlite3` lets go of the interpreter for each statement and has to get it back, which takes a millisecond where an
    event loop is busy: with `executemany`, a statement a row, the journal of such a process falls behind.
    """
    done = 0
    while done < len(rows):
        some = min(_INSERTED_TOGETHER, 1 << (len(rows) - done).bit_length() - 1)
        places = (_PLACES * some).removeprefix(",")
        connection.execute(_INSERT + places, (*common, *chain.from_iterable(rows[done : done + some])))
        done += some


def _sorted_out(connection: sqlite3.Connection, topic: str, rows: Sequence[_Row]) -> tuple[Sequence[_Row], list[str]]:
    """The events that are new, the first of each id, and the ids of the others."""
    named = [row[1] for row in rows]
    try:
        ids = orjson.dumps(named).decode()
    except TypeError as error:
        raise InvalidEvent(f"an event's id cannot be stored: {error}") from error
    seen = _known(connection, topic, named, ids)
    if not seen and len(set(named)) == len(named):
        return rows, []
    fresh: list[_Row] = []
    duplicates: list[str] = []
    for row in rows:
        if row[1] in seen:
            duplicates.append(row[1])
        else:
            seen.add(row[1])
            fresh.append(row)
    return fresh, duplicates


def _known(connection: sqlite3.Connection, topic: str, ids: Sequence[str], as_json: str) -> set[str]:
    """Those of the ids that the topic has."""
    if _NUL in as_json:  # SQLite ends a text of JSON there
        asked = "SELECT 1 FROM events WHERE topic = ? AND id = ?"
        return {each for each in ids if connection.execute(asked, (topic, each)).fetchone()}
    found = connection.execute(
        "SELECT id FROM events WHERE topic = ? AND id IN (SELECT value FROM json_each(?))", (topic, as_json)
    )
    return {event_id for (event_id,) in found}


def _heads(connection: sqlite3.Connection) -> list[tuple[str, int, int]]:
    return connection.execute("SELECT topic, partition, offset FROM heads").fetchall()


def _prune_some(connection: sqlite3.Connection, place: tuple[str, int], floor: int, before: int) -> int:
    """Drop at most 2,000 of the oldest events of a place; fewer means that no more are to be dropped."""
    dropped = connection.execute(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM ("
        "SELECT seq, offset, appended_us FROM events WHERE topic = ? AND partition = ? ORDER BY offset LIMIT ?"
        ") WHERE offset < ? OR appended_us < ?)",
        (*place, _PRUNED_TOGETHER, floor, before),
    ).rowcount
    _give_back(connection)
    return dropped


def _give_back(connection: sqlite3.Connection) -> None:
    """Shorten the file by its free pages, at most 10,000 of them, so that writers do not wait for long.

    One a statement: `sqlite3` takes a single step of one without columns, and this one frees a page in each.
    """
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    for _ in range(min(free, _GIVEN_BACK_TOGETHER)):
        connection.execute("PRAGMA incremental_vacuum(1)")
