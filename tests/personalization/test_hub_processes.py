"""Several processes on one hub, some of them killed: what was acknowledged is there, and is read once."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from personalization.clock import SystemClock
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import OUTCOMES
from personalization.ids import new_id
from tests.personalization.hub_suite import drain, numbered

_ROOT = Path(__file__).parents[2]
_LONGEST = 60.0


@asynccontextmanager
async def running(module: str, *arguments: str) -> AsyncIterator[Process]:
    """A child process that is killed with -9 at the end, at the latest."""
    command = [sys.executable, "-m", f"tests.personalization.{module}", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=_ROOT)
    try:
        yield process
    finally:
        await kill(process)


async def kill(process: Process) -> list[str]:
    """End it with -9; what it printed before it died, without a line that it did not finish.

    asyncio waits for the ends of a child's pipes too, and stops reading one that nobody reads from: whoever waits for
    a child that printed much, and does not read, waits for good.
    """
    assert process.stdout is not None
    if process.returncode is None:
        os.kill(process.pid, signal.SIGKILL)
    printed = await process.stdout.read()
    await process.wait()
    return printed.decode().split("\n")[:-1]


async def lines(process: Process, count: int) -> list[str]:
    """The next lines that the process prints."""
    assert process.stdout is not None
    printed: list[str] = []
    async with asyncio.timeout(_LONGEST):
        for _ in range(count):
            line = await process.stdout.readline()
            assert line.endswith(b"\n"), "the process ended"
            printed.append(line.decode().strip())
    return printed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.sqlite3"


@pytest.fixture
async def hub(path: Path) -> AsyncIterator[SqliteHub]:
    hub = SqliteHub(HubFile(path, busy=30.0), SystemClock(), new_id)
    yield hub
    await hub.aclose()


async def stored(hub: SqliteHub) -> list[str]:
    async with hub.consumer("checking", [OUTCOMES]) as consumer:
        return [each.event.id for each in await drain(consumer, commit=False)]


async def test_everything_acknowledged_survives_kill_9(path: Path, hub: SqliteHub) -> None:
    acknowledged: list[str] = []
    for life in ("first", "second"):
        async with running("appending", str(path), life) as process:
            acknowledged += await lines(process, 300)
            acknowledged += await kill(process)
    there = await stored(hub)
    assert len(acknowledged) >= 600
    assert set(acknowledged) <= set(there)
    assert len(there) == len(set(there))


async def test_processes_that_open_and_append_at_once_disturb_nobody(path: Path, hub: SqliteHub) -> None:
    async with running("appending", str(path), "a") as a, running("appending", str(path), "b") as b:
        acknowledged = await lines(a, 200) + await lines(b, 200)
    there = await stored(hub)
    assert set(acknowledged) <= set(there)
    for source in ("a", "b"):
        for writer in range(20):
            mine = [each for each in there if each.startswith(f"{source}-{writer}-")]
            assert mine == [f"{source}-{writer}-{number}" for number in range(len(mine))]


async def test_readers_share_the_work_and_inherit_that_of_the_dead(path: Path, hub: SqliteHub) -> None:
    async with running("reading", str(path), "2.0") as doomed, running("reading", str(path), "2.0") as heir:
        both = asyncio.gather(lines(doomed, 1), lines(heir, 1))
        appended = await feed(hub, both)
        seen = [line for first in both.result() for line in first]
        seen += await kill(doomed)
        await hub.append(OUTCOMES, numbered(appended, appended + 100))
        lost_lines = 20  # of the batch that was committed when its reader was killed
        while len(seen) < appended + 100 - lost_lines:
            seen += await lines(heir, 1)
    places = [tuple(each.split()[:2]) for each in seen]
    assert len(places) == len(set(places)), "what was committed is read by nobody else"


async def feed(hub: SqliteHub, until: "asyncio.Future[tuple[list[str], list[str]]]") -> int:
    """Append events little by little until that is done; how many they were."""
    appended = 0
    while not until.done():
        await hub.append(OUTCOMES, numbered(appended, appended + 20))
        appended += 20
        await asyncio.wait({until}, timeout=0.01)
    return appended
