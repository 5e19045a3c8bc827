"""What walks cannot complete, graphql-core completes, the same and without reading anything twice."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from personalization.clock import Deadline
from resolvers.caching.local import LocalTier
from resolvers.caching.shared import SharedTier
from resolvers.errors import SourceUnavailable
from resolvers.sharing import SharedReads
from resolvers.sources.source import Category, CommerceSource, Price, Stock
from tests.caching.shop import Pair, pair
from tests.caching.test_keeping import visitor

TILES = """id name category { id name parent { id children { id } } } price { amount currency } stock { units }
  coupons { id }"""
HOME = (
    "query ($c: Context) { catalog(first: 6) { totalCount edges { cursor node { ...Tile } } } "
    "recommendations(placement: HOME, first: 4, context: $c) { decision { action } products { ...Tile } } } "
    f"fragment Tile on Product {{ {TILES} }}"
)
BELOW = 'query ($c: Context) { category(id: "drug-gm") { children { id name } } ' + HOME.removeprefix(
    "query ($c: Context) {"
)


@dataclass
class FailingReads:
    """The shop, where some reads of single things fail, or all reads of a kind; calls are counted by what they ask."""

    inner: CommerceSource
    broken: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()
    calls: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _read(self, kind: str, ids: Sequence[str], found: Sequence[Any]) -> list[Any]:
        self.calls.update(f"{kind} {each}" for each in ids)
        if kind in self.down:
            raise SourceUnavailable(f"no {kind}")
        failed = SourceUnavailable(f"broken in {kind}")
        return [failed if each in self.broken else value for each, value in zip(ids, found, strict=True)]

    async def prices(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Price | None]:
        return self._read("prices", ids, await self.inner.prices(ids, deadline))

    async def stock(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Stock | None]:
        return self._read("stock", ids, await self.inner.stock(ids, deadline))

    async def categories(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Category | None]:
        return self._read("categories", ids, await self.inner.categories(ids, deadline))


def failing(shop: Pair) -> tuple[Pair, FailingReads]:
    """The shop with reads that can fail one by one, which reads that visits share do together."""
    source = FailingReads(shop.visits.source)
    commerce = cast("CommerceSource", source)
    reads = SharedReads(commerce)
    for kind in ("prices", "stock", "categories"):
        setattr(reads, kind, _unshared(getattr(source, kind)))
    return replace(shop, visits=replace(shop.visits, source=commerce, reads=reads)), source


def _unshared(read: Callable[[Sequence[str], Deadline], Awaitable[Sequence[Any]]]) -> Any:
    return lambda ids, deadline, _hold: read(ids, deadline)


async def _ids(shop: Pair) -> tuple[list[str], list[str]]:
    query = "{ catalog(first: 6) { nodes { id category { id parent { id } } } } }"
    nodes = (await shop.ask(shop.bare, query, None, visitor("a")))["data"]["catalog"]["nodes"]
    return [node["id"] for node in nodes], [node["category"]["id"] for node in nodes]


@pytest.mark.parametrize("query", [HOME, BELOW])
@pytest.mark.parametrize(
    ("broken", "down"),
    [("product", ""), ("category", ""), ("both", ""), ("", "stock"), ("", "prices categories"), ("product", "stock")],
)
async def test_a_failure_is_told_the_same_and_read_once(data_dir: Path, query: str, broken: str, down: str) -> None:
    async with pair(data_dir) as opened:
        products, categories = await _ids(opened)
        named = {"product": products[1:3], "category": categories[:1], "both": [products[0], categories[1]], "": []}
        shop, source = failing(opened)
        source.broken, source.down = frozenset(named[broken]), frozenset(down.split())
        expected = await shop.ask(shop.bare, query, {"c": {}}, visitor("a"))
        assert expected["errors"]
        most = max(source.calls.values())
        source.calls.clear()
        for _ in range(2):  # nothing of what failed is kept
            assert await shop.ask(shop.keeping, query, {"c": {}}, visitor("a")) == expected
            assert max(source.calls.values()) <= most, "what failed was read once more"
            source.calls.clear()
        source.broken, source.down = frozenset(), frozenset()
        whole = await shop.ask(shop.bare, query, {"c": {}}, visitor("a"))
        for _ in range(2):
            assert await shop.ask(shop.keeping, query, {"c": {}}, visitor("a")) == whole


async def test_what_the_second_tier_has_is_not_made(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shared = SharedTier(LocalTier(opened.clock), opened.clock)
        opened.cache._shared = shared
        shop, source = failing(opened)
        expected = await shop.ask(shop.keeping, HOME, {"c": {}}, visitor("a"))
        await shared.flush()
        shop.cache.memory.clear()
        source.calls.clear()
        await shop.cache.purge(["Query.catalog", "Recommendations.products"])
        assert await shop.ask(shop.keeping, HOME, {"c": {}}, visitor("a")) == expected
        assert not source.calls, "all products were in the second tier"


async def test_who_leaves_leaves_nothing_running(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, _ = failing(opened)
        before = asyncio.all_tasks()
        for turns in range(0, 40, 3):
            await shop.cache.clear()
            asking = asyncio.create_task(shop.ask(shop.keeping, BELOW, {"c": {}}, visitor("a")))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
        await asyncio.sleep(0.1)
        assert asyncio.all_tasks() == before
