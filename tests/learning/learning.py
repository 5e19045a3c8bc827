"""An online learner over a hub, for tests: also as a process that learns until it is killed."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from personalization.bandit.vw import VwLearner
from personalization.bandit.vw_settings import VwSettings
from personalization.clock import SystemClock
from personalization.codec import encode_joined
from personalization.events import JoinedDecision
from personalization.hub.consumer import Pace
from personalization.hub.memory import MemoryHub
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import JOINED, Hub, NewEvent
from personalization.ids import new_id
from personalization.learning.metrics import LearnMetrics
from personalization.learning.online import LearnPace, Models, OnlineLearner
from personalization.learning.quarantine import QUARANTINE
from personalization.learning.trainer import MakeLearner, ModelTrainer
from personalization.registry import COMPONENT_MODEL, SHELF_MODEL, ModelRegistry

QUICK = LearnPace(lessons=400, seconds=0.05, wait=0.02, batch=100, backoff=0.02)
LEASE = Pace(lease=0.6)
LONGEST = 60.0


def memory_hub(partitions: int = 1) -> MemoryHub:
    return MemoryHub(SystemClock(), new_id, partitions=partitions, pace=LEASE)


def sqlite_hub(folder: Path) -> SqliteHub:
    """With one partition, so that there is one order of all events."""
    return SqliteHub(HubFile(folder / "hub.sqlite3", partitions=1, busy=30.0), SystemClock(), new_id, pace=LEASE)


def event_of(joined: JoinedDecision) -> NewEvent:
    return NewEvent(joined.decision.id, joined.decision.id, encode_joined(joined))


async def fill(hub: Hub, rows: Sequence[JoinedDecision]) -> None:
    await hub.append(JOINED, [event_of(each) for each in rows])


def registry_in(folder: Path) -> ModelRegistry:
    return ModelRegistry(folder / "registry", SystemClock())


def learner_over(
    hub: Hub,
    registry: ModelRegistry,
    metrics: CollectorRegistry | None = None,
    *,
    publish: bool = True,
    pace: LearnPace = QUICK,
    make: MakeLearner = VwLearner,
) -> OnlineLearner:
    models = Models(
        *(
            ModelTrainer(registry, name, VwSettings(), publish=publish, make=make)
            for name in (SHELF_MODEL, COMPONENT_MODEL)
        )
    )
    metrics = metrics or CollectorRegistry()
    return OnlineLearner(
        hub, models, clock=SystemClock(), tracer=NoOpTracer(), metrics=LearnMetrics(metrics), pace=pace
    )


@asynccontextmanager
async def running(learner: OnlineLearner) -> AsyncIterator[None]:
    """It learns during the block, and has stored what it learned after it."""
    stop = asyncio.Event()
    task = asyncio.create_task(learner.run(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(LONGEST):
            await task


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until it is true, for a minute at most."""
    async with asyncio.timeout(LONGEST):
        while not true():  # noqa: ASYNC110  it is looked at from outside, as an operator would
            await asyncio.sleep(0.02)


async def learned(registry: ModelRegistry, name: str, events: int) -> int:
    """Wait until the newest version has learned so many events; its number."""

    def enough() -> bool:
        versions = registry.versions(name)
        data = registry.manifest(name, versions[-1]).data if versions else None
        return data is not None and data.events >= events

    await eventually(enough)
    return registry.versions(name)[-1]


async def quarantined(hub: Hub) -> list[NewEvent]:
    """All that is in quarantine."""
    async with hub.consumer(new_id(), [QUARANTINE]) as consumer:
        events: list[NewEvent] = []
        while batch := await consumer.poll_batch(100, 0):
            events.extend(each.event for each in batch)
        return events


async def learn_until_killed(folder: Path) -> None:
    hub = sqlite_hub(folder)
    learner = learner_over(hub, registry_in(folder))
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    await learner.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(learn_until_killed(Path(sys.argv[1])))
