"""Following a topic: whatever is appended from now on reaches everybody who follows, and nobody's place is kept."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from personalization.errors import HubUnavailable
from personalization.hub.groups import Place
from personalization.hub.topics import News, StoredEvent

MOST_BEHIND = 1_000
"""Who is so many events behind is told so, and goes on at the end."""

INTERVAL_S = 0.02
"""Between two looks for new events."""


class TailStore(Protocol):
    """What following needs from the store behind a hub. All of it may raise `HubUnavailable`."""

    async def version(self) -> int:
        """A number that changes with every write to the store; cheap."""
        ...

    async def read(self, positions: Mapping[Place, int], limit: int) -> Sequence[StoredEvent]:
        """Events from these offsets on, `limit` at most."""
        ...

    async def heads(self, topic: str) -> Mapping[Place, int]:
        """The offset of the next event in each partition."""
        ...


class Tail:
    """Reads what is appended to a topic after `start`. Not for use by several tasks at once."""

    def __init__(self, store: TailStore, topic: str) -> None:
        self._store = store
        self._topic = topic
        self._positions: dict[Place, int] = {}
        self._seen: int | None = None
        self._whole = True

    async def start(self) -> None:
        """Begin here: what was appended before is not read.

        Raises:
            HubUnavailable: the store cannot be read; `poll` will begin, and say that something may be missing.
        """
        self._whole = False
        await self._skip()
        self._whole = True

    async def poll(self, wait: float) -> News:
        """What is new; waits at most `wait` seconds for the first.

        Raises:
            HubUnavailable: the store cannot be read. When it can again, the next news are not whole.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while True:
            news = await self._look()
            left = until - loop.time()
            if news.events or not news.whole or left <= 0:
                return news
            await asyncio.sleep(min(INTERVAL_S, left))

    async def _look(self) -> News:
        try:
            if not self._positions:
                await self._skip()
            version = await self._store.version()
            events = () if version == self._seen else await self._read()
            self._seen = version
            if len(events) >= MOST_BEHIND:
                self._whole = False
                await self._skip()
        except HubUnavailable:
            self._positions, self._seen, self._whole = {}, None, False
            raise
        whole = self._take(events) and self._whole
        self._whole = True
        return News(events, whole)

    async def _read(self) -> Sequence[StoredEvent]:
        return await self._store.read(self._positions, MOST_BEHIND * len(self._positions))

    def _take(self, events: Sequence[StoredEvent]) -> bool:
        """Go on behind these events; whether none is missing before them."""
        whole = True
        for event in events:
            place = event.topic, event.partition
            whole = whole and event.offset <= self._positions[place]
            self._positions[place] = max(self._positions[place], event.offset + 1)
        return whole

    async def _skip(self) -> None:
        # Before the heads: a write between the two is looked for, and not found, which does no harm.
        self._seen = await self._store.version()
        self._positions = dict(await self._store.heads(self._topic))
