"""Joined decisions that are in the hub, to learn from them offline while there is no lake."""

from datetime import datetime

from personalization.codec import decode_joined
from personalization.errors import InvalidEvent
from personalization.events import JoinedDecision
from personalization.hub.topics import JOINED, Hub
from personalization.ids import new_id

_BATCH = 5_000
_WAIT = 0.2


async def joined_in(hub: Hub, since: datetime) -> list[JoinedDecision]:
    """All rows that are in the hub now of decisions from `since` on; what cannot be read is left out.

    Reads as a group of its own, which commits nothing.

    Raises:
        HubUnavailable: it cannot be read.
    """
    rows = []
    async with hub.consumer(f"offline-{new_id()}", [JOINED]) as consumer:
        while batch := await consumer.poll_batch(_BATCH, _WAIT):
            for stored in batch:
                try:
                    row = decode_joined(stored.event.value)
                except InvalidEvent:
                    continue
                if row.decision.at >= since:
                    rows.append(row)
    return rows
