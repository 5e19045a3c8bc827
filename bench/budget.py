"""What kept values take of memory, and what is served when there is room for a tenth of them.

Weighed in this process: all products of the shop, and shelves for 50 segments with 4 actions each, as the cache
accounts for them. Served: product pages by a gateway whose budget has room for all, and by others with room for a
tenth. Which page comes next is drawn by Zipf's law, as shops are visited (the n-th most popular page n times less often
than the first), and with the same chance for each, where no page is worth more than others. Who asks is new each time,
and is given a visitor cookie, or came before, so that what is kept is given the short way and what is not is all the
dearer by comparison. `python -m bench.cold` runs it.
"""

import random
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import orjson

from bench.cache import visit
from bench.home import HOME
from bench.inside import Inside, inside
from bench.processes import gateway_server
from bench.wrk import Found, Target, in_turns
from gateway.execution.kept import plain
from personalization.events import ShelfAction
from resolvers.viewer import Viewer

SEGMENTS: Final = 50
REGIONS: Final = ("US-NE", "US-MW", "US-S", "US-W")
PAGES: Final = 900
DRAWN: Final = 20_000
ZIPF: Final = "Zipf, newcomers"
UNIFORM: Final = "uniform, newcomers"
ZIPF_AGAIN: Final = "Zipf, one who came before"
SOMEBODY: Final = Viewer("visitor:1", "session 1")

_HOME: Final = HOME.read_text()
TILE: Final = _HOME[_HOME.index("fragment Tile") :]
LISTED: Final = (
    "query Listed($after: String) { catalog(first: 100, after: $after) { nodes { ...Tile } pageInfo { endCursor } } }"
    + TILE
)
SHELF: Final = (
    "query Shelf($c: Context, $first: Int) { recommendations(placement: HOME, first: $first, context: $c) "
    "{ decision { action } products { ...Tile } } }" + TILE
)
PAGE: Final = (
    "query Page($id: ID!, $c: Context) { product(id: $id) { ...Tile description category { parent { id name } } } "
    "recommendations(placement: CATEGORY, first: 8, context: $c) { decision { id action } products { id name size } } }"
    + TILE
)


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes of the products of the shop, each once, and of all that is kept; how many shelves are among it."""

    first: int
    products: int
    shelves: int
    product_bytes: int
    held: int


async def weighed(directory: Path, first: int) -> Weight:
    """Have all products kept, and shelves of so many of them for every segment and action."""
    async with inside(directory, budget=256_000_000) as opened:
        categories = await opened.ask("{ categories { id } }", {}, SOMEBODY)
        ids = [each["id"] for each in plain(categories["categories"])]
        await _list_products(opened)
        memory = opened.cache.memory
        products = sum(cell.field == "Product" for cell in memory.cells())
        for category, region in islice(product(ids, REGIONS), SEGMENTS):
            await _fill_shelves(opened, first, {"category": category, "region": region})
        fields = [cell.field for cell in memory.cells()]
        if fields.count("Product") != products:
            raise RuntimeError("a shelf has products of its own")
        shelves = fields.count("Recommendations.products")
        return Weight(first, products, shelves, memory.held_by("Product"), memory.held)


async def _list_products(opened: Inside) -> None:
    after: str | None = None
    while True:
        catalog = plain((await opened.ask(LISTED, {"after": after}, SOMEBODY))["catalog"])
        if not catalog["nodes"]:
            break
        after = catalog["pageInfo"]["endCursor"]


async def _fill_shelves(opened: Inside, first: int, context: Mapping[str, str]) -> None:
    """Ask until each action has been chosen."""
    chosen: set[str] = set()
    while len(chosen) < len(ShelfAction):
        opened.ids.current += "*"
        answer = await opened.ask(SHELF, {"c": context, "first": first}, SOMEBODY)
        chosen.add(plain(answer["recommendations"])["decision"]["action"])


def served(directory: Path, seconds: int) -> dict[str, Found]:
    """Requests a second, with room for all and for a tenth, by how pages are drawn."""
    with ExitStack() as stack:
        environment = {"GATEWAY_DATA_DIR": str(directory), "GATEWAY_LOG_LEVEL": "WARNING"}
        roomy = stack.enter_context(gateway_server(environment))
        bodies = _pages(roomy)
        for body in bodies:
            visit(roomy, body)
        tenth = {**environment, "GATEWAY_CACHE_BYTES": str(_held(roomy) // 10)}

        def newcomers() -> Sequence[str]:
            return ("",)

        def somebody() -> Sequence[str]:
            return (visit(roomy, bodies[0])[0],)

        targets = {}
        for name, turns, visitors in (
            (ZIPF, _zipf(), newcomers),
            (UNIFORM, _uniform(), newcomers),
            (ZIPF_AGAIN, _zipf(), somebody),
        ):
            small = stack.enter_context(gateway_server(tenth))
            targets[f"{name}, room for all"] = Target(roomy, "/graphql", bodies, visitors, turns)
            targets[f"{name}, room for a tenth"] = Target(small, "/graphql", bodies, visitors, turns)
        return in_turns(directory, targets, seconds=seconds, rounds=3, warm_up=seconds)


def _pages(port: int) -> list[bytes]:
    """What asks for the pages of the most popular products, most popular first."""
    ids: list[str] = []
    after = None
    while len(ids) < PAGES:
        _, answer = visit(port, orjson.dumps({"query": LISTED, "variables": {"after": after}}))
        catalog = orjson.loads(answer)["data"]["catalog"]
        ids += [each["id"] for each in catalog["nodes"]]
        after = catalog["pageInfo"]["endCursor"]
    context = {"region": "US-NE"}
    return [orjson.dumps({"query": PAGE, "variables": {"id": id_, "c": context}}) for id_ in ids[:PAGES]]


def _held(port: int) -> int:
    """Bytes that a gateway's cache holds."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    found = re.findall(r"^gateway_cache_bytes\{.*\} ([0-9.e+]+)$", text, re.MULTILINE)
    return int(sum(map(float, found)))


def _zipf() -> Sequence[int]:
    weights = [1 / (n + 1) for n in range(PAGES)]
    return random.Random(1).choices(range(PAGES), weights, k=DRAWN)


def _uniform() -> Sequence[int]:
    return random.Random(1).choices(range(PAGES), k=DRAWN)


def show(weights: Sequence[Weight], found: Mapping[str, Found]) -> None:
    """Print it."""
    print()
    for weight in weights:
        name = f"{weight.products} products, {weight.shelves} shelves of {weight.first} / the products alone, bytes"
        print(f"{name:60}{weight.held / weight.product_bytes:8.2f}   at most 1.5")
    print(f"\n{f'{PAGES} product pages':46}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for name, each in found.items():
        print(f"{name:46}{each.rate:12.0f}{sorted(each.p50)[1]:9.2f}{sorted(each.p99)[1]:9.2f}")
    for name, bar in ((ZIPF, "at least 0.5"), (UNIFORM, ""), (ZIPF_AGAIN, "")):
        ratio = found[f"{name}, room for a tenth"].rate / found[f"{name}, room for all"].rate
        print(f"{f'room for a tenth / for all: {name}':60}{ratio:8.2f}   {bar}")
