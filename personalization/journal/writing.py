"""Who writes what journals hold into the hub."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from personalization.hub.topics import Hub, NewEvent
from personalization.journal.parcels import unpack


class JournalWriter(Protocol):
    """Writes parcels into the hub. Implementations: `HubWriter`, and `WriterProcess` (process.py)."""

    async def write(self, topic: str, parcels: Sequence[bytes]) -> None:
        """Write all events in the parcels or none; returns once that is durable. What is there already is left out.

        Raises:
            HubUnavailable: the hub cannot be written now; the same may be written again later.
            InvalidEvent: the hub will never take them.
        """
        ...

    async def aclose(self) -> None:
        """Let go of what it holds; safe to call twice."""
        ...


class HubWriter:
    """Writes by the hub of this process, which is somebody else's to close."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def write(self, topic: str, parcels: Sequence[bytes]) -> None:
        """As `JournalWriter.write`."""
        events: list[NewEvent] = []
        for parcel in parcels:
            events += unpack(topic, parcel)
            await asyncio.sleep(0)  # requests come first
        await self._hub.append(topic, events)

    async def aclose(self) -> None:
        """Nothing is held."""
