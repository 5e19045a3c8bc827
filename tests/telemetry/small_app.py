"""A small gateway around the home schema, served by the real server: `python -m tests.telemetry.small_app`.

`/slow` and `/stream` say on stdout that they began, and end when the file named by `SMALL_APP_GATE` exists.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from graphql import parse
from graphql.execution import execute
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.execution.tracing import operation_span
from gateway.health import Readiness, health_routes
from gateway.request_tracing import TraceMiddleware, Tracing
from gateway.server import serve
from gateway.settings import Settings
from gateway.telemetry import Telemetry, build_telemetry
from resolvers.batching import LoaderMetrics
from tests.telemetry.home import HOME, build_schema, build_visit

FACTORY = "tests.telemetry.small_app:create_app"
log = structlog.get_logger("small_app")


async def gate() -> None:
    """Say that something slow began, and wait until the test lets it end."""
    log.info("began", pid=os.getpid())
    while not Path(os.environ["SMALL_APP_GATE"]).exists():  # noqa: ASYNC110, ASYNC240 - the test's own process ends it
        await asyncio.sleep(0.02)


async def slow(_request: Request) -> Response:
    await gate()
    return PlainTextResponse("whole")


async def stream(_request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        yield "first "
        await gate()
        yield "last"

    return StreamingResponse(parts(), media_type="text/plain")


async def stuck(_request: Request) -> Response:
    """Never answers, and leaves a thread behind that cannot be stopped."""
    log.info("began", pid=os.getpid())
    await asyncio.to_thread(time.sleep, 3600)
    return PlainTextResponse("never")


async def broken(_request: Request) -> Response:
    raise ValueError("mary@example.org")


def home_route(telemetry: Telemetry) -> Route:
    schema, metrics, document = build_schema(telemetry.registry), LoaderMetrics(telemetry.registry), parse(HOME)
    asked = Counter("small_app_homes", "Home pages.", registry=telemetry.registry)

    async def home(_request: Request) -> Response:
        asked.inc()
        with operation_span(telemetry.tracer, "Home", "query", "sha256:1") as trace:
            pending = execute(schema, document, context_value=build_visit(telemetry.tracer, metrics, trace))
            assert not hasattr(pending, "data"), "the home query has asynchronous resolvers"
            result = await pending
        return JSONResponse({"data": result.data, "pid": os.getpid()})

    return Route("/products/{id}/home", home)


def build_app(telemetry: Telemetry, readiness: Readiness) -> Starlette:
    """The application around telemetry that is handed in."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Readiness]]:
        readiness.done("documents")
        yield {"readiness": readiness}
        await telemetry.shutdown()
        log.info("closed")

    routes = [
        Route("/slow", slow),
        Route("/stream", stream),
        Route("/stuck", stuck),
        Route("/broken", broken),
        home_route(telemetry),
    ]
    return Starlette(
        routes=[*routes, *health_routes(readiness, telemetry.registry)],
        middleware=[Middleware(TraceMiddleware, tracing=Tracing(telemetry))],
        lifespan=lifespan,
    )


def create_app() -> Starlette:
    """The factory: everything from the environment."""
    if "SMALL_APP_BROKEN" in os.environ:
        raise RuntimeError("told not to start")
    return build_app(build_telemetry(Settings()), Readiness(["documents"]))


if __name__ == "__main__":
    serve(Settings(), FACTORY)
