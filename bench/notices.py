"""From new flags in use to the notice at each of 100 clients, beside a bare round trip: `python -m bench.notices`."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, socket
from tempfile import TemporaryDirectory
from time import perf_counter

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flags.live import Flags
from gateway.health import Readiness, health_routes
from gateway.ofrep_events import Notices
from gateway.ofrep_wire import state_of

STREAMS = 100
ROUNDS = 30
FLAGS = 300
ROUND_TRIPS = 300


def write(folder: Path, version: int) -> None:
    """Definitions that are others than those of any other version."""
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    flags = {f"flag-{number}": {**flag, "metadata": {"round": version}} for number in range(FLAGS)}
    (folder / "team.json").write_text(json.dumps({"flags": flags}))


@asynccontextmanager
async def serving(flags: Flags, registry: CollectorRegistry) -> AsyncIterator[int]:
    """The port of a server that has the stream of notices and `/live`."""
    notices = Notices(lambda: state_of(flags.snapshot.version), registry, most_streams=STREAMS)
    notices.follow(flags.subscribe)

    async def events(_request: Request) -> Response:
        return notices.stream(None)

    app = Starlette(routes=[Route("/events", events), *health_routes(Readiness(), registry)])
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error", access_log=False))
    # Named, because the loop turns Nagle's algorithm off only for sockets that say they are TCP.
    with socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield listener.getsockname()[1]
        notices.close()
        server.should_exit = True
        await task


async def connected(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has asked for the path."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    return reader, writer


async def listen(reader: asyncio.StreamReader, arrivals: "asyncio.Queue[float]") -> None:
    """Note when each notice is there, until the stream ends."""
    while line := await reader.readline():
        if line.startswith(b"data: "):
            arrivals.put_nowait(perf_counter())


async def round_trips(port: int) -> list[float]:
    """Milliseconds of bare requests, one after another on one connection."""
    taken = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(ROUND_TRIPS):
        started = perf_counter()
        writer.write(b"GET /live HTTP/1.1\r\nHost: bench\r\n\r\n")
        await reader.readuntil(b"}")
        taken.append((perf_counter() - started) * 1000)
    writer.close()
    return taken


async def notices_of(port: int, flags: Flags, folder: Path) -> list[float]:
    """Milliseconds from each new set to each client, all of them told of every one."""
    streams = [await connected(port, "/events") for _ in range(STREAMS)]
    for reader, _ in streams:
        await reader.readuntil(b"id: ")
    arrivals: asyncio.Queue[float] = asyncio.Queue()
    listeners = [asyncio.create_task(listen(reader, arrivals)) for reader, _ in streams]
    in_use: list[float] = []
    flags.subscribe(lambda _: in_use.append(perf_counter()))
    taken: list[float] = []
    for version in range(1, ROUNDS + 1):
        write(folder, version)
        await flags.reload()
        taken += [(await arrivals.get() - in_use[-1]) * 1000 for _ in streams]
    for listener, (_, writer) in zip(listeners, streams, strict=True):
        listener.cancel()
        writer.close()
    return taken


async def main() -> None:
    """Measure both in one run and print them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    registry = CollectorRegistry()
    with TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        write(folder, 0)
        # The watcher would find the same changes by itself, a quarter of a second later.
        flags = await Flags.open(folder, registry, poll_seconds=3600)
        async with serving(flags, registry) as port:
            bare = sorted(await round_trips(port))
            told = sorted(await notices_of(port, flags, folder))
        await flags.aclose()
    middle = bare[len(bare) // 2]
    print(f"bare round trip              p50 {middle:6.2f} ms")
    p50, p99 = told[len(told) // 2], told[len(told) * 99 // 100]
    print(
        f"notice, {STREAMS} streams          p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  worst {told[-1]:6.2f} ms  "
        f"{p50 / middle:5.1f} x bare, of {len(told)} notices"
    )


if __name__ == "__main__":
    asyncio.run(main())
