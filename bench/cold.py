"""What is not kept yet, and what there is no room for: `python -m bench.cold [--rounds N] [--each N] [--seconds N]`.

- Cold: everything is thrown out before each request, so that all of the home query is made. Against stock Strawberry
  over the same parts (its caches of parsed and validated documents on), without a context and with one.
- A new segment: what is everybody's is kept, all products of the shop among it, and nothing that was made for a
  segment. Each time another visitor, with another region, season and device.
- A crowd: 100 viewers in 5 segments at once, and a personalized source that takes 100 ms (bench/crowd.py).
- A budget: the bytes of shelves for many segments, and what is served when a tenth of it has room (bench/budget.py).

The clients take turns, and nothing that is measured waits for what a purge leaves to be done in the background.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from time import perf_counter

import orjson

from bench import budget, crowd
from bench.cache import SIZES, visit
from bench.client import Call, Connection, Timings
from bench.home import HOME
from bench.processes import gateway_server, stock_server
from gateway.keys import keys_of
from gateway.settings import Settings
from gateway.tokens import Claims, mint
from personalization.events import Device, Season
from resolvers.sources.embedded_build import prepare_store
from resolvers.viewer import OPS

REGIONS = ("US-NE", "US-MW", "US-S", "US-W")
SEGMENTS = [
    {"region": region, "season": season.value, "device": device.value}
    for season, device, region in product(Season, Device, REGIONS)
]
OF_SEGMENTS = ["Recommendations.products", "Query.components"]
"""Tags of all that is kept for segments and in the home query."""

QUIET_S = 0.03
"""A purge comes back to its process through the hub in some 20 ms."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="turns of cold requests (6)")
    parser.add_argument("--each", type=int, default=25, help="requests of each kind in a turn (25)")
    parser.add_argument("--seconds", type=int, default=4, help="seconds of load on each budget (4)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory)
        prepare_store(data)
        _print(asyncio.run(_measured(data, options.rounds, options.each)))
        crowd.show(asyncio.run(crowd.measured(data)))
        weights = [asyncio.run(budget.weighed(data, first)) for first in (12, 100)]
        budget.show(weights, budget.served(data, options.seconds))


async def _measured(directory: Path, rounds: int, each: int) -> dict[str, Timings]:
    with ExitStack() as stack:
        environment = {"GATEWAY_DATA_DIR": str(directory), "GATEWAY_LOG_LEVEL": "WARNING"}
        gateway = stack.enter_context(gateway_server(environment))
        stock = stack.enter_context(stock_server({**environment, "GATEWAY_CACHE": "false"}))
        home = await Home.opened(gateway, stock, _operator(directory), visitors=2 * each)
        timings = {name: Timings() for name in home.kinds()}
        for round_ in range(rounds + 1):
            await home.have_products_kept()
            for name, kind in home.kinds().items():
                for _ in range(each):
                    seconds = await kind()
                    if round_ > 0:  # the first round warms up
                        timings[name].seconds.append(seconds)
        home.close()
        return timings


def _operator(directory: Path) -> dict[str, str]:
    """The header of somebody who may purge."""
    settings = Settings(data_dir=directory)
    key = keys_of(settings).token
    if key is None:
        raise RuntimeError("the gateway takes no tokens that we can sign")
    claims = Claims("1", None, None, frozenset({OPS}))
    return {"Authorization": f"Bearer {mint(key, settings, claims, datetime.now(UTC), timedelta(hours=1))}"}


@dataclass(slots=True)
class Home:
    """The home query, asked of both servers by visitors who were there before."""

    gateway: Connection
    stock: Connection
    ports: tuple[int, int]
    operator: dict[str, str]
    cookies: list[str]
    asked: int = 0

    @classmethod
    async def opened(cls, gateway: int, stock: int, operator: dict[str, str], visitors: int) -> "Home":
        """Connections, and cookies of so many visitors."""
        plain = orjson.dumps({"query": HOME.read_text(), "variables": SIZES})
        cookies = [(await asyncio.to_thread(visit, gateway, plain))[0] for _ in range(visitors)]
        connections = await Connection.open(gateway), await Connection.open(stock)
        return cls(*connections, (gateway, stock), operator, cookies)

    def kinds(self) -> dict[str, Callable[[], Awaitable[float]]]:
        """What is measured: each asks once, and gives the seconds it took."""
        everything: dict[str, object] = {"everything": True}
        segments: dict[str, object] = {"tags": OF_SEGMENTS}
        return {
            "kept": self._ask_again,
            "a new segment": lambda: self._ask_gateway(personalized=True, purge=segments),
            "cold": lambda: self._ask_gateway(personalized=True, purge=everything),
            "cold, plain": lambda: self._ask_gateway(personalized=False, purge=everything),
            "stock": lambda: self._ask_stock(personalized=True),
            "stock, plain": lambda: self._ask_stock(personalized=False),
        }

    async def have_products_kept(self) -> None:
        """Have all products of the shop kept, and the page that everybody gets."""
        after: str | None = None
        while True:
            answer = await self.gateway.send(Call.graphql(self.ports[0], budget.LISTED, {"after": after}, {}))
            catalog = orjson.loads(answer)["data"]["catalog"]
            if not catalog["nodes"]:
                break
            after = catalog["pageInfo"]["endCursor"]
        await self._ask_again()

    async def _ask_again(self) -> float:
        await self._keep_busy(self.gateway, self.ports[0])
        variables = {**SIZES, "context": SEGMENTS[0]}
        call = Call.graphql(self.ports[0], HOME.read_text(), variables, {"Cookie": self.cookies[0]})
        return await self._timed(self.gateway, call)

    async def _ask_gateway(self, *, personalized: bool, purge: dict[str, object]) -> float:
        await self.gateway.send(Call.post(self.ports[0], "/cache/purge", purge, self.operator))
        await self._keep_busy(self.gateway, self.ports[0])
        return await self._timed(self.gateway, self._home(self.ports[0], personalized=personalized))

    async def _ask_stock(self, *, personalized: bool) -> float:
        await self._keep_busy(self.stock, self.ports[1])
        return await self._timed(self.stock, self._home(self.ports[1], personalized=personalized))

    async def _keep_busy(self, connection: Connection, port: int) -> None:
        """Ask for nothing until a purge is over: a server that was idle is slow, whatever it is asked."""
        nothing, until = Call.graphql(port, "{ __typename }", {}, {}), perf_counter() + QUIET_S
        while perf_counter() < until:
            await connection.send(nothing)

    def _home(self, port: int, *, personalized: bool) -> Call:
        self.asked += 1
        context = {"context": SEGMENTS[self.asked % len(SEGMENTS)]} if personalized else {}
        cookie = self.cookies[self.asked % len(self.cookies)]
        return Call.graphql(port, HOME.read_text(), {**SIZES, **context}, {"Cookie": cookie})

    async def _timed(self, connection: Connection, call: Call) -> float:
        began = perf_counter()
        answer = await connection.send(call)
        seconds = perf_counter() - began
        if b'"errors"' in answer:
            raise RuntimeError(f"answered {answer[:200].decode(errors='replace')}")
        return seconds

    def close(self) -> None:
        """Hang up."""
        self.gateway.close()
        self.stock.close()


def _print(timings: dict[str, Timings]) -> None:
    print(f"{'the home query':28}{'p50 ms':>9}{'p99 ms':>9}")
    for name, each in timings.items():
        print(f"{name:28}{each.p50 * 1000:9.2f}{each.p99 * 1000:9.2f}")
    print()
    for name, one, other, bar in (
        ("cold / stock Strawberry, plain", "cold, plain", "stock, plain", "at most 1.1"),
        ("cold / stock Strawberry, both with a context", "cold", "stock", ""),
        ("cold / a new segment", "cold", "a new segment", "at least 5"),
        ("a new segment / kept", "a new segment", "kept", ""),
    ):
        print(f"{name:60}{timings[one].p50 / timings[other].p50:8.2f}   {bar}")


if __name__ == "__main__":
    main()
