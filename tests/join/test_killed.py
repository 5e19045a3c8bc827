"""Processes that join are killed with -9 again and again: each decision has its row, once, and the right one."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

from personalization.clock import SystemClock
from personalization.codec import decode_joined
from personalization.events import Decision, Outcome, OutcomeKind
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import JOINED
from personalization.ids import new_id
from tests.join.histories import Arrival, expected, history
from tests.join.joining import RULES
from tests.join.test_online import new_event

ROOT = Path(__file__).parents[2]
KILLS = 10
LONGEST = 60.0


@asynccontextmanager
async def members(folder: Path, stop: asyncio.Event, random: Random) -> AsyncIterator[list[int]]:
    """Two processes that join, each killed after a while and started again, until told to stop; the kills so far."""
    kills = [0]

    async def keep() -> None:
        while not stop.is_set():
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.join.joining", str(folder), cwd=ROOT, stdout=DEVNULL
            )
            try:
                longest = random.uniform(0.4, 2.0) if kills[0] < KILLS else LONGEST
                async with asyncio.timeout(longest):
                    await asyncio.wait(
                        {asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())},
                        return_when=asyncio.FIRST_COMPLETED,
                    )
            except TimeoutError:
                kills[0] += 1
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(keep())
        try:
            yield kills
        finally:
            stop.set()


async def shop(hub: SqliteHub, random: Random, kills: list[int]) -> list[Arrival]:
    """Decisions and their outcomes, now, for as long as there are members to be killed."""
    taken: list[Arrival] = []
    clock = SystemClock()
    model = next(each.event for each in history(Random(1), 1) if isinstance(each.event, Decision))
    async with asyncio.timeout(LONGEST):
        while kills[0] < KILLS:
            now = clock.now()
            decision = replace(model, id=new_id(), at=now)
            happened = now + timedelta(milliseconds=random.randint(0, 100))
            kinds = random.sample(tuple(OutcomeKind), random.randint(0, 3))
            events: list[Decision | Outcome] = [
                Outcome(new_id(), decision.id, kind, happened, happened) for kind in kinds
            ]
            events.insert(random.randint(0, len(events)), decision)
            for event in events:
                arrival = Arrival(now, event)
                topic, new = new_event(arrival)
                await hub.append(topic, [new])
                taken.append(arrival)
            await asyncio.sleep(0.005)
    return taken


async def test_no_row_is_lost_and_none_is_there_twice(tmp_path: Path) -> None:
    random, stop = Random(11), asyncio.Event()
    hub = SqliteHub(HubFile(tmp_path / "hub.sqlite3", busy=30.0), SystemClock(), new_id)
    async with members(tmp_path, stop, random) as kills:
        wanted = expected(await shop(hub, random, kills), RULES)
        rows = []
        async with asyncio.timeout(LONGEST), hub.consumer("checking", [JOINED]) as consumer:
            while len(rows) < len(wanted):
                rows += [decode_joined(each.event.value) for each in await consumer.poll_batch(1_000, 0.1)]
        await asyncio.sleep(0.5)
    await hub.aclose()
    assert len(rows) == len(wanted)
    assert {each.decision.id: each for each in rows} == wanted
    assert any(each.reward for each in rows)
