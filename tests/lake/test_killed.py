"""Processes that write the lake are killed with -9 again and again: every event is in it, once."""

import asyncio
from pathlib import Path
from random import Random

from personalization.clock import SystemClock
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import DECISIONS, OUTCOMES, NewEvent
from personalization.ids import new_id
from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.layout import Lake
from personalization.lake.verification import verify
from tests.join.killing import LONGEST, Kills, killed_again_and_again
from tests.lake.filling import ids_in


def count(lake: Lake, topic: str) -> int:
    """How many events of a topic there are, by the names of the files."""
    return sum(each.last - each.first + 1 for each in lake.files(topic))


async def test_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    hub = SqliteHub(HubFile(tmp_path / "hub.sqlite3", busy=30.0), SystemClock(), new_id)
    lake, kills = Lake(tmp_path / "lake"), Kills(10)
    acknowledged: dict[str, list[str]] = {DECISIONS: [], OUTCOMES: []}
    async with asyncio.timeout(LONGEST), killed_again_and_again("tests.lake.writing", tmp_path, kills, Random(3)):
        while kills.done < kills.wanted:
            for topic, ids in acknowledged.items():
                events = [NewEvent(new_id(), new_id(), b"{}") for _ in range(10)]
                await hub.append(topic, events)
                ids.extend(each.id for each in events)
            await asyncio.sleep(0.01)
        while any(count(lake, topic) < len(ids) for topic, ids in acknowledged.items()):  # noqa: ASYNC110  # no news
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.2)
    await hub.aclose()
    for topic, ids in acknowledged.items():
        assert sorted(ids_in(lake, topic)) == sorted(ids)
    with DuckDbRunner() as runner:
        assert verify(lake, runner).findings == ()
