"""The home query with everything kept, against its peers, in one run: `python -m bench.cache [--seconds N]`.

Each server answers the same query, one process each, to `wrk` with 8 connections, in turns:

- the gateway, plain and personalized (a decision of a VowpalWabbit model taken and journalled for each request, default
  settings); a hundred visitors take turns;
- the floor: the bytes of the gateway's answer, ready, from the same HTTP server;
- stock Strawberry without a context: its own ASGI view, parser and validation cache, the same loaders;
- GraphQL Yoga and Mercurius with JIT: the same schema, values in memory, without personalization.

Needs `wrk` and Node.js; `npm install` in bench/peers is done by the bench itself.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import orjson

from bench.decisions import store
from bench.home import HOME
from bench.processes import answering, free_port, gateway_server, stock_server
from bench.wrk import Found, Target, in_turns
from resolvers.sources.embedded_build import prepare_store

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "bench" / "peers"
SIZES = {"products": 20, "shelf": 12}
PERSONALIZED = {"region": "US-NE"}
VISITORS = 100
"""So many take turns, and are others in each turn of a server."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4, help="seconds of each turn (4)")
    parser.add_argument("--rounds", type=int, default=3, help="turns (3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        targets = _start(stack, Path(directory))
        found = in_turns(Path(directory), targets, seconds=options.seconds, rounds=options.rounds)
    _print(found)


def _start(stack: ExitStack, directory: Path) -> dict[str, Target]:
    prepare_store(directory)
    store(directory)
    query = HOME.read_text()
    plain = orjson.dumps({"query": query, "variables": SIZES})
    personalized = orjson.dumps({"query": query, "variables": {**SIZES, "context": PERSONALIZED}})
    environment = {"GATEWAY_DATA_DIR": str(directory), "GATEWAY_LOG_LEVEL": "WARNING"}
    gateway = stack.enter_context(gateway_server(environment))
    stock = stack.enter_context(stock_server({**environment, "GATEWAY_CACHE": "false"}))
    answer = visit(gateway, personalized)[1]
    data, schema = directory / "page.json", ROOT / "schema.graphql"
    data.write_bytes(visit(gateway, plain)[1])
    urlopen(Request(f"http://127.0.0.1:{stock}/floor", data=answer, method="PUT"), timeout=5).close()
    yoga, jit = (stack.enter_context(_node(kind, data, schema)) for kind in ("yoga", "mercurius"))

    def visitors() -> list[str]:
        return [visit(gateway, personalized)[0] for _ in range(VISITORS)]

    return {
        "gateway, plain": Target(gateway, "/graphql", [plain], visitors),
        "gateway, personalized": Target(gateway, "/graphql", [personalized], visitors),
        "floor": Target(stock, "/floor", [personalized]),
        "stock Strawberry, plain": Target(stock, "/graphql", [plain], lambda: visitors()[:1]),
        "GraphQL Yoga, plain": Target(yoga, "/graphql", [plain]),
        "Mercurius with JIT, plain": Target(jit, "/graphql", [plain]),
    }


@contextmanager
def _node(kind: str, data: Path, schema: Path) -> Iterator[int]:
    if not (PEERS / "node_modules").exists():
        npm = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(npm, cwd=PEERS, check=True)
    port = free_port()
    process = subprocess.Popen(
        ["node", "server.mjs", kind, str(port), str(data), str(schema)], cwd=PEERS, stdout=subprocess.DEVNULL
    )
    with answering(process, port):
        yield port


def visit(port: int, body: bytes) -> tuple[str, bytes]:
    """The visitor cookie that an answer brings, and the answer."""
    request = Request(f"http://127.0.0.1:{port}/graphql", data=body, headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as response:
        return str(response.headers.get("Set-Cookie", "")).partition(";")[0], bytes(response.read())


def _print(found: dict[str, Found]) -> None:
    print(f"{'':28}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for name, each in found.items():
        p50, p99 = statistics.median(each.p50), statistics.median(each.p99)
        print(f"{name:28}{each.rate:12.0f}{p50:9.2f}{p99:9.2f}")
    ours, plain = found["gateway, personalized"], found["gateway, plain"]
    print()
    for peer, bar in (
        ("stock Strawberry, plain", "at least 20"),
        ("Mercurius with JIT, plain", "at least 1"),
        ("GraphQL Yoga, plain", ""),
        ("floor", ""),
    ):
        print(f"gateway personalized / {peer:28}{ours.rate / found[peer].rate:8.2f}   {bar}", file=sys.stdout)
    for name, mine, theirs in (("p50", ours.p50, plain.p50), ("p99", ours.p99, plain.p99)):
        print(f"personalized / plain, {name}{statistics.median(mine) / statistics.median(theirs):34.2f}   at most 1.25")


if __name__ == "__main__":
    main()
