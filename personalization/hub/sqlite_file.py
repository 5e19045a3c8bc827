"""The hub's file: its tables, and how it is opened."""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from personalization.errors import HubUnavailable

HUB_FILE = "hub.sqlite3"
"""Name of the file in the data folder."""

_SCHEMA_VERSION = 1
_SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        id TEXT NOT NULL,
        key TEXT NOT NULL,
        appended_us INTEGER NOT NULL,
        headers BLOB,
        value BLOB NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX events_place ON events (topic, partition, offset)",
    "CREATE UNIQUE INDEX events_id ON events (topic, id)",
    """CREATE TABLE heads (
        topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE members (
        group_name TEXT NOT NULL, member TEXT NOT NULL, topics TEXT NOT NULL, lease_until_us INTEGER NOT NULL,
        PRIMARY KEY (group_name, member)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE owners (
        group_name TEXT NOT NULL, partition INTEGER NOT NULL, member TEXT NOT NULL,
        PRIMARY KEY (group_name, partition)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE offsets (
        group_name TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
        PRIMARY KEY (group_name, topic, partition)
    ) STRICT, WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class HubFile:
    """Where the hub is kept and within which bounds.

    `partitions` holds for a new file; one that is there keeps its own number. `busy` is the longest (in seconds) to
    wait for another process's write, `waiting` the most writes that wait in this process, `max_bytes` the size from
    which on nothing more is written.
    """

    path: Path
    partitions: int = 4
    busy: float = 2.0
    waiting: int = 20_000
    max_bytes: int | None = None

    def open(self) -> sqlite3.Connection:
        """A connection for one thread, in autocommit mode; the file, its folder and tables are made when missing.

        A commit returns after an fsync of the log (`synchronous=FULL`): it survives kill -9 and loss of power.

        Raises:
            sqlite3.Error, OSError: it cannot be opened.
            HubUnavailable: a newer version of this project wrote the file.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=self.busy, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has to come before the first table
        self._log_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
        if self.max_bytes is not None:
            (page_size,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA max_page_count = {self.max_bytes // page_size}")
        if _version(connection) != _SCHEMA_VERSION:
            self._create(connection)

    def _log_ahead(self, connection: sqlite3.Connection) -> None:
        """Switch to the write-ahead log; while two processes do, SQLite says `locked` without waiting."""
        until = time.monotonic() + self.busy
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.005)
            else:
                return

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        version = _version(connection)
        if version > _SCHEMA_VERSION:
            raise HubUnavailable(f"{self.path.name} has schema version {version}, this program knows {_SCHEMA_VERSION}")
        if version == 0:  # otherwise another process was first
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('partitions', ?)", (self.partitions,))
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        connection.execute("COMMIT")


def partitions_of(connection: sqlite3.Connection) -> int:
    """The number of partitions that the file was made with."""
    (partitions,) = connection.execute("SELECT value FROM meta WHERE name = 'partitions'").fetchone()
    return int(partitions)


def log_id_of(connection: sqlite3.Connection) -> str:
    """The name of the log in the file, 16 hexadecimal digits, given at the first time it is asked for.

    Call it inside a write transaction.
    """
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('log_id', random())")
    (number,) = connection.execute("SELECT value FROM meta WHERE name = 'log_id'").fetchone()
    return f"{number % 2**64:016x}"


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
