"""All that is in a topic now, for those who look at it once."""

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from personalization.errors import InvalidEvent
from personalization.hub.topics import Hub
from personalization.ids import new_id

T = TypeVar("T")

_BATCH = 5_000
_WAIT = 0.2


async def present(hub: Hub, topic: str, decode: Callable[[bytes], T]) -> AsyncIterator[T]:
    """Each event that can be read, decoded; by a group of its own, which commits nothing.

    Raises:
        HubUnavailable: the hub cannot be read.
    """
    async with hub.consumer(f"present-{new_id()}", [topic]) as consumer:
        while batch := await consumer.poll_batch(_BATCH, _WAIT):
            for stored in batch:
                try:
                    event = decode(stored.event.value)
                except InvalidEvent:
                    continue
                yield event
