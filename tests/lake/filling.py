"""Fills a lake through a hub, as events come, and reads the raw zone back."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from personalization.clock import ManualClock
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import Hub
from personalization.lake.compaction import read_raw
from personalization.lake.layout import Lake
from personalization.lake.writer import LakeMetrics, LakePace, LakeWriter
from tests.join.histories import Arrival
from tests.join.hubs import new_event


def writer(hub: Hub, lake: Lake, *, events: int = 50_000) -> LakeWriter:
    return LakeWriter(hub, lake, LakeMetrics(CollectorRegistry()), pace=LakePace(events=events, batch=events))


async def append(hub: MemoryHub, clock: ManualClock, arrivals: Sequence[Arrival]) -> None:
    for each in arrivals:
        clock.at = max(clock.at, each.at)
        topic, event = new_event(each)
        await hub.append(topic, [event])


async def fill(hub: MemoryHub, clock: ManualClock, lake: Lake, arrivals: Sequence[Arrival], steps: int = 3) -> None:
    """Append the events in so many steps, and write the lake after each."""
    size = max(1, -(-len(arrivals) // steps))
    for first in range(0, len(arrivals), size):
        await append(hub, clock, arrivals[first : first + size])
        await writer(hub, lake).run_once()


def ids_in(lake: Lake, topic: str) -> list[str]:
    return [each for file in lake.files(topic) for each in read_raw(lake, file)["id"].to_pylist()]
