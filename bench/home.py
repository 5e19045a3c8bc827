"""The home query, as ratios to what was measured in the same run: `python -m bench.home [--rounds N] [--each N]`.

Four servers of their own answer one client that takes turns between them:

- the gateway, asked for the home page without a context (plain) and with one (personalized);
- the same on a shop of 100,000 products;
- stock Strawberry over the same schema, data and parts;
- the floor: the bytes of the gateway's answer, ready.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen

from bench.client import Call, Connection, Timings, measure
from bench.processes import free_port, server
from resolvers.sources.embedded_build import prepare_store

HOME = Path(__file__).parent.parent / "docs" / "home.graphql"
PERSONALIZED: dict[str, object] = {"context": {"region": "US-NE"}}
MANY = 100_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="turns between the servers (20)")
    parser.add_argument("--each", type=int, default=25, help="requests of each kind in a turn (25)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        timings = asyncio.run(_measure(Path(directory), stack, options.rounds, options.each))
    _print(timings)


async def _measure(directory: Path, stack: ExitStack, rounds: int, each: int) -> dict[str, Timings]:
    small, large = directory / "small", directory / "large"
    print("preparing the shops", file=sys.stderr)
    prepare_store(small)
    large.mkdir()
    os.replace(prepare_store(large, products=MANY), large / "catalogue.sqlite")
    gateway = _start(stack, "gateway.app:create_app", small)
    many = _start(stack, "gateway.app:create_app", large)
    stock = _start(stack, "bench.stock:create_app", small)
    query = HOME.read_text()
    calls = {
        "plain": Call.graphql(gateway, query, {}, {}),
        "personalized": Call.graphql(gateway, query, PERSONALIZED, {}),
        "personalized, 100,000 products": Call.graphql(many, query, PERSONALIZED, {}),
        "stock Strawberry, plain": Call.graphql(stock, query, {}, {}),
        "stock Strawberry, personalized": Call.graphql(stock, query, PERSONALIZED, {}),
    }
    calls["floor"] = await _floor(stock, calls["personalized"])
    print(f"measuring {rounds} rounds of {each} requests each", file=sys.stderr)
    return await measure(calls, rounds=rounds, each=each)


def _start(stack: ExitStack, factory: str, data_dir: Path) -> int:
    port = free_port()
    arguments = ["uvicorn", "--factory", factory, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    environment = {"GATEWAY_DATA_DIR": str(data_dir), "GATEWAY_LOG_LEVEL": "WARNING"}
    return stack.enter_context(server(arguments, port, environment))


async def _floor(port: int, call: Call) -> Call:
    """Have the floor answer with what `call` is answered with, to the same request."""
    connection = await Connection.open(call.port)
    answer = await connection.send(call)
    connection.close()
    keep = Request(f"http://127.0.0.1:{port}/floor", data=answer, method="PUT")
    await asyncio.to_thread(lambda: urlopen(keep, timeout=5).close())
    return replace(call, port=port, payload=call.payload.replace(b"POST /graphql", b"POST /floor", 1))


def _print(timings: dict[str, Timings]) -> None:
    unit = timings["floor"].p50
    print(f"{'':34}{'p50':>8}{'p99':>8}   times the floor's p50")
    for name, timing in timings.items():
        print(f"{name:34}{timing.p50 / unit:8.1f}{timing.p99 / unit:8.1f}")
    plain, personalized = timings["plain"].p50, timings["personalized"].p50
    print()
    print(f"personalized / plain, p50                        {personalized / plain:6.2f}   (at most 2)")
    large = timings["personalized, 100,000 products"].p50
    print(f"100,000 products / 2,170, p50                    {large / personalized:6.2f}   (at most 1.5)")
    print(f"stock Strawberry / gateway, plain, p50           {timings['stock Strawberry, plain'].p50 / plain:6.2f}")
    stock = timings["stock Strawberry, personalized"].p50
    print(f"stock Strawberry / gateway, personalized, p50    {stock / personalized:6.2f}")


if __name__ == "__main__":
    main()
