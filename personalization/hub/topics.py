"""The hub: an ordered, durable stream of events in topics, read by groups that remember how far they came."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

DECISIONS = "decisions"
OUTCOMES = "outcomes"
JOINED = "joined"
EXPOSURES = "exposures"
EXPOSURE_EVENTS = "exposure_events"
PURGES = "purges"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What is appended: `key` orders events of one entity and says, with the topic, which event is a duplicate's.

    `id` is the idempotency key: within a topic, appending an id that is there already writes nothing.
    `headers` carry `traceparent`.
    """

    id: str
    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """What is read back: the event, where it stands, and when it was taken in (UTC)."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime
    event: NewEvent


@dataclass(frozen=True, slots=True)
class Appended:
    """The answer to an append, given only once it is durable: how many were new, which ids were duplicates."""

    written: int
    duplicates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class News:
    """What was appended since the last look, in order within a partition.

    `whole` is False when something is missing before or among these: it was dropped, there was too much of it, or
    the hub was away.
    """

    events: Sequence[StoredEvent]
    whole: bool = True


Reassignment = Callable[[Sequence[tuple[str, int]]], Awaitable[None]]


class Consumer(Protocol):
    """One member of a group over some topics. Use it as an async context manager: leaving it leaves the group."""

    async def poll_batch(self, limit: int, wait: float) -> Sequence[StoredEvent]:
        """Up to `limit` events after the last ones polled, in order within a partition.

        Waits at most `wait` seconds for the first; an empty answer means there was none. A topic's partition that
        this member reads is missing in a batch of fewer than `limit` only when there was nothing of it to read.
        """
        ...

    async def commit(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Remember durably, for the group, that everything below these offsets is done.

        Raises:
            PartitionLost: another member holds one of them by now; nothing was remembered.
        """
        ...

    async def __aenter__(self) -> "Consumer": ...

    async def __aexit__(self, *exc: object) -> None: ...


class Follower(Protocol):
    """Reads what is appended to a topic after `start`, as a member of no group. Not for several tasks at once."""

    async def start(self) -> None:
        """Begin here: what was appended before is not read.

        Raises:
            HubUnavailable: the store cannot be read; `poll` will begin, and say that something may be missing.
        """
        ...

    async def poll(self, wait: float) -> News:
        """What is new; waits at most `wait` seconds for the first.

        Raises:
            HubUnavailable: the store cannot be read. When it can again, the next news are not whole.
        """
        ...


class Hub(Protocol):
    """Where events go in and come out. Implementations: `memory.py` (the fake), `sqlite.py`; Kafka later.

    Raises:
        HubUnavailable: the store behind it cannot be read or written.
    """

    async def append(self, topic: str, events: Sequence[NewEvent]) -> Appended:
        """Write all or nothing; returns after the write is durable."""
        ...

    def consumer(
        self,
        group: str,
        topics: Sequence[str],
        on_assign: Reassignment | None = None,
        on_revoke: Reassignment | None = None,
    ) -> Consumer:
        """A new member of `group`. `on_assign` and `on_revoke` are told the (topic, partition) pairs."""
        ...

    def tail(self, topic: str) -> Follower:
        """A reader of all that is appended to a topic from now on, of no group."""
        ...

    async def log_id(self) -> str:
        """A name for this log, of small letters and digits: offsets mean something only together with it.

        A log that was lost and made anew has another name.
        """
        ...

    async def aclose(self) -> None:
        """Flush and close; safe to call twice."""
        ...
