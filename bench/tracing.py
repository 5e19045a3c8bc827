"""What tracing costs on the home query, in ratios of one run: `python -m bench.tracing [--rounds N] [--each N]`.

Four servers of their own answer one client that takes turns between them:

- off: the gateway as it runs when no OTLP endpoint is set;
- bare: the same without metrics and log lines too, without request middleware and without a wrapped resolver;
- unsampled: with an endpoint, and no trace sampled;
- everything: with an endpoint, and every trace sampled, exported to a sink on this machine.
"""

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from graphql import GraphQLSchema
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.client import Call, Timings, measure
from bench.processes import free_port, server
from gateway.assembly import Assembly
from gateway.settings import Settings
from gateway.telemetry import build_telemetry
from gateway.visitor import SetVisitorCookie
from personalization.clock import SystemClock
from resolvers.sources.embedded_build import prepare_store

HOME = Path(__file__).parent.parent / "docs" / "home.graphql"
PERSONALIZED: dict[str, object] = {"context": {"region": "US-NE"}}
ARMS = ("off", "bare", "unsampled", "everything")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="turns between the servers (40)")
    parser.add_argument("--each", type=int, default=15, help="requests of each kind in a turn (15)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        timings = asyncio.run(_measure(Path(directory), stack, options.rounds, options.each))
    for kind in ("plain", "personalized"):
        _print(kind, {arm: timings[f"{kind} {arm}"] for arm in ARMS}, options.each)


async def _measure(directory: Path, stack: ExitStack, rounds: int, each: int) -> dict[str, Timings]:
    print("preparing the shop", file=sys.stderr)
    prepare_store(directory)
    sink = _start(stack, "bench.tracing:create_sink", {})
    endpoint = {"GATEWAY_OTLP_ENDPOINT": f"http://127.0.0.1:{sink}"}
    common = {"GATEWAY_DATA_DIR": str(directory), "GATEWAY_LOG_LEVEL": "WARNING"}
    app = "gateway.app:create_app"
    ports = {
        "bare": _start(stack, "bench.tracing:create_bare", common),
        "off": _start(stack, app, common),
        "unsampled": _start(stack, app, {**common, **endpoint, "GATEWAY_TRACE_SAMPLE_RATIO": "0"}),
        "everything": _start(stack, app, {**common, **endpoint, "GATEWAY_TRACE_SAMPLE_RATIO": "1"}),
    }
    query = HOME.read_text()
    calls = {f"plain {arm}": Call.graphql(ports[arm], query, {}, {}) for arm in ARMS}
    calls |= {f"personalized {arm}": Call.graphql(ports[arm], query, PERSONALIZED, {}) for arm in ARMS}
    print(f"measuring {rounds} rounds of {each} requests each", file=sys.stderr)
    return await measure(calls, rounds=rounds, each=each)


def _start(stack: ExitStack, factory: str, environment: dict[str, str]) -> int:
    port = free_port()
    arguments = ["uvicorn", "--factory", factory, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    return stack.enter_context(server(arguments, port, environment))


def _print(kind: str, timings: dict[str, Timings], each: int) -> None:
    """Medians over the rounds of the ratio within a round, which drift of the machine does not touch."""
    off = _rounds(timings["off"], each)
    for arm, target in (("unsampled", " (at most 1.03)"), ("everything", " (at most 1.10)"), ("bare", "")):
        ratio = median(mine / theirs for mine, theirs in zip(_rounds(timings[arm], each), off, strict=True))
        print(f"{kind + ', ' + arm:28} {ratio:6.3f} times off{target}")


def _rounds(timing: Timings, each: int) -> list[float]:
    """The median of each round."""
    return [median(timing.seconds[at : at + each]) for at in range(0, len(timing.seconds), each)]


def create_bare() -> Starlette:
    """The gateway with nothing of what is measured."""
    settings = Settings()
    assembly = Assembly(settings, build_telemetry(settings), SystemClock(), instrument=_leave_alone)
    return Starlette(
        routes=[Route("/graphql", assembly.graphql)],
        middleware=[Middleware(CORSMiddleware), Middleware(SetVisitorCookie)],
        lifespan=assembly.lifespan,
    )


def _leave_alone(_schema: GraphQLSchema, _registry: CollectorRegistry) -> None:
    """Instead of `instrument`."""


def create_sink() -> Starlette:
    """Takes OTLP in and forgets it."""

    async def take(request: Request) -> Response:
        await request.body()
        return Response()

    return Starlette(routes=[Route("/v1/traces", take, methods=["POST"])])


if __name__ == "__main__":
    main()
