"""What a load balancer and a metrics scraper ask: `/live`, `/ready`, `/metrics`."""

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.companion import read_companion
from gateway.telemetry import MULTIPROCESS_DIR

NO_STORE = {"Cache-Control": "no-store"}


class Readiness:
    """Whether this process should be sent requests: after each part has warmed up, until it begins to drain.

    Held by the assembly, told by the parts, asked by `/ready`; the server takes it from the lifespan's state, under the
    name `readiness`, and drains it on SIGTERM.
    """

    def __init__(self, parts: Iterable[str] = ()) -> None:
        self._waiting = dict.fromkeys(parts)
        self._draining = False
        self._on_drain: list[Callable[[], None]] = []

    def done(self, part: str) -> None:
        """The part is ready; unknown parts and repetitions are fine."""
        self._waiting.pop(part, None)

    def on_drain(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the draining begins: for what would hold it up, such as endless answers."""
        self._on_drain.append(callback)

    def drain(self) -> None:
        """Not ready any more, for good."""
        self._draining = True
        while self._on_drain:
            self._on_drain.pop()()

    @property
    def waiting(self) -> tuple[str, ...]:
        """The parts that are not ready, in the order they were named."""
        return tuple(self._waiting)

    @property
    def status(self) -> str:
        """`ready`, `warming` or `draining`."""
        if self._draining:
            return "draining"
        return "warming" if self._waiting else "ready"


def health_routes(readiness: Readiness, registry: CollectorRegistry) -> list[Route]:
    """The three routes.

    `/live` answers 200 while the event loop turns. `/ready` answers 200, or 503 with a JSON body that names what it
    waits for; it also says how the process beside the workers is, without which requests are answered all the same.
    `/metrics` answers in Prometheus text (OpenMetrics when asked for), for all worker processes together.
    """
    metrics = collecting_registry(registry)
    shared = os.environ.get(MULTIPROCESS_DIR)
    folder = Path(shared) if shared else None

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "live"}, headers=NO_STORE)

    async def ready(_request: Request) -> Response:
        status = readiness.status
        body: dict[str, object] = {"status": status, "waiting": list(readiness.waiting)}
        companion = await asyncio.to_thread(read_companion, folder) if folder is not None else None
        if companion is not None:
            body["learning"] = asdict(companion)
        return JSONResponse(body, 200 if status == "ready" else 503, headers=NO_STORE)

    async def show_metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        content = await asyncio.to_thread(encode, metrics)
        return Response(content, headers={**NO_STORE, "Content-Type": content_type})

    return [Route("/live", live), Route("/ready", ready), Route("/metrics", show_metrics)]


def collecting_registry(registry: CollectorRegistry) -> CollectorRegistry:
    """What `/metrics` shows: the registry itself, or, with several workers, what all of them wrote down."""
    directory = os.environ.get(MULTIPROCESS_DIR)
    if directory is None:
        return registry
    collecting = CollectorRegistry()
    MultiProcessCollector(collecting, directory)  # type: ignore[no-untyped-call]
    return collecting
