"""The SQLite hub keeps every promise of the port, and those of a file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from personalization.clock import ManualClock, SystemClock
from personalization.errors import HubUnavailable, InvalidEvent
from personalization.hub.consumer import Pace
from personalization.hub.retention import Retention
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.sqlite_groups import microseconds
from personalization.hub.topics import DECISIONS, OUTCOMES, NewEvent
from personalization.ids import new_id
from tests.personalization.hub_suite import LEASE, PARTITIONS, START, HubSuite, OpenHub, drain, ids, numbered


class TestSqliteHub(HubSuite):
    @pytest.fixture
    async def open_hub(self, clock: ManualClock, tmp_path: Path) -> AsyncIterator[OpenHub]:
        hubs: list[SqliteHub] = []

        def another() -> SqliteHub:
            file = HubFile(tmp_path / "hub.sqlite3", partitions=PARTITIONS)
            hubs.append(SqliteHub(file, clock, new_id, pace=Pace(lease=LEASE)))
            return hubs[-1]

        yield another
        for hub in hubs:
            await hub.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "hub.sqlite3"


def opened(path: Path, **bounds: int) -> SqliteHub:
    return SqliteHub(HubFile(path, busy=0.2, **bounds), SystemClock(), new_id)


def logged_pages(path: Path) -> int:
    """How many pages the write-ahead log holds, roughly."""
    return Path(f"{path}-wal").stat().st_size // 4096


def damage(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all, but long enough to be read as one" * 100)


async def test_appends_that_wait_together_share_one_transaction(path: Path) -> None:
    hub = opened(path)
    await hub.append(OUTCOMES, [])
    watcher = sqlite3.connect(path)

    def transactions() -> int:
        (version,) = watcher.execute("PRAGMA data_version").fetchone()
        return int(version)

    before = transactions()
    appended = await asyncio.gather(*(hub.append(DECISIONS, numbered(each, each + 1)) for each in range(400)))
    assert sum(each.written for each in appended) == 400
    (events,) = watcher.execute("SELECT count(*) FROM events").fetchone()
    assert events == 400
    assert transactions() != before
    assert logged_pages(path) < 400, "400 transactions would have logged at least one page each"
    watcher.close()
    await hub.aclose()


async def test_only_the_guilty_append_of_a_transaction_fails(path: Path) -> None:
    hub = opened(path)
    bad = NewEvent("bad", "key \ud800", b"")
    answers = await asyncio.gather(
        hub.append(DECISIONS, numbered(0, 1)),
        hub.append(DECISIONS, [*numbered(1, 2), bad]),
        hub.append(DECISIONS, numbered(2, 3)),
        return_exceptions=True,
    )
    assert isinstance(answers[1], InvalidEvent)
    async with hub.consumer("g", [DECISIONS]) as consumer:
        assert sorted(ids(await drain(consumer))) == ["e0", "e2"]
    with pytest.raises(InvalidEvent, match="id cannot be stored"):
        await hub.append(DECISIONS, [NewEvent("\ud800", "k", b"")])
    await hub.aclose()


async def test_a_cancelled_append_disturbs_nobody(path: Path) -> None:
    hub = opened(path)
    cancelled = asyncio.create_task(hub.append(DECISIONS, numbered(0, 1)))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert (await hub.append(DECISIONS, numbered(1, 2))).written == 1
    await hub.aclose()


async def test_commits_are_synced_to_the_disk(path: Path) -> None:
    connection = HubFile(path).open()
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_a_file_keeps_its_number_of_partitions(path: Path) -> None:
    hub = opened(path, partitions=2)
    await hub.append(DECISIONS, numbered(0, 50))
    await hub.aclose()
    hub = opened(path, partitions=8)
    await hub.append(DECISIONS, numbered(50, 100))
    async with hub.consumer("g", [DECISIONS]) as consumer:
        events = await drain(consumer)
    assert len(events) == 100
    assert {each.partition for each in events} == {0, 1}
    await hub.aclose()


async def test_a_newer_file_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    hub = opened(path)
    with pytest.raises(HubUnavailable, match="schema version 99"):
        await hub.append(DECISIONS, numbered(0, 1))
    await hub.aclose()


async def test_a_path_that_cannot_be_opened_is_unavailable_until_it_can(path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    hub = opened(path)
    with pytest.raises(HubUnavailable, match="cannot be used") as raised:
        await hub.append(DECISIONS, numbered(0, 1))
    assert isinstance(raised.value.__cause__, OSError)
    with pytest.raises(HubUnavailable):
        await hub.consumer("g", [DECISIONS]).__aenter__()
    path.parent.unlink()
    assert (await hub.append(DECISIONS, numbered(0, 1))).written == 1
    await hub.aclose()


async def test_a_damaged_file_is_unavailable(path: Path) -> None:
    damage(path)
    hub = opened(path)
    with pytest.raises(HubUnavailable):
        await hub.append(DECISIONS, numbered(0, 1))
    with pytest.raises(HubUnavailable):
        await hub.prune(Retention())
    await hub.aclose()


async def test_a_full_file_is_unavailable_and_keeps_what_it_acknowledged(path: Path) -> None:
    hub = opened(path, max_bytes=256 * 1024)
    acknowledged: list[str] = []

    async def fill() -> None:
        for each in range(1_000):
            await hub.append(DECISIONS, [NewEvent(f"e{each}", "k", b"x" * 1_000)])
            acknowledged.append(f"e{each}")

    with pytest.raises(HubUnavailable, match="full"):
        await fill()
    assert acknowledged
    async with hub.consumer("g", [DECISIONS]) as consumer:
        assert ids(await drain(consumer, commit=False)) == acknowledged
    await hub.aclose()


async def test_a_write_held_by_another_process_is_waited_for_only_so_long(path: Path) -> None:
    hub = opened(path)
    await hub.append(DECISIONS, numbered(0, 1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HubUnavailable, match="locked"):
        await hub.append(DECISIONS, numbered(1, 2))
    other.execute("ROLLBACK")
    other.close()
    assert (await hub.append(DECISIONS, numbered(1, 2))).written == 1
    await hub.aclose()


async def test_writes_that_wait_are_bounded(path: Path) -> None:
    hub = opened(path, waiting=10)
    await hub.append(DECISIONS, [])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = [asyncio.create_task(hub.append(DECISIONS, numbered(each, each + 1))) for each in range(50)]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    other.close()
    told = [str(each) for each in answers]
    assert told[-1] == "10 writes wait already, try again later"
    assert "locked" in told[0]
    assert (await hub.append(DECISIONS, numbered(0, 1))).written == 1
    await hub.aclose()


async def test_a_lease_is_renewed_while_nobody_polls(path: Path) -> None:
    clock = ManualClock(START)
    hub = SqliteHub(HubFile(path), clock, new_id, pace=Pace(lease=0.03))
    await hub.append(DECISIONS, numbered(0, 8))
    watcher = sqlite3.connect(path)

    async def renewed() -> None:
        """Wait until the lease reaches beyond what it was."""
        async with asyncio.timeout(20):
            while True:
                (until_us,) = watcher.execute("SELECT max(lease_until_us) FROM members").fetchone()
                if until_us > microseconds(clock.at) + 20_000:
                    return
                await asyncio.sleep(0.001)

    async with hub.consumer("g", [DECISIONS]) as busy:
        read = await busy.poll_batch(100, 0)
        for _ in range(5):
            clock.at += timedelta(milliseconds=25)
            await renewed()
        async with hub.consumer("g", [DECISIONS]) as other:
            assert await other.poll_batch(100, 0) == ()
            await busy.commit({(each.topic, each.partition): each.offset + 1 for each in read})
    watcher.close()
    await hub.aclose()


async def test_a_closed_hub_is_unavailable(path: Path) -> None:
    hub = opened(path)
    waiting = [asyncio.create_task(hub.append(DECISIONS, numbered(each, each + 1))) for each in range(20)]
    await asyncio.sleep(0)
    await hub.aclose()
    assert [(await each).written for each in waiting] == [1] * 20
    with pytest.raises(HubUnavailable, match="closed"):
        await hub.append(DECISIONS, numbered(0, 1))
    with pytest.raises(HubUnavailable, match="closed"):
        await hub.consumer("g", [DECISIONS]).__aenter__()


async def test_a_log_made_anew_has_another_name(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "a" / "hub.sqlite3"), opened(tmp_path / "b" / "hub.sqlite3")
    assert await first.log_id() != await second.log_id()
    await first.aclose()
    await second.aclose()


def size_of(path: Path) -> int:
    return path.stat().st_size


async def test_what_is_pruned_leaves_the_file_smaller(path: Path) -> None:
    clock = ManualClock(START)
    hub = SqliteHub(HubFile(path, partitions=PARTITIONS), clock, new_id)
    for first in range(0, 6_000, 500):
        await hub.append(
            DECISIONS, [NewEvent(f"e{each}", f"k{each}", b"x" * 1_000) for each in range(first, first + 500)]
        )
    await hub.aclose()
    full = size_of(path)
    hub = SqliteHub(HubFile(path, partitions=PARTITIONS), clock, new_id)
    await hub.append(OUTCOMES, [NewEvent("kept", "k", b"y")])
    assert await hub.prune(Retention(most_events=40)) >= 5_900
    await hub.aclose()
    assert size_of(path) < full / 10
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM events WHERE id = 'kept'").fetchone() == (1,)
