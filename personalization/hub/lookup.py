"""Single events of the hub's file, for those who ask about one: an operator at a terminal, not a consumer."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from personalization.errors import HubUnavailable
from personalization.hub.groups import partition_of
from personalization.hub.sqlite_file import partitions_of


class HubLookup:
    """Reads the file while others use it; never makes or changes it. To find a key reads a whole partition.

    Raises:
        HubUnavailable: there is no such file, or it cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def value(self, topic: str, event_id: str) -> bytes | None:
        """The value of the event with this id; None when the topic has none (any more)."""
        with self._opened() as connection:
            row = connection.execute(
                "SELECT value FROM events WHERE topic = ? AND id = ?", (topic, event_id)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def values_of(self, topic: str, key: str) -> tuple[bytes, ...]:
        """The values of the events with this key, in the order in which they were appended."""
        with self._opened() as connection:
            place = topic, partition_of(key, partitions_of(connection)), key
            rows = connection.execute(
                "SELECT value FROM events WHERE topic = ? AND partition = ? AND key = ? ORDER BY offset", place
            ).fetchall()
        return tuple(bytes(value) for (value,) in rows)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self._file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise HubUnavailable(f"the hub's file {self._file} cannot be read: {error}") from error
