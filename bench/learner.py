"""The online learner from hub to registry, beside VW's own learn: `python -m bench.learner`.

Then the delay from a joined decision in the hub to a gateway's policy that has learned from it, with the default pace
of both; the join adds its window, which is the reward's, and at most a second and a half.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import structlog
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry
from vowpalwabbit import Workspace

from personalization.assembly import load_policy
from personalization.bandit.lessons import Lesson, lesson_of
from personalization.bandit.vw_examples import lesson_text
from personalization.bandit.vw_settings import VwSettings
from personalization.clock import SystemClock
from personalization.codec import decode_joined, encode_joined
from personalization.decision.live_policy import LivePolicies
from personalization.events import JoinedDecision
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import JOINED, NewEvent
from personalization.ids import new_id
from personalization.learning.metrics import LearnMetrics
from personalization.learning.online import LearnPace, Models, OnlineLearner
from personalization.learning.trainer import ModelTrainer
from personalization.registry import COMPONENT_MODEL, REGISTRY_FOLDER, SHELF_MODEL, ModelRegistry
from tests.learning.lessons import joined_of

EVENTS = 20_000
DELAYS = 10


def vw_alone(rows: Sequence[JoinedDecision]) -> float:
    """Seconds that VW's own `learn` takes for the lessons of these rows."""
    workspace = Workspace(arg_list=VwSettings().arguments())
    texts = [lesson_text(lesson) for row in rows if isinstance(lesson := lesson_of(row), Lesson)]
    began = perf_counter()
    for text in texts:
        workspace.learn(text.split("\n"))
    return perf_counter() - began


def decoding(values: Sequence[bytes]) -> float:
    """Seconds to read the rows' bytes."""
    began = perf_counter()
    for value in values:
        decode_joined(value)
    return perf_counter() - began


def learner(hub: SqliteHub, registry: ModelRegistry, pace: LearnPace) -> OnlineLearner:
    shelf, component = (ModelTrainer(registry, name, VwSettings()) for name in (SHELF_MODEL, COMPONENT_MODEL))
    metrics = LearnMetrics(CollectorRegistry())
    return OnlineLearner(
        hub, Models(shelf, component), clock=SystemClock(), tracer=NoOpTracer(), metrics=metrics, pace=pace
    )


async def append(hub: SqliteHub, rows: Sequence[JoinedDecision]) -> None:
    await hub.append(JOINED, [NewEvent(each.decision.id, each.decision.id, encode_joined(each)) for each in rows])


async def until_learned(registry: ModelRegistry, events: int) -> None:
    while True:
        live = registry.pointer(SHELF_MODEL).live
        data = None if live is None else registry.manifest(SHELF_MODEL, live).data
        if data is not None and data.events >= events:
            return
        await asyncio.sleep(0.01)


async def delays(hub: SqliteHub, registry: ModelRegistry) -> list[float]:
    """Seconds from a row in the hub to a live policy of a new version, one row after the other."""
    live = LivePolicies.over(registry, load_policy, CollectorRegistry())
    swapped = asyncio.Event()
    live.shelf.subscribe(lambda _: swapped.set())
    await live.start()
    taken = []
    for number in range(DELAYS):
        await asyncio.sleep(0.37 * (number % 5))  # so that it is not always the same moment of both paces
        swapped.clear()
        began = perf_counter()
        await append(hub, [joined_of(EVENTS + number)])
        await asyncio.wait_for(swapped.wait(), 30)
        taken.append(perf_counter() - began)
    await live.aclose()
    return taken


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rows = [joined_of(number) for number in range(EVENTS)]
    alone, read = vw_alone(rows), decoding([encode_joined(each) for each in rows])
    with TemporaryDirectory(dir=Path.cwd()) as name:
        hub = SqliteHub(HubFile(Path(name) / HUB_FILE), SystemClock(), new_id)
        registry = ModelRegistry(Path(name) / REGISTRY_FOLDER, SystemClock())
        await append(hub, rows)
        stop = asyncio.Event()
        began = perf_counter()
        task = asyncio.create_task(learner(hub, registry, LearnPace()).run(stop))
        await until_learned(registry, EVENTS)
        online = perf_counter() - began
        taken = await delays(hub, registry)
        stop.set()
        await task
        await hub.aclose()
    print(f"VW's own learn        {EVENTS / alone:10,.0f} events/s")
    print(f"decoding              {EVENTS / read:10,.0f} events/s  {alone / read:5.2f} x VW's own learn")
    print(f"hub to live registry  {EVENTS / online:10,.0f} events/s  {alone / online:5.2f} x VW's own learn")
    print(f"row to swapped policy p50 {median(taken):.1f} s, longest {max(taken):.1f} s of {DELAYS}")


if __name__ == "__main__":
    asyncio.run(main())
