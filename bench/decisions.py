"""A decision's time, from context to logged record, beside VW's own predict: `python -m bench.decisions`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns

import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import NoOpTracer, Tracer
from prometheus_client import CollectorRegistry
from vowpalwabbit import Workspace

from personalization.assembly import Personalization, open_personalization
from personalization.bandit.sampling import sample
from personalization.bandit.vw import Snapshot, VwLearner
from personalization.bandit.vw_examples import question_text
from personalization.bandit.vw_settings import VwSettings
from personalization.clock import SystemClock
from personalization.codec import encode_event
from personalization.decision.question import Question
from personalization.events import Decision, DecisionContext, DecisionMode, JoinedDecision, ShelfAction
from personalization.registry import REGISTRY_FOLDER, SHELF_MODEL, ModelRegistry

ACTIONS = tuple(ShelfAction)
MANY_ACTIONS = tuple(f"action{number}" for number in range(20))
CONTEXT = DecisionContext("HOME", "BUILDER", "s3", "c7", "north", "SUMMER", "PHONE")
SLOTS = 10
LESSONS = 2_000
ROUNDS = 40
IN_A_ROUND = 250
SWAP_EVERY_S = 0.02

Sorted = list[float]


def learned(salt: str) -> Snapshot:
    """A model after 2,000 lessons over 100 contexts."""
    learner, now, even = VwLearner(VwSettings()), datetime.now(UTC), (0.25,) * len(ACTIONS)
    for number in range(LESSONS):
        name = f"{salt}-{number}"
        context = DecisionContext("HOME", f"p{number % 5}", None, f"c{number % 20}", "north", "SUMMER", "PHONE")
        index = sample(even, name)
        decision = Decision(
            name, now, context, ACTIONS, even, ACTIONS[index], 0.25, "uniform@1", DecisionMode.LOG_ONLY, "DRAWN"
        )
        learner.learn(JoinedDecision(decision, (), 3.0 if index == number % 4 else 0.0, True, now))
    return learner.snapshot()


def store(folder: Path) -> None:
    """Make a registry with two models of shelves, the first of them live."""
    registry = ModelRegistry(folder / REGISTRY_FOLDER, SystemClock())
    for salt in ("one", "two"):
        snapshot = learned(salt)
        registry.add(SHELF_MODEL, snapshot.model, canaries=snapshot.canaries, settings=VwSettings().record())
    registry.promote(SHELF_MODEL, 1, {})


def bare(actions: tuple[str, ...]) -> Callable[[], object]:
    """VW's own predict of a text that is ready."""
    workspace = Workspace(arg_list=VwSettings().arguments())
    text = question_text(CONTEXT, actions)
    return lambda: workspace.predict(text)


def tracer(sampler: Sampler) -> Tracer:
    return TracerProvider(sampler=sampler).get_tracer("bench")


async def times(work: Callable[[], object], at_once: int = 1) -> Sorted:
    """Microseconds of each call, sorted, while the journal writes between rounds. One call makes so many decisions."""
    taken: Sorted = []
    for _ in range(ROUNDS * at_once):
        for _ in range(IN_A_ROUND // at_once):
            started = perf_counter_ns()
            work()
            taken.append((perf_counter_ns() - started) / 1000)
        await asyncio.sleep(0.06 / at_once)
    return sorted(taken)


@dataclass(frozen=True, slots=True)
class Gateway:
    """An open gateway's parts, and what is timed on them."""

    parts: Personalization
    registry: ModelRegistry

    def decision(self, actions: tuple[str, ...] = ACTIONS) -> Decision:
        return self.parts.decisions.decide(CONTEXT, actions, subject="visitor:1", session="s")

    def record(self) -> bytes:
        return encode_event(self.decision())

    def page(self) -> None:
        questions = [Question(CONTEXT, ACTIONS, subject="visitor:1", session="s")] * SLOTS
        for proposal in self.parts.decisions.propose_many(questions):
            self.parts.decisions.record(proposal)

    async def one(self) -> Sorted:
        return await times(self.decision)

    async def one_of_many(self) -> Sorted:
        return await times(lambda: self.decision(MANY_ACTIONS))

    async def one_recorded(self) -> Sorted:
        return await times(self.record)

    async def slots(self) -> Sorted:
        return await times(self.page, at_once=SLOTS)

    async def one_under_swaps(self) -> Sorted:
        """While the live model is swapped thirty times a second."""
        swapping = asyncio.create_task(self._swap())
        taken = await times(self.decision, at_once=10)
        swapping.cancel()
        with suppress(asyncio.CancelledError):
            await swapping
        return taken

    async def _swap(self) -> None:
        for swaps in count():
            await asyncio.to_thread(self.registry.promote, SHELF_MODEL, 2 - swaps % 2, {})
            await self.parts.live.shelf.refresh()
            await asyncio.sleep(SWAP_EVERY_S)


async def timed(
    folder: Path, measure: Callable[[Gateway], Awaitable[Sorted]], with_tracer: Tracer | None = None
) -> Sorted:
    """What `measure` times on a gateway over this folder."""
    registry = ModelRegistry(folder / REGISTRY_FOLDER, SystemClock())
    opening = open_personalization(folder, SystemClock(), with_tracer or NoOpTracer(), CollectorRegistry())
    async with await opening as parts:
        return await measure(Gateway(parts, registry))


def show(what: str, taken: Sorted, base: Sorted) -> None:
    middle, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    print(f"{what:36} p50 {middle:6.1f} us  p99 {p99:7.1f} us  {middle / base[len(base) // 2]:5.2f} x VW's own")


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name) / "learned"
        store(folder)
        four, twenty = await times(bare(ACTIONS)), await times(bare(MANY_ACTIONS))
        show("VW's own predict", four, four)
        show("decide, uniform", await timed(Path(name) / "empty", Gateway.one), four)
        show("decide, VW", await timed(folder, Gateway.one), four)
        show("decide, VW, and its record as bytes", await timed(folder, Gateway.one_recorded), four)
        show("decide, VW, trace not sampled", await timed(folder, Gateway.one, tracer(ALWAYS_OFF)), four)
        show("decide, VW, trace recorded", await timed(folder, Gateway.one, tracer(ALWAYS_ON)), four)
        show("decide, VW, while models are swapped", await timed(folder, Gateway.one_under_swaps), four)
        show(f"{SLOTS} slots of a page, VW", await timed(folder, Gateway.slots), four)
        show("VW's own predict, 20 actions", twenty, twenty)
        show("decide, VW, 20 actions", await timed(folder, Gateway.one_of_many), twenty)


if __name__ == "__main__":
    asyncio.run(main())
