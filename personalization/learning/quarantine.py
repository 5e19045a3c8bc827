"""Where joined decisions go that nothing may be learned from: a topic, so that they can be looked at and counted."""

from collections.abc import Sequence
from dataclasses import dataclass

from personalization.hub.topics import Hub, NewEvent, StoredEvent

QUARANTINE = "quarantine"

UNREADABLE = "UNREADABLE"
MADE_SICK = "MADE_SICK"
"""Reasons beside those of `Refusal`: it is no joined decision, or a sound one after which a model was sick."""


@dataclass(frozen=True, slots=True)
class Poisoned:
    """An event as it was read, and why it was not learned from; `model` is the one that refused it, if any did."""

    stored: StoredEvent
    reason: str
    model: str = ""


async def quarantine(hub: Hub, poisoned: Sequence[Poisoned]) -> None:
    """Append them, each with its bytes as they were, its reason, and where it came from. Twice is once.

    Raises:
        HubUnavailable: they are not there yet, try again.
    """
    if poisoned:
        await hub.append(QUARANTINE, [_event(each) for each in poisoned])


def _event(poisoned: Poisoned) -> NewEvent:
    stored = poisoned.stored
    place = f"{stored.topic}/{stored.partition}/{stored.offset}"
    headers = {"reason": poisoned.reason, "model": poisoned.model, "from": place}
    return NewEvent(f"{stored.event.id}/{place}", stored.event.key, stored.event.value, headers)
