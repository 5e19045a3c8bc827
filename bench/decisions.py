"""A decision's time, from context to journal, beside the bare policy and draw: `python -m bench.decisions`."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import NoOpTracer, Tracer
from prometheus_client import CollectorRegistry

from personalization.assembly import Personalization, open_personalization
from personalization.bandit.sampling import normalized, sample
from personalization.bandit.uniform import Uniform
from personalization.clock import SystemClock
from personalization.events import DecisionContext, ShelfAction
from personalization.ids import new_id

ACTIONS = tuple(ShelfAction)
CONTEXT = DecisionContext("HOME", "BUILDER", "s3", "c7", "north", "SUMMER", "PHONE")
ROUNDS = 40
IN_A_ROUND = 250


def bare() -> object:
    """The distribution, an id and the draw, and nothing else."""
    distribution = normalized(Uniform().distribution(CONTEXT, ACTIONS), len(ACTIONS))
    return ACTIONS[sample(distribution, new_id())]


def tracer(sampler: Sampler) -> Tracer:
    return TracerProvider(sampler=sampler).get_tracer("bench")


async def times(work: Callable[[], object]) -> list[float]:
    """Microseconds of each call, sorted, while the journal writes between rounds."""
    taken: list[float] = []
    for _ in range(ROUNDS):
        for _ in range(IN_A_ROUND):
            started = perf_counter_ns()
            work()
            taken.append((perf_counter_ns() - started) / 1000)
        await asyncio.sleep(0.06)
    return sorted(taken)


async def deciding(folder: Path, with_tracer: Tracer) -> list[float]:
    parts: Personalization
    async with await open_personalization(folder, SystemClock(), with_tracer, CollectorRegistry()) as parts:
        return await times(lambda: parts.decisions.decide(CONTEXT, ACTIONS, subject="visitor:1", session="s"))


async def main() -> None:
    base = await times(bare)
    with TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        rows = [
            ("bare policy and draw", base),
            ("decide, no tracer", await deciding(folder, NoOpTracer())),
            ("decide, trace not sampled", await deciding(folder, tracer(ALWAYS_OFF))),
            ("decide, trace recorded", await deciding(folder, tracer(ALWAYS_ON))),
        ]
    middle = len(base) // 2
    for what, taken in rows:
        p99 = taken[len(taken) * 99 // 100]
        print(f"{what:28} p50 {taken[middle]:6.1f} us  p99 {p99:7.1f} us  {taken[middle] / base[middle]:5.1f} x bare")


if __name__ == "__main__":
    asyncio.run(main())
