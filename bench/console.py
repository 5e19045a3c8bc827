"""What operators who look cost those who shop: `python -m bench.console [--rounds N] [--each N] [--operators N]`.

One gateway whose hub holds 20,000 joined decisions of the last hour answers the home query, one request after another,
in turns: with nobody at the console, and while operators look at all of it, each with a page that asks every two
seconds. Printed are ratios within the run, of the median and of the slowest hundredth. The pages are drawn by the
process that shops, so this is more than what the gateway alone makes of it.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import httpx

from bench.client import Call, Connection, Timings
from bench.processes import free_port, server
from personalization.clock import SystemClock
from personalization.codec import encode_joined
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import JOINED, NewEvent
from personalization.ids import new_id
from resolvers.sources.embedded_build import prepare_store
from tests.learning.lessons import START, joined_of

HOME = Path(__file__).parent.parent / "docs" / "home.graphql"
JOINED_ROWS = 20_000
EVERY_S = 2.0
VIEWS = ("now", "rewards?range=15m", "flags", "models", "segments", "hub")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="turns of each kind (12)")
    parser.add_argument("--each", type=int, default=500, help="requests in a turn (500)")
    parser.add_argument("--operators", type=int, default=3, help="pages that are looked at (3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        prepare_store(folder)
        asyncio.run(_fill(folder))
        environment = {"GATEWAY_DATA_DIR": directory, "GATEWAY_LOG_LEVEL": "WARNING"}
        port = free_port()
        arguments = ["uvicorn", "--factory", "gateway.app:create_app", "--port", str(port), "--no-access-log"]
        with server([*arguments, "--log-level", "warning"], port, environment):
            token = _token(environment)
            alone, watched = asyncio.run(_measure(port, token, options.rounds, options.each, options.operators))
    print(f"home query, p50  {watched.p50 / alone.p50:.3f} times with nobody looking")
    print(f"home query, p99  {watched.p99 / alone.p99:.3f} times with nobody looking")


async def _fill(folder: Path) -> None:
    """Joined decisions of the last hour."""
    hub = SqliteHub(HubFile(folder / HUB_FILE), SystemClock(), new_id)
    shift = SystemClock().now() - timedelta(hours=1) - START
    rows = (joined_of(number % 3_500) for number in range(JOINED_ROWS))
    moved = [replace(row, decision=replace(row.decision, id=new_id(), at=row.decision.at + shift)) for row in rows]
    for first in range(0, len(moved), 1_000):
        batch = moved[first : first + 1_000]
        await hub.append(JOINED, [NewEvent(each.decision.id, each.decision.id, encode_joined(each)) for each in batch])
    await hub.aclose()


def _token(environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "gateway", "token", "--customer", "1", "--scope", "ops"]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


async def _measure(port: int, token: str, rounds: int, each: int, operators: int) -> tuple[Timings, Timings]:
    call = Call.graphql(port, HOME.read_text(), {"context": {"region": "US-NE"}}, {})
    alone, watched = Timings(), Timings()
    connection = await Connection.open(port)
    await _ask(connection, call, each)  # warms up
    try:
        for _ in range(rounds):
            alone.seconds += await _ask(connection, call, each)
            async with _looking(port, token, operators):
                watched.seconds += await _ask(connection, call, each)
    finally:
        connection.close()
    return alone, watched


async def _ask(connection: Connection, call: Call, times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        began = perf_counter()
        await connection.send(call)
        seconds.append(perf_counter() - began)
        await asyncio.sleep(0.001)  # a shopper's pause, in which the server may do other things, and so may we
    return seconds


@asynccontextmanager
async def _looking(port: int, token: str, operators: int) -> AsyncIterator[None]:
    """Operators' pages, for as long as the block lasts."""
    headers = {"Authorization": f"Bearer {token}"}

    async def page() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/console/api/", headers=headers) as client:
            while True:
                for answer in await asyncio.gather(*(client.get(view) for view in VIEWS)):
                    answer.raise_for_status()
                await asyncio.sleep(EVERY_S)

    pages = [asyncio.create_task(page()) for _ in range(operators)]
    try:
        yield
    finally:
        for each in pages:
            each.cancel()
        ended = await asyncio.gather(*pages, return_exceptions=True)
        for failed in ended:
            if not isinstance(failed, asyncio.CancelledError):
                raise RuntimeError("a page could not be drawn") from failed if isinstance(failed, Exception) else None


if __name__ == "__main__":
    main()
