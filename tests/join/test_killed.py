"""Processes that join are killed with -9 again and again: each decision has its row, once, and the right one."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

from personalization.clock import SystemClock
from personalization.codec import decode_joined
from personalization.events import Decision, JoinedDecision, Outcome, OutcomeKind
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import JOINED
from personalization.ids import new_id
from tests.join.histories import Arrival, expected, history
from tests.join.hubs import new_event
from tests.join.joining import RULES
from tests.join.killing import LONGEST, Kills, killed_again_and_again


async def shop(hub: SqliteHub, random: Random, kills: Kills) -> list[Arrival]:
    """Decisions and their outcomes, now, for as long as there are members to be killed."""
    taken: list[Arrival] = []
    clock = SystemClock()
    model = next(each.event for each in history(Random(1), 1) if isinstance(each.event, Decision))
    async with asyncio.timeout(LONGEST):
        while kills.done < kills.wanted:
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
    random, kills = Random(11), Kills(12)
    hub = SqliteHub(HubFile(tmp_path / "hub.sqlite3", busy=30.0), SystemClock(), new_id)
    async with killed_again_and_again("tests.join.joining", tmp_path, kills, random):
        wanted = expected(await shop(hub, random, kills), RULES)
        rows: list[JoinedDecision] = []
        async with asyncio.timeout(LONGEST), hub.consumer("checking", [JOINED]) as consumer:
            while len(rows) < len(wanted):
                rows += [decode_joined(each.event.value) for each in await consumer.poll_batch(1_000, 0.1)]
            await asyncio.sleep(0.5)
            rows += [decode_joined(each.event.value) for each in await consumer.poll_batch(1_000, 0.1)]
    await hub.aclose()
    assert len(rows) == len(wanted)
    assert {each.decision.id: each for each in rows} == wanted
    assert any(each.reward for each in rows)
