"""`gateway join` and `gateway lake`, as processes: what they say, and that they end well."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from bench.processes import free_port
from gateway.__main__ import app
from personalization.clock import SystemClock
from personalization.codec import decode_joined
from personalization.events import Decision, Outcome
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import JOINED
from personalization.ids import new_id
from personalization.lake.layout import Lake
from personalization.lake.reader import LakeReader
from tests.join.histories import START, Arrival, expected, history
from tests.join.hubs import new_event
from tests.join.killing import LONGEST, ROOT

RULES_OF_SETTINGS = {"GATEWAY_JOIN_WINDOW_S": "0.5", "GATEWAY_JOIN_LATENESS_S": "0.1"}


@asynccontextmanager
async def gateway(folder: Path, *arguments: str) -> AsyncIterator[Process]:
    """The command as a process, which is killed at the end, at the latest."""
    environment = os.environ | {"GATEWAY_DATA_DIR": str(folder), **RULES_OF_SETTINGS}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *arguments, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()  # a child that waits to be read from is not waited for


async def until_said(process: Process, event: str) -> None:
    """Until a line on standard error holds this."""
    assert process.stderr is not None
    async with asyncio.timeout(LONGEST):
        while event.encode() not in (line := await process.stderr.readline()):
            assert line, "the process ended"


async def ended(process: Process) -> tuple[int, str]:
    """Ask it to end; its exit code, and what it said then."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(LONGEST):
        _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def moved(arrivals: Sequence[Arrival], by: timedelta) -> list[Arrival]:
    """The same history at another time."""
    return [Arrival(each.at + by, _moved(each.event, by)) for each in arrivals]


def _moved(event: Decision | Outcome, by: timedelta) -> Decision | Outcome:
    if isinstance(event, Decision):
        return replace(event, at=event.at + by)
    return replace(event, occurred_at=event.occurred_at + by, received_at=event.received_at + by)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[SqliteHub]:
    hub = SqliteHub(HubFile(tmp_path / HUB_FILE, busy=30.0), SystemClock(), new_id)
    yield hub
    await hub.aclose()


async def append(hub: SqliteHub, arrivals: Sequence[Arrival]) -> None:
    for each in arrivals:
        topic, event = new_event(each)
        await hub.append(topic, [event])


async def test_join_joins_tells_and_drains(hub: SqliteHub, tmp_path: Path) -> None:
    port = free_port()
    async with gateway(tmp_path, "join", "--metrics-port", str(port), "--slack", "0.2") as process:
        await until_said(process, "join_partition_taken")
        arrivals = moved(history(Random(1), 20, seconds=1), datetime.now(UTC) - START)
        await append(hub, [each for each in arrivals if isinstance(each.event, Decision)])
        ids: set[str] = set()
        async with asyncio.timeout(LONGEST), hub.consumer("checking", [JOINED]) as consumer:
            while len(ids) < 20:
                batch = await consumer.poll_batch(100, 0.1)
                ids |= {decode_joined(each.event.value).decision.id for each in batch}
        with await asyncio.to_thread(urlopen, f"http://127.0.0.1:{port}/metrics") as answer:
            metrics = answer.read().decode()
        code, said = await ended(process)
    assert ids == set(expected(arrivals))
    assert 'gateway_join_fates_total{fate="joined",topic="decisions"} 20.0' in metrics
    assert code == 0
    assert '"stopping"' in said
    assert "join_partition_given_up" in said
    assert len(list((tmp_path / "join").iterdir())) == 4


async def test_write_goes_on_until_it_is_told_to_stop(hub: SqliteHub, tmp_path: Path) -> None:
    await append(hub, history(Random(1), 20))
    async with gateway(tmp_path, "lake", "write", "--linger", "0.1") as process:
        await until_said(process, "lake_written")
        code, _ = await ended(process)
    assert code == 0
    assert sum(each.last - each.first + 1 for each in Lake(tmp_path / "lake").files("decisions")) == 20


async def test_from_the_hub_to_joined_rows(hub: SqliteHub, tmp_path: Path) -> None:
    arrivals = moved(history(Random(2), 30), datetime.now(UTC) - START - timedelta(hours=1))
    await append(hub, arrivals)
    environment = {"GATEWAY_DATA_DIR": str(tmp_path / "elsewhere")}
    folder = str(tmp_path / "lake")
    async with gateway(tmp_path, "lake", "write", "--once") as process:
        assert await process.wait() == 0

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["lake", *arguments, "--lake-dir", folder], env=environment)
        return result.exit_code, result.output

    code, said = await asyncio.to_thread(run, "etl")
    assert code == 0
    assert re.search(r"^joined +30 rows$", said, re.MULTILINE)
    rows = list(LakeReader(Path(folder)).joined())
    assert {each.decision.id for each in rows} == set(expected(arrivals))
    held = {each.decision.context.placement: (each.joined_at - each.decision.at).total_seconds() for each in rows}
    assert held.pop("component:hero") == 32, "as its flag says"
    assert set(held.values()) == {22}
    code, said = await asyncio.to_thread(run, "etl", "--until", "2020-01-01", "--since", "2019-12-31T12:00:00+01:00")
    assert re.search(r"^joined +0 rows$", said, re.MULTILINE)
    code, said = await asyncio.to_thread(run, "compact", "--grace", "0")
    assert (code, "merged files" in said) == (0, True)
    assert (await asyncio.to_thread(run, "verify"))[0] == 0
    next(Lake(Path(folder)).paths("decisions")).write_bytes(b"")
    code, said = await asyncio.to_thread(run, "verify")
    assert code == 1
    assert "DAMAGED decisions/day=" in said


@pytest.mark.parametrize("command", ["write", "etl", "compact"])
async def test_what_the_disk_refuses_is_told_in_a_sentence(tmp_path: Path, command: str) -> None:
    blocked = tmp_path / "lake"
    blocked.write_text("a file where the folder should be")
    hub = SqliteHub(HubFile(tmp_path / HUB_FILE), SystemClock(), new_id)
    await append(hub, history(Random(1), 2))
    await hub.aclose()
    once = ["--once"] if command == "write" else []
    async with gateway(tmp_path, "lake", command, *once) as process, asyncio.timeout(LONGEST):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert "gateway: the lake cannot be" in said.decode()
    assert "Traceback" not in said.decode()


@pytest.mark.parametrize(
    "command", [["join"], ["lake"], *(["lake", each] for each in ("write", "etl", "compact", "verify"))]
)
def test_help_says_what_it_does(command: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output
