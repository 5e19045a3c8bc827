"""What stands in the hub's file, for those who look after it: how far groups are, and counts of what events say."""

import sqlite3
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from personalization.clock import Clock
from personalization.errors import HubUnavailable
from personalization.hub.sqlite_groups import microseconds

Cell = str | int | float | None

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_PLACES: Final = """
SELECT topic, partition, offset, COALESCE((
    SELECT MIN(offset) FROM events WHERE events.topic = heads.topic AND events.partition = heads.partition
), offset) FROM heads
"""


@dataclass(frozen=True, slots=True)
class Lag:
    """How many events of a topic a group has not done yet; `members` of the group live now."""

    group: str
    topic: str
    behind: int
    members: int


@dataclass(frozen=True, slots=True)
class Question:
    """What is counted of a topic: SQL expressions over `event`, its JSON as text, or NULL where it is none.

    Events are counted by `keys`; those whose first key is NULL are left out. `sums` are summed beside the count.
    """

    topic: str
    keys: tuple[str, ...]
    sums: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of one partition: rows of the keys, the count and the sums; where to go on.

    `cut` says that older events are there which were not counted, because there are too many.
    """

    partition: int
    rows: tuple[tuple[Cell, ...], ...]
    next: int
    cut: bool


@dataclass(frozen=True, slots=True)
class Noted:
    """What the headers of an event say, without what is in it."""

    at: datetime
    reason: str
    model: str
    place: str


class HubSurvey:
    """Reads the file while others use it, and never makes or changes it. Everything here blocks.

    Raises:
        HubUnavailable: there is no such file, or it cannot be read.
    """

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    def lags(self) -> tuple[Lag, ...]:
        """Every group that is there or has ever committed, in the order of groups and topics.

        What retention has dropped is nobody's to do any more.
        """
        with self._opened() as connection:
            connection.execute("BEGIN")  # offsets and heads of one moment
            offsets = connection.execute("SELECT group_name, topic, partition, offset FROM offsets").fetchall()
            members = connection.execute(
                "SELECT group_name, topics FROM members WHERE lease_until_us > ?", (microseconds(self._clock.now()),)
            ).fetchall()
            places = connection.execute(_PLACES).fetchall()
        done = {(group, topic, partition): offset for group, topic, partition, offset in offsets}
        groups = {(group, topic) for group, topic, _, _ in offsets}
        groups |= {(group, topic) for group, topics in members for topic in topics.split()}
        live = Tally(group for group, _ in members)
        return tuple(
            Lag(
                group,
                topic,
                sum(
                    head - max(done.get((group, topic, partition), 0), first)
                    for place, partition, head, first in places
                    if place == topic
                ),
                live[group],
            )
            for group, topic in sorted(groups)
        )

    def count(self, question: Question, since: Mapping[int, int], most: int) -> tuple[Counted, ...]:
        """Count the events from these offsets by partition on, the newest `most` of each partition."""
        with self._opened() as connection:
            connection.execute("BEGIN")  # one state of the file for all partitions
            heads = connection.execute(
                "SELECT partition, offset FROM heads WHERE topic = ? ORDER BY partition", (question.topic,)
            ).fetchall()
            return tuple(_count(connection, question, each, head, since.get(each), most) for each, head in heads)

    def reasons(self, topic: str, most: int) -> Mapping[str, int]:
        """The newest `most` events of a topic, counted by the reason in their headers."""
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT json_extract(CAST(headers AS TEXT), '$.reason'), COUNT(*) FROM ("
                "SELECT headers FROM events WHERE topic = ? ORDER BY seq DESC LIMIT ?) GROUP BY 1 ORDER BY 2 DESC, 1",
                (topic, most),
            ).fetchall()
        return {str(reason): int(count) for reason, count in rows}

    def latest(self, topic: str, most: int) -> tuple[Noted, ...]:
        """What the headers of the newest events say, the newest first."""
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT appended_us, json_extract(CAST(headers AS TEXT), '$.reason'), "
                "json_extract(CAST(headers AS TEXT), '$.model'), json_extract(CAST(headers AS TEXT), '$.from') "
                "FROM events WHERE topic = ? ORDER BY seq DESC LIMIT ?",
                (topic, most),
            ).fetchall()
        return tuple(
            Noted(_EPOCH + timedelta(microseconds=at), str(reason), str(model or ""), str(place or ""))
            for at, reason, model, place in rows
        )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        address = f"{self._file.resolve().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise HubUnavailable(f"the hub's file {self._file.name} cannot be read: {error}") from error


def _count(
    connection: sqlite3.Connection, question: Question, partition: int, head: int, since: int | None, most: int
) -> Counted:
    place = question.topic, partition
    (oldest,) = connection.execute(
        "SELECT COALESCE(MIN(offset), 0) FROM events WHERE topic = ? AND partition = ?", place
    ).fetchone()
    begin = max(since or 0, head - most)
    keys, sums = ", ".join(question.keys), "".join(f", SUM({each})" for each in question.sums)
    rows = connection.execute(
        # The expressions are the program's own; what is asked for is bound.
        f"SELECT {keys}, COUNT(*){sums} FROM (SELECT CASE WHEN json_valid(CAST(value AS TEXT)) "  # noqa: S608
        "THEN CAST(value AS TEXT) END AS event FROM events WHERE topic = ? AND partition = ? AND offset >= ? "
        f"AND offset < ?) GROUP BY {', '.join(str(each + 1) for each in range(len(question.keys)))}",
        (*place, begin, head),
    ).fetchall()
    return Counted(partition, tuple(row for row in rows if row[0] is not None), head, begin > max(since or 0, oldest))
