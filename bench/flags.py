"""Flags beside flagd's own evaluator, and questions asked while 3,000 flags are replaced: `python -m bench.flags`."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter, perf_counter_ns
from typing import Any

import structlog
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from prometheus_client import CollectorRegistry

from flags.definitions import read_definitions
from flags.evaluation import FlagSet
from flags.live import Flags
from flags.subject import Subject
from flags.vocabulary import Vocabulary

PAGE, RELOADED = 300, 3_000
FILES = 10
ROUNDS = 15
RELOADS = 5
ATTRIBUTES = {"segment": "gold", "appVersion": "2.4.1", "region": "de"}
KEY = "customer:1"


def flag(number: int, state: int) -> dict[str, Any]:
    """A flag with segment, version, country and split; each `state` of it is another."""
    seed = f"seed-{number}-{state}"
    bucketing = {"and": [{"var": "targetingKey"}, {"cat": [seed, ":", {"var": "targetingKey"}]}]}
    conditions = [
        {"in": [{"var": "segment"}, ["gold", "silver"]]},
        {"sem_ver": [{"var": "appVersion"}, ">=", "2.1.0"]},
        {"==": [{"var": "region"}, "de"]},
    ]
    return {
        "state": "ENABLED",
        "variants": {"v1": "v1", "v2": "v2", "off": "off"},
        "defaultVariant": "v1",
        "targeting": {"if": [{"and": conditions}, {"fractional": [bucketing, ["v1", 50], ["v2", 50]]}, "off"]},
        "metadata": {"hashVersion": 2, "seed": seed},
    }


def content(count: int, state: int, file: int = 0, files: int = 1) -> bytes:
    return json.dumps({"flags": {f"flag-{n}": flag(n, state) for n in range(file, count, files)}}).encode()


def write(folder: Path, raw: Mapping[int, bytes]) -> None:
    for file, body in raw.items():
        part = folder / f"{file}.part"
        part.write_bytes(body)
        part.replace(folder / f"{file}.json")


def microseconds(work: Callable[[], object], times: int) -> float:
    """The median over rounds of the mean of a round, for one call."""
    taken = []
    for _ in range(ROUNDS):
        started = perf_counter_ns()
        for _ in range(times):
            work()
        taken.append((perf_counter_ns() - started) / 1000 / times)
    return median(taken)


def processor(who: int) -> float:
    """Seconds of processor time."""
    used = getrusage(who)
    return used.ru_utime + used.ru_stime


def verdict(measured: float, bar: float) -> str:
    return "met" if measured <= bar else "NOT met"


def speeds(folder: Path) -> None:
    """One flag, and a page of 300, ours and flagd's."""
    write(folder, {0: content(PAGE, 0)})
    ours, theirs = FlagSet(read_definitions(folder, Vocabulary())), FlagdCore()
    theirs.set_flags(content(PAGE, 0).decode())
    subject, context = Subject(KEY, ATTRIBUTES), EvaluationContext(KEY, dict(ATTRIBUTES))
    keys = list(ours.flags)
    for what, bar, times, asked, oracle in (
        (
            "one flag",
            10.0,
            2_000,
            lambda: ours.evaluate("flag-0", subject),
            lambda: theirs.resolve_string_value("flag-0", "", context),
        ),
        (
            "300 flags",
            3_000.0,
            10,
            lambda: ours.evaluate_all(subject),
            lambda: [theirs.resolve_string_value(key, "", context) for key in keys],
        ),
    ):
        mine, flagds = microseconds(asked, times), microseconds(oracle, max(1, times // 5))
        print(
            f"{what:24} {mine:8.1f} us, flagd's {flagds:8.1f} us, {flagds / mine:4.1f} times as fast; "
            f"bar {bar:.0f} us: {verdict(mine, bar)}"
        )


def held_up() -> int:
    """Nanoseconds for which threads of this process were ready and the system ran others (Linux; 0 elsewhere)."""
    delays = 0
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that ended meanwhile
            delays += int(path.read_text().split()[1])
    return delays


@dataclass(slots=True)
class Asker:
    """Asks flags all the time, one after the other.

    `longest` is the longest that an answer took, in microseconds. `own` is the longest without the time in which the
    system ran other programs: what a reload costs an answer, also where the processors are not ours alone.
    """

    flags: Flags
    longest: float = 0.0
    own: float = 0.0
    asked: int = 0

    def ask(self, times: int) -> None:
        subject, before = Subject(KEY, ATTRIBUTES), held_up()
        for number in range(times):
            key = f"flag-{(self.asked + number) % PAGE}"
            started = perf_counter_ns()
            self.flags.snapshot.evaluate(key, subject)
            taken = (perf_counter_ns() - started) / 1000
            self.longest = max(self.longest, taken)
            if taken > self.own:
                was, before = before, held_up()
                self.own = max(self.own, taken - (before - was) / 1000)
        self.asked += times

    async def on_loop(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.ask(50)
            await asyncio.sleep(0)

    def in_thread(self, stop: Event) -> None:
        while not stop.is_set():
            self.ask(50)


async def replaced(flags: Flags, folder: Path, state: int, raw: Mapping[int, bytes]) -> float:
    """Seconds from the change of the files to the set in use, which has all of them."""
    last = [(f"flag-{file}", f"seed-{file}-{state}") for file in raw]
    whole = asyncio.Event()

    def look(fresh: FlagSet) -> None:
        if all(fresh.flags[key].definition.metadata["seed"] == seed for key, seed in last):
            whole.set()

    unsubscribe = flags.subscribe(look)
    started = perf_counter()
    await asyncio.to_thread(write, folder, raw)
    await whole.wait()
    unsubscribe()
    return perf_counter() - started


@asynccontextmanager
async def asking(asker: Asker, where: str) -> AsyncIterator[None]:
    """Questions for as long as the block lasts, on the loop or in a thread beside it."""
    stop, end = asyncio.Event(), Event()
    thread = Thread(target=asker.in_thread, args=(end,))
    task = asyncio.create_task(asker.on_loop(stop)) if where == "loop" else None
    if task is None:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        end.set()
        if task is None:
            thread.join()
        else:
            await task


async def reloads(folder: Path) -> None:
    """Questions without a break while all of 3,000 flags change, again and again."""
    states = [
        {file: content(RELOADED, state, file, FILES) for file in range(FILES)} for state in range(2 * RELOADS + 1)
    ]
    write(folder, states[0])
    flags = await Flags.open(folder, CollectorRegistry())
    Asker(flags).ask(PAGE)  # rules are compiled when they are first asked
    try:
        for first, where in ((1, "loop"), (1 + RELOADS, "thread")):
            quiet, busy, seconds, before = Asker(flags), Asker(flags), [], processor(RUSAGE_CHILDREN)
            async with asking(busy, where):
                for state in range(first, first + RELOADS):
                    seconds += [await replaced(flags, folder, state, states[state])]
            async with asking(quiet, where):
                await asyncio.sleep(sum(seconds))
            read = processor(RUSAGE_CHILDREN) - before
            print(f"{RELOADED:,} flags replaced {RELOADS} times, {busy.asked:,} questions about {PAGE} in the {where}")
            print(
                f"    longest answer {busy.longest / 1000:.2f} ms, without reload {quiet.longest / 1000:.2f} ms;"
                f" without other programs {busy.own / 1000:.2f} ms, {quiet.own / 1000:.2f} ms;"
                f" bar 1 ms: {verdict(busy.own, 1000.0)}"
            )
            print(
                f"    from file to use {median(seconds):.2f} s, at most {max(seconds):.2f} s,"
                f" of it {read / RELOADS:.2f} s of the reader's processor; bar 1 s: {verdict(max(seconds), 1.0)}"
            )
    finally:
        await flags.aclose()


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with TemporaryDirectory(dir=Path.cwd()) as name:
        speeds(Path(name))
        await reloads(Path(name))


if __name__ == "__main__":
    asyncio.run(main())
