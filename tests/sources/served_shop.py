"""The embedded shop served over the REST contract: in a thread of this process, or as `gateway upstream`."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from opentelemetry.trace import NoOpTracer, Tracer
from starlette.types import ASGIApp

from gateway.upstream import build_upstream
from personalization.clock import SystemClock
from resolvers.errors import SourceUnavailable
from resolvers.sources.embedded import EmbeddedSource
from resolvers.sources.http import HttpSource
from resolvers.sources.source import CatalogQuery, CommerceSource
from tests.sources.clients import connected
from tests.sources.suite_facts import Facts, soon, walk


def open_store(store: Path, baskets: Path) -> EmbeddedSource:
    """The shop itself, without HTTP, with its baskets in this folder."""
    return EmbeddedSource.open(store, SystemClock(), NoOpTracer(), baskets=baskets / "baskets.sqlite")


@asynccontextmanager
async def http_source(url: str) -> AsyncIterator[HttpSource]:
    """The source under test, asking this upstream."""
    async with connected(url) as client:
        yield HttpSource(client)


@contextmanager
def served(
    source: CommerceSource, tracer: Tracer | None = None, around: Callable[[ASGIApp], ASGIApp] | None = None
) -> Iterator[str]:
    """The address of a server of this source, which runs in a thread until the block ends; `around` wraps it."""
    app: ASGIApp = build_upstream(source, clock=SystemClock(), tracer=tracer or NoOpTracer())
    app = around(app) if around is not None else app
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="warning", access_log=False, timeout_graceful_shutdown=10
    )
    server, socket = uvicorn.Server(config), config.bind_socket()
    thread = threading.Thread(target=server.run, args=([socket],), daemon=True)
    thread.start()
    try:
        while not server.started:  # until then connections are refused
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not end"


async def facts_of(source: CommerceSource) -> Facts:
    """What the suite must know of the embedded shop, read from it."""
    products = await walk(source, CatalogQuery(first=100))
    stock = await source.stock([product.id for product in products], soon())
    pairs = list(zip(products, stock, strict=True))
    scarce = [p for p, s in pairs if s and s.available and s.units is not None and 3 <= s.units <= 150]
    leaves = [c for c in await source.category_tree(soon()) if not c.child_ids and 4 <= c.product_count <= 60]
    return Facts(
        product_ids=tuple(product.id for product in scarce[:3]),
        category_id=leaves[0].id,
        other_category_id=leaves[1].id,
        search=scarce[0].name.partition(",")[0],
        search_product_id=scarce[0].id,
        customer_id="1",
        unavailable_id=next(product.id for product, s in pairs if s and not s.available),
        region="US-NE",
    )


@contextmanager
def upstream_process(data_dir: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`gateway upstream` as a process, and its address; killed at the end if it still runs."""
    command = [sys.executable, "-m", "gateway", "upstream", "--port", str(port), "--data-dir", str(data_dir)]
    root = Path(__file__).parents[2]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        told = re.search(r"http://\S+", process.stdout.readline())
        assert told, "the process ended before it said where it answers"
        yield process, told.group()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def until_healthy(url: str) -> None:
    """Returns when the upstream answers its health route."""
    async with connected(url, retries=0) as client:
        for _ in range(200):
            try:
                await client.read("health", "/health", soon())
            except SourceUnavailable:
                await asyncio.sleep(0.05)
            else:
                return
    raise AssertionError("the upstream never became healthy")
