"""Whoever writes for journals: all that was handed over is in the hub once, whatever becomes of who writes."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.trace import INVALID_SPAN_CONTEXT
from prometheus_client import CollectorRegistry

from personalization.clock import SystemClock
from personalization.codec import encode_event
from personalization.decision.journal import DecisionJournal
from personalization.errors import HubUnavailable, InvalidEvent
from personalization.events import Decision, Drawn
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import DECISIONS, OUTCOMES
from personalization.ids import new_id
from personalization.journal.parcels import pack_decisions
from personalization.journal.process import WriterProcess, WriterTimes
from personalization.journal.writing import HubWriter, JournalWriter
from tests.personalization.test_codec import DECISION

DEADLINE_S = 30.0

Open = Callable[[HubFile], JournalWriter]


class InThread:
    """A `HubWriter` with a hub of its own."""

    def __init__(self, file: HubFile) -> None:
        self._hub = SqliteHub(file, SystemClock(), new_id)
        self._writer = HubWriter(self._hub)

    async def write(self, topic: str, parcels: Sequence[bytes]) -> None:
        await self._writer.write(topic, parcels)

    async def aclose(self) -> None:
        await self._writer.aclose()
        await self._hub.aclose()


@pytest.fixture
def file(tmp_path: Path) -> HubFile:
    return HubFile(tmp_path / "var" / HUB_FILE)


@pytest.fixture(params=[InThread, WriterProcess])
async def writer(request: pytest.FixtureRequest, file: HubFile) -> AsyncIterator[JournalWriter]:
    open_writer: Open = request.param
    writer = open_writer(file)
    yield writer
    await writer.aclose()
    await writer.aclose()


@pytest.fixture
async def process(file: HubFile) -> AsyncIterator[WriterProcess]:
    process = WriterProcess(file)
    yield process
    await process.aclose()


def made(count: int) -> list[Decision]:
    return [replace(DECISION, id=new_id(), subject=f"visitor:{each}") for each in range(count)]


def parcel(decisions: Sequence[Decision]) -> bytes:
    return pack_decisions([(Drawn.of(each), INVALID_SPAN_CONTEXT) for each in decisions])


def stored(file: HubFile) -> list[tuple[str, bytes]]:
    """Ids and values of all decisions in the file, as another process reads them."""
    with closing(sqlite3.connect(file.path)) as connection:
        return connection.execute("SELECT id, value FROM events WHERE topic = ? ORDER BY id", (DECISIONS,)).fetchall()


def whole(decisions: Sequence[Decision]) -> list[tuple[str, bytes]]:
    return sorted((each.id, encode_event(each)) for each in decisions)


async def test_what_is_written_is_in_the_file(writer: JournalWriter, file: HubFile) -> None:
    decisions = made(700)
    await writer.write(DECISIONS, [parcel(decisions[:300]), parcel(decisions[300:])])
    assert stored(file) == whole(decisions)


async def test_what_is_there_already_is_left_out(writer: JournalWriter, file: HubFile) -> None:
    decisions = made(3)
    await writer.write(DECISIONS, [parcel(decisions[:2])])
    await writer.write(DECISIONS, [parcel(decisions), parcel(decisions)])
    assert stored(file) == whole(decisions)


async def test_writes_at_once_do_not_mix(writer: JournalWriter, file: HubFile) -> None:
    parts = [made(each) for each in range(1, 30)]
    await asyncio.gather(*(writer.write(DECISIONS, [parcel(part)]) for part in parts))
    assert stored(file) == whole([each for part in parts for each in part])


async def test_what_nobody_can_unpack_is_refused_and_the_next_is_written(writer: JournalWriter, file: HubFile) -> None:
    for topic, bad in ((OUTCOMES, b"[]"), (DECISIONS, b"{"), (DECISIONS, b"[[],[[null,7,0,0,0,0,0]]]")):
        with pytest.raises((InvalidEvent, ValueError, LookupError)):
            await writer.write(topic, [parcel(made(1)), bad])
    decisions = made(1)
    await writer.write(DECISIONS, [parcel(decisions)])
    assert stored(file) == whole(decisions)


async def test_a_file_that_cannot_be_written_is_tried_again(writer: JournalWriter, file: HubFile) -> None:
    file.path.parent.write_text("no folder")
    decisions = made(2)
    with pytest.raises(HubUnavailable):
        await writer.write(DECISIONS, [parcel(decisions)])
    file.path.parent.unlink()
    await writer.write(DECISIONS, [parcel(decisions)])
    assert stored(file) == whole(decisions)


@pytest.mark.parametrize("open_writer", [InThread, WriterProcess])
async def test_a_file_that_is_full_takes_no_more(open_writer: Open, file: HubFile) -> None:
    writer = open_writer(replace(file, max_bytes=200_000))
    much = [parcel(made(100)) for _ in range(100)]
    with pytest.raises(HubUnavailable, match="full"):
        await writer.write(DECISIONS, much)
    assert stored(file) == []
    await writer.aclose()


async def test_a_process_that_is_killed_is_replaced(process: WriterProcess, file: HubFile) -> None:
    decisions = made(2)
    await process.write(DECISIONS, [parcel(decisions[:1])])
    killed = number_of(process)
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(HubUnavailable, match="ended"):
        await process.write(DECISIONS, [parcel(decisions)])
    await process.write(DECISIONS, [parcel(decisions)])
    assert number_of(process) != killed
    assert stored(file) == whole(decisions)


async def test_a_journal_loses_nothing_to_processes_that_are_killed(process: WriterProcess, file: HubFile) -> None:
    registry = CollectorRegistry()
    journal = DecisionJournal(process, registry)
    await journal.start()
    decisions = made(3_000)
    for number, each in enumerate(decisions):
        journal.record(Drawn.of(each), INVALID_SPAN_CONTEXT)
        if number % 100 == 0:
            await asyncio.sleep(0.01)
        if number % 700 == 0 and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
    await journal.aclose()
    assert stored(file) == whole(decisions)
    assert registry.get_sample_value("gateway_journal_decisions_total", {"result": "written"}) == len(decisions)


async def test_where_there_is_no_idle_time_it_is_not_waited_for(file: HubFile) -> None:
    """A process that is stopped finds as little time as one that gives way to a busy machine."""
    process = WriterProcess(file, WriterTimes(idle=3.0, hurry=0.5))
    decisions = made(4)
    await process.write(DECISIONS, [parcel(decisions[:1])])
    idle = number_of(process)
    assert os.sched_getscheduler(idle) == os.SCHED_IDLE
    os.kill(idle, signal.SIGSTOP)
    await process.write(DECISIONS, [parcel(decisions[:2])])
    hurrying = number_of(process)
    assert hurrying != idle
    assert os.sched_getscheduler(hurrying) == os.SCHED_OTHER
    assert not process.waits_for_idle_time
    await asyncio.sleep(0.6)
    await process.write(DECISIONS, [parcel(decisions)])
    assert os.sched_getscheduler(number_of(process)) == os.SCHED_IDLE
    assert stored(file) == whole(decisions)
    await process.aclose()


async def test_a_process_that_takes_too_long_is_put_an_end_to(file: HubFile) -> None:
    process = WriterProcess(file, WriterTimes(idle=0.0, longest=5.0))
    await process.write(DECISIONS, [])
    slow = number_of(process)
    os.kill(slow, signal.SIGSTOP)
    with pytest.raises(HubUnavailable, match="longer than 5 s"):
        await process.write(DECISIONS, [parcel(made(1)) for _ in range(100)])
    assert not alive(slow)
    decisions = made(1)
    await process.write(DECISIONS, [parcel(decisions)])
    assert stored(file) == whole(decisions)
    await process.aclose()


async def test_a_write_that_is_given_up_leaves_no_answer_behind(process: WriterProcess, file: HubFile) -> None:
    await process.write(DECISIONS, [])
    os.kill(number_of(process), signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await process.write(OUTCOMES, [b"nonsense"])
    decisions = made(1)
    await process.write(DECISIONS, [parcel(decisions)])
    assert stored(file) == whole(decisions)


async def test_a_closed_one_writes_no_more_and_its_process_has_ended(process: WriterProcess) -> None:
    await process.write(DECISIONS, [parcel(made(1))])
    number = number_of(process)
    await process.aclose()
    assert not alive(number)
    assert process.pid is None
    with pytest.raises(HubUnavailable, match="closed"):
        await process.write(DECISIONS, [parcel(made(1))])


async def test_signals_for_the_whole_group_do_not_end_it(process: WriterProcess, file: HubFile) -> None:
    """Ctrl-C in a terminal reaches every process of it; this one has still to write what others hold."""
    await process.write(DECISIONS, [])
    number = number_of(process)
    for each in (signal.SIGINT, signal.SIGTERM):
        os.kill(number, each)
    decisions = made(1)
    await process.write(DECISIONS, [parcel(decisions)])
    assert number_of(process) == number
    assert stored(file) == whole(decisions)


HANDS_OVER = """
import asyncio, sys
from pathlib import Path
from personalization.hub.sqlite_file import HubFile
from personalization.journal.process import WriterProcess

async def main() -> None:
    process = WriterProcess(HubFile(Path(sys.argv[1])))
    await process.write("decisions", [sys.stdin.buffer.read()])
    print(process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_it_ends_with_whoever_started_it(file: HubFile) -> None:
    decisions = made(5)
    command = [sys.executable, "-c", HANDS_OVER, str(file.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(parcel(decisions))
        parent.stdin.close()
        number = int(parent.stdout.readline())
        assert alive(number)
        parent.kill()
    until = time.monotonic() + DEADLINE_S
    while alive(number) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive(number)
    assert stored(file) == whole(decisions)


def number_of(process: WriterProcess) -> int:
    assert process.pid is not None
    return process.pid


def alive(number: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked for does not."""
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
