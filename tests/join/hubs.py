"""Events on their way into a hub, and what is in one."""

from personalization.codec import decode_joined, encode_event
from personalization.events import Decision, JoinedDecision
from personalization.hub.topics import DECISIONS, JOINED, OUTCOMES, Hub, NewEvent, StoredEvent
from tests.join.histories import Arrival


def new_event(arrival: Arrival, headers: dict[str, str] | None = None) -> tuple[str, NewEvent]:
    event = arrival.event
    if isinstance(event, Decision):
        return DECISIONS, NewEvent(event.id, event.id, encode_event(event), headers or {})
    return OUTCOMES, NewEvent(event.id, event.decision_id, encode_event(event), headers or {})


async def stored(hub: Hub, topic: str = JOINED) -> list[StoredEvent]:
    events: list[StoredEvent] = []
    async with hub.consumer(f"checking {topic}", [topic]) as consumer:
        while batch := await consumer.poll_batch(1_000, 0):
            events.extend(batch)
    return events


async def rows_in_hub(hub: Hub) -> list[JoinedDecision]:
    """The joined decisions in a hub, as often as they are there."""
    return [decode_joined(each.event.value) for each in await stored(hub)]
