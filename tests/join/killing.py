"""Child processes that are killed with -9 again and again."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[2]
LONGEST = 60.0


@dataclass(slots=True)
class Kills:
    """How often processes were killed, and how often they are to be."""

    wanted: int
    done: int = 0


@asynccontextmanager
async def killed_again_and_again(module: str, folder: Path, kills: Kills, random: Random) -> AsyncIterator[None]:
    """Two processes of a module, each killed after a while and started anew; after the last kill they live on."""
    stop = asyncio.Event()

    async def keep() -> None:
        while not stop.is_set():
            lasts = random.uniform(0.5, 1.6) if kills.done < kills.wanted else LONGEST
            kills.done += await _lived(module, folder, stop, lasts)

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(keep())
        try:
            yield
        finally:
            stop.set()


async def _lived(module: str, folder: Path, stop: asyncio.Event, lasts: float) -> bool:
    """Run a process for so long, at most until told to stop; whether it was killed before that."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, str(folder), cwd=ROOT, stdout=DEVNULL)
    try:
        async with asyncio.timeout(lasts):
            await stop.wait()
    except TimeoutError:
        assert process.returncode is None, "it ended by itself"
        return True
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return False
