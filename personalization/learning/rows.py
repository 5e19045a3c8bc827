"""Joined decisions that are in the hub, to learn from them offline while there is no lake."""

from datetime import datetime

from personalization.codec import decode_joined
from personalization.events import JoinedDecision
from personalization.hub.present import present
from personalization.hub.topics import JOINED, Hub


async def joined_in(hub: Hub, since: datetime) -> list[JoinedDecision]:
    """All rows that are in the hub now of decisions from `since` on; what cannot be read is left out.

    Raises:
        HubUnavailable: it cannot be read.
    """
    return [row async for row in present(hub, JOINED, decode_joined) if row.decision.at >= since]
