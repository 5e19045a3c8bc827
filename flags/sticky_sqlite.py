"""Remembered decisions in a SQLite file, shared by all workers of a machine, and kept over restarts."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from flags.errors import StickyUnavailable
from flags.sticky import STICKY, Keep, MemoryStickyDecisions
from personalization.clock import Clock
from personalization.codec import decode_decision, encode_event
from personalization.errors import InvalidEvent
from personalization.events import Decision
from personalization.file_lock import alone

T = TypeVar("T")

_BUSY_S = 2.0
_PRUNE_EVERY = timedelta(minutes=1)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sticky (
    key TEXT PRIMARY KEY, decision_id TEXT NOT NULL, until_us INTEGER NOT NULL, decision BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sticky_until ON sticky (until_us);
"""
_KEEP = """
INSERT INTO sticky VALUES (:key, :id, :until, :decision)
ON CONFLICT (key) DO UPDATE SET decision_id = :id, until_us = :until, decision = :decision
WHERE until_us <= :now OR decision_id = :instead_of
"""
_READ = "SELECT decision FROM sticky WHERE key = ? AND until_us > ?"


class SqliteStickyDecisions:
    """One thread and one connection; what this process has seen it knows without asking the file again.

    A decision that another process replaced is known here as the old one until it is asked for something that the
    old one does not fit. A crash of the machine may cost the last ones: they are decided again.
    """

    def __init__(self, path: Path, clock: Clock, lasts: timedelta = STICKY) -> None:
        self._path = path
        self._clock = clock
        self._lasts = lasts
        self._memory = MemoryStickyDecisions(clock, lasts)
        self.at_hand = self._memory.at_hand
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sticky decisions")
        self._connection: sqlite3.Connection | None = None
        self._pruned = 0
        self._closed = False

    async def remembered(self, keys: Sequence[str]) -> list[Decision | None]:
        """The decisions under these keys.

        Raises:
            StickyUnavailable: the file cannot be read.
        """
        found = await self._run(lambda connection: self._read(connection, keys))
        for key, decision in zip(keys, found, strict=True):
            if decision is not None:
                self._memory.learn(key, decision)
        return found

    async def remember(self, keeps: Sequence[Keep]) -> list[Decision]:
        """Keep these decisions in one transaction, or learn which was there first.

        Raises:
            StickyUnavailable: the file cannot be written; nothing was kept.
        """
        holding = await self._run(lambda connection: self._keep(connection, keeps))
        for keep, decision in zip(keeps, holding, strict=True):
            self._memory.learn(keep.key, decision)
        return holding

    async def forget(self, keys: Sequence[str]) -> None:
        """Keep nothing under these keys.

        Raises:
            StickyUnavailable: the file cannot be written.
        """
        await self._memory.forget(keys)
        rows = [(key,) for key in keys]
        await self._run(lambda connection: connection.executemany("DELETE FROM sticky WHERE key = ?", rows))

    async def aclose(self) -> None:
        """Close the file and end the thread. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._pool.submit(self._drop)
        await asyncio.to_thread(self._pool.shutdown)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise StickyUnavailable("the remembered decisions are closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._work, work)

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._open()
            return work(self._connection)
        except (sqlite3.Error, OSError, InvalidEvent) as error:
            self._drop()  # rolls back what was begun
            raise StickyUnavailable(f"the remembered decisions in {self._path.name} cannot be used: {error}") from error

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        try:
            with alone(self._path.with_suffix(".lock")):  # SQLite refuses at once where two switch a new file to WAL
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _read(self, connection: sqlite3.Connection, keys: Sequence[str]) -> list[Decision | None]:
        now = self._now()
        rows = (connection.execute(_READ, (key, now)).fetchone() for key in keys)
        return [None if row is None else decode_decision(row[0]) for row in rows]

    def _keep(self, connection: sqlite3.Connection, keeps: Sequence[Keep]) -> list[Decision]:
        now = self._now()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_KEEP, [self._row(keep, now) for keep in keeps])
        if now - self._pruned > _PRUNE_EVERY / timedelta(microseconds=1):
            connection.execute("DELETE FROM sticky WHERE until_us <= ?", (now,))
            self._pruned = now
        found = self._read(connection, [keep.key for keep in keeps])
        connection.execute("COMMIT")
        return [there or keep.decision for there, keep in zip(found, keeps, strict=True)]

    def _row(self, keep: Keep, now: int) -> dict[str, object]:
        return {
            "key": keep.key,
            "id": keep.decision.id,
            "until": now + int(self._lasts / timedelta(microseconds=1)),
            "decision": encode_event(keep.decision),
            "instead_of": keep.instead_of,
            "now": now,
        }

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000)
