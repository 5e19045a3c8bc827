"""The hub in events a second, beside one transaction an event and SQLite without syncing: `python -m bench.hub`."""

import asyncio
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from personalization.clock import SystemClock
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import DECISIONS, OUTCOMES, NewEvent
from personalization.ids import new_id

ONE_BY_ONE = 2_000
TOGETHER = 20_000
WAITING = 200
IN_BATCHES = 200_000
BATCH = 500
VALUE = b"v" * 600


def events(count: int) -> list[NewEvent]:
    return [NewEvent(each, each, VALUE) for each in (new_id() for _ in range(count))]


def bare(folder: Path, synchronous: str) -> float:
    """Events a second of bare inserts, a transaction each."""
    connection = sqlite3.connect(folder / f"bare-{synchronous}.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("CREATE TABLE events (id TEXT PRIMARY KEY, value BLOB)")
    started = perf_counter()
    for event in events(ONE_BY_ONE):
        connection.execute("INSERT INTO events VALUES (?, ?)", (event.id, event.value))
    seconds = perf_counter() - started
    connection.close()
    return ONE_BY_ONE / seconds


async def one_by_one(hub: SqliteHub) -> float:
    """Events a second when each append waits for the one before."""
    started = perf_counter()
    for event in events(ONE_BY_ONE):
        await hub.append(OUTCOMES, [event])
    return ONE_BY_ONE / (perf_counter() - started)


async def together(hub: SqliteHub) -> float:
    """Events a second when many wait at a time, one event each, as requests do."""
    waiting = iter(events(TOGETHER))

    async def requests() -> None:
        for event in waiting:
            await hub.append(OUTCOMES, [event])

    started = perf_counter()
    await asyncio.gather(*(requests() for _ in range(WAITING)))
    return TOGETHER / (perf_counter() - started)


async def in_batches(hub: SqliteHub) -> float:
    """Events a second in batches, as the journal writes them."""
    all_events = events(IN_BATCHES)
    started = perf_counter()
    for first in range(0, IN_BATCHES, BATCH):
        await hub.append(DECISIONS, all_events[first : first + BATCH])
    return IN_BATCHES / (perf_counter() - started)


async def reading(hub: SqliteHub) -> float:
    """Events a second of one reader that commits every batch."""
    count = 0
    started = perf_counter()
    async with hub.consumer("bench", [DECISIONS]) as consumer:
        while batch := await consumer.poll_batch(2_000, 0.0):
            count += len(batch)
            await consumer.commit({(each.topic, each.partition): each.offset + 1 for each in batch})
    return count / (perf_counter() - started)


async def delay(hub: SqliteHub) -> list[float]:
    """Milliseconds from the start of an append until a waiting reader has its event, sorted."""
    delays: list[float] = []
    async with hub.consumer("delay", ["delays"]) as consumer:
        for event in events(200):
            poll = asyncio.create_task(consumer.poll_batch(10, 5.0))
            await asyncio.sleep(0.02)
            started = perf_counter()
            await hub.append("delays", [event])
            await poll
            delays.append(1000 * (perf_counter() - started))
    return sorted(delays)


async def main() -> None:
    with TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        hub = SqliteHub(HubFile(folder / "hub.sqlite3"), SystemClock(), new_id)
        await hub.append(OUTCOMES, [])
        full, normal = await asyncio.to_thread(bare, folder, "FULL"), await asyncio.to_thread(bare, folder, "NORMAL")
        single, grouped = await one_by_one(hub), await together(hub)
        batched, read = await in_batches(hub), await reading(hub)
        delays = await delay(hub)
        await hub.aclose()
    rows = [
        ("SQLite, bare, synced, a transaction each", full),
        ("SQLite, bare, not synced, a transaction each", normal),
        ("hub, one append after the other", single),
        (f"hub, {WAITING} appends waiting at a time", grouped),
        (f"hub, batches of {BATCH}", batched),
        ("hub, one reader with commits", read),
    ]
    for what, rate in rows:
        print(f"{what:48} {rate:10,.0f} events/s {rate / full:8.1f} x")
    print(f"append to waiting reader: p50 {delays[100]:.1f} ms, p99 {delays[197]:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
