"""A flag's evaluation with its exposure, beside the evaluation alone: `python -m bench.exposures`."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns

from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from flags.definitions import read_definitions
from flags.evaluation import FlagSet
from flags.exposures import Exposures
from flags.layers import Answer, Ask
from flags.live import DEMO_DIRECTORY
from flags.subject import Subject
from flags.vocabulary import Vocabulary
from personalization.assembly import open_personalization
from personalization.clock import SystemClock
from personalization.events import Persona

FLAG = "component.hero"
ROUNDS = 40
IN_A_ROUND = 250


async def times(work: Callable[[int], object]) -> list[float]:
    """Microseconds of each call, sorted, while the journal writes between rounds."""
    taken: list[float] = []
    for start in range(0, ROUNDS * IN_A_ROUND, IN_A_ROUND):
        for number in range(start, start + IN_A_ROUND):
            started = perf_counter_ns()
            work(number)
            taken.append((perf_counter_ns() - started) / 1000)
        await asyncio.sleep(0.06)
    return sorted(taken)


async def main() -> None:
    flags = FlagSet(read_definitions(DEMO_DIRECTORY, Vocabulary()))
    subject = Subject("visitor:1", {"persona": Persona.CONSULTANT, "segment": "s3", "region": "US-NE"})
    with TemporaryDirectory(dir=Path.cwd()) as name:
        registry = CollectorRegistry()
        async with await open_personalization(Path(name), SystemClock(), NoOpTracer(), registry) as parts:
            exposures = Exposures(parts.exposure_journal, SystemClock(), registry, key=b"k" * 32)

            def give(to: str) -> object:
                ask = Ask(Subject(to), "s")
                (given,) = exposures.give([Answer(flags.evaluate(FLAG, subject))], ask)
                return given

            if give("visitor:0") is None:
                raise SystemExit(f"{FLAG} gave no variant, so there is nothing to measure")

            rows = [
                ("evaluation", await times(lambda _: flags.evaluate(FLAG, subject))),
                ("evaluation, known exposure", await times(lambda _: give("visitor:1"))),
                ("evaluation, new exposure", await times(lambda number: give(f"visitor:{number}"))),
            ]
    middle = ROUNDS * IN_A_ROUND // 2
    base = rows[0][1][middle]
    for what, taken in rows:
        p99 = taken[len(taken) * 99 // 100]
        print(f"{what:28} p50 {taken[middle]:6.1f} us  p99 {p99:7.1f} us  {taken[middle] / base:5.1f} x evaluation")


if __name__ == "__main__":
    asyncio.run(main())
