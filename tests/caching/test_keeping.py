"""What is executed once, what each time, and what is never kept."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.caching import KINDS
from gateway.execution.engine import Engine
from gateway.execution.keeping import Keeping
from personalization.clock import Deadline, ManualClock
from personalization.events import Persona
from resolvers.caching.local import LocalTier
from resolvers.caching.shared import SharedTier
from resolvers.errors import SourceUnavailable, UndeclaredRead
from resolvers.sharing import SharedReads
from resolvers.sources.source import CatalogQuery, Category, CommerceSource, Price, ProductPage, ShelfQuery
from resolvers.sources.source import Product as ShopProduct
from resolvers.viewer import Viewer
from tests.caching.shop import BEGINNING, Pair, pair

LIST = "{ catalog(first: 3) { nodes { id price { amount } } } }"
SHELF = """query ($c: Context) { recommendations(placement: HOME, first: 4, context: $c) {
  decision { action mode } products { id name } } }"""


@dataclass
class CountingSource:
    """The shop, with its calls counted, slow or failing when told to be."""

    inner: CommerceSource
    calls: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    failing: bool = False
    gates: dict[str, asyncio.Event] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def _called(self, name: str, count: int = 1) -> None:
        self.calls[name] += count
        await asyncio.sleep(self.seconds)
        if name in self.gates:
            await self.gates[name].wait()
        if self.failing:
            raise SourceUnavailable("told to")

    async def catalog(self, query: CatalogQuery, deadline: Deadline) -> ProductPage:
        await self._called("catalog")
        return await self.inner.catalog(query, deadline)

    async def prices(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Price | None]:
        await self._called("prices", len(ids))
        return await self.inner.prices(ids, deadline)

    async def shelves(self, queries: Sequence[ShelfQuery], deadline: Deadline) -> Sequence[tuple[ShopProduct, ...]]:
        await self._called("shelves", len(queries))
        return await self.inner.shelves(queries, deadline)


def counting(shop: Pair) -> tuple[Pair, CountingSource]:
    source = CountingSource(shop.visits.source)
    commerce = cast("CommerceSource", source)
    reads = SharedReads(commerce)
    shop.cache.subscribe(reads.forget)
    return replace(shop, visits=replace(shop.visits, source=commerce, reads=reads)), source


def visitor(name: str, region: str | None = None) -> Viewer:
    return Viewer(f"visitor:{name}", f"session-{name}", persona=Persona.VISITOR, region=region)


async def test_a_list_is_executed_once(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        answers = [await shop.ask(shop.keeping, LIST, None, visitor(str(n))) for n in range(5)]
        assert all(answer == answers[0] for answer in answers)
        assert source.calls == {"catalog": 1, "prices": 3}


async def test_who_comes_while_it_is_made_waits_for_it(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        source.seconds = 0.02
        answers = await asyncio.gather(*(shop.ask(shop.keeping, LIST, None, visitor(str(n))) for n in range(50)))
        assert all(answer == answers[0] for answer in answers)
        assert source.calls == {"catalog": 1, "prices": 3}
        assert shop.looked("shared") == 49


async def _many_turns() -> None:
    """More turns of the loop than it takes to ask for whatever is not waited for."""
    for _ in range(500):
        await asyncio.sleep(0)


PRICED = "{ recommendations(placement: HOME, first: 4) { products { id price { amount } } } }"


async def test_who_comes_while_a_shelf_is_completed_does_not_read_it_again(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        source.gates["prices"] = asyncio.Event()
        first = asyncio.create_task(shop.ask(shop.keeping, PRICED, None, visitor("a")))
        await _many_turns()
        assert source.calls == {"shelves": 1, "prices": 4}, "the shelf has come and is not kept yet"
        second = asyncio.create_task(shop.ask(shop.keeping, PRICED, None, visitor("b")))
        await _many_turns()
        source.gates["prices"].set()
        assert await first == await second
        assert source.calls == {"shelves": 1, "prices": 4}
        assert await shop.ask(shop.keeping, PRICED, None, visitor("c")) == await first
        assert source.calls == {"shelves": 1, "prices": 4}


@pytest.mark.parametrize(("waiting", "read"), [("prices", {"shelves": 2, "prices": 8}), ("shelves", {"shelves": 2})])
async def test_who_comes_after_a_purge_reads_all_of_it_again(
    data_dir: Path, waiting: str, read: dict[str, int]
) -> None:
    """What was read before the purge, or begun, is as old as what was purged."""
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        source.gates[waiting] = asyncio.Event()
        first = asyncio.create_task(shop.ask(shop.keeping, PRICED, None, visitor("a")))
        await _many_turns()
        await shop.cache.clear()
        second = asyncio.create_task(shop.ask(shop.keeping, PRICED, None, visitor("b")))
        await _many_turns()
        assert source.calls == read
        source.gates[waiting].set()
        assert await first == await second


async def test_a_maker_who_leaves_hands_over(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        source.seconds = 0.05
        first = asyncio.create_task(shop.ask(shop.keeping, LIST, None, visitor("a")))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(shop.ask(shop.keeping, LIST, None, visitor("b")))
        await asyncio.sleep(0.01)
        first.cancel()
        assert (await second)["errors"] == []
        assert source.calls["catalog"] == 1, "the read went on for who waited"


async def test_a_stale_value_is_served_while_it_is_made_anew(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        before = await shop.ask(shop.keeping, LIST, None, visitor("a"))
        shop.clock.ticks += 33  # prices live 30 s and are served 10 s longer
        source.seconds = 0.02
        assert await shop.ask(shop.keeping, LIST, None, visitor("b")) == before
        assert source.calls["catalog"] == 1
        await shop.cache.settle()
        assert source.calls == {"catalog": 2, "prices": 6}
        await shop.ask(shop.keeping, LIST, None, visitor("c"))
        await shop.cache.settle()
        assert source.calls == {"catalog": 2, "prices": 6}


async def test_what_failed_is_not_kept(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        source.failing = True
        assert (await shop.ask(shop.keeping, LIST, None, visitor("a")))["errors"]
        assert len(shop.cache.memory) == 0
        source.failing = False
        assert (await shop.ask(shop.keeping, LIST, None, visitor("a")))["errors"] == []


async def test_a_shelf_is_a_fresh_decision_over_kept_products(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        actions = set()
        for n in range(60):
            shop.ids.current = str(n)
            answer = await shop.ask(shop.keeping, SHELF, {"c": {"region": "US-NE"}}, visitor(str(n)))
            actions.add(answer["data"]["recommendations"]["decision"]["action"])
            assert answer["errors"] == []
        assert len(actions) == 4
        assert source.calls["shelves"] <= 4


async def test_a_hundred_viewers_of_five_segments_ask_the_slow_source_five_times(data_dir: Path) -> None:
    query = "query ($c: Context) { recommendations(placement: HOME, first: 4, context: $c) { products { id } } }"
    regions = ["US-NE", "US-MW", "US-S", "US-W", "AU-NSW"]
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        shop.ids.current = "one action for all"

        async def everybody() -> None:
            asked = [shop.ask(shop.keeping, query, {"c": {}}, visitor(str(n), regions[n % 5])) for n in range(100)]
            answers = await asyncio.gather(*asked)
            assert not any(answer["errors"] for answer in answers)

        source.seconds = 0.1
        await everybody()
        assert source.calls["shelves"] == 5
        for round_ in (1, 2, 3):
            shop.clock.ticks += 65
            held = asyncio.Event()
            source.gates["shelves"] = held  # nobody waits for it
            await asyncio.wait_for(everybody(), 10)
            held.set()
            await shop.cache.settle()
            assert source.calls["shelves"] == 5 + 5 * round_


async def test_a_purge_takes_what_carries_the_tag(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        answer = await shop.ask(shop.keeping, LIST, None, visitor("a"))
        first = answer["data"]["catalog"]["nodes"][0]["id"]
        assert await shop.cache.purge([f"Product:{first}"]) == 1
        await shop.ask(shop.keeping, LIST, None, visitor("a"))
        assert source.calls == {"catalog": 2, "prices": 4}


async def test_a_purge_reaches_what_is_being_made(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        source.seconds = 0.03
        asking = asyncio.create_task(shop.ask(shop.keeping, LIST, None, visitor("a")))
        await asyncio.sleep(0.01)
        await shop.cache.purge(["Query.catalog"])
        await asking
        await shop.ask(shop.keeping, LIST, None, visitor("a"))
        assert source.calls["catalog"] == 2


async def test_absence_is_remembered_briefly(data_dir: Path) -> None:
    async with pair(data_dir) as shop:
        query = '{ product(id: "nobody") { name } }'
        for seconds, misses in ((0, 1), (4, 1), (2, 2)):
            shop.clock.ticks += seconds
            assert (await shop.ask(shop.keeping, query, None, visitor("a")))["data"] == {"product": None}
            assert shop.looked("miss") == misses


async def test_another_process_finds_it_in_the_second_tier(data_dir: Path) -> None:
    tier = LocalTier(ManualClock(BEGINNING))
    async with pair(data_dir) as one:
        shared = SharedTier(tier, one.clock)
        one.cache._shared = shared
        shop, _ = counting(one)
        expected = await shop.ask(shop.keeping, LIST, None, visitor("a"))
        await shared.flush()
        shop.cache.memory.clear()
        again, source = counting(one)
        assert await again.ask(again.keeping, LIST, None, visitor("b")) == expected
        assert source.calls == {}


@pytest.mark.parametrize("region", ["US-NE", None])
async def test_components_of_another_viewer_are_never_served(data_dir: Path, region: str | None) -> None:
    query = 'query ($c: Context) { components(page: "home", context: $c) { name version exposure { id } } }'
    async with pair(data_dir) as shop:
        ids = set()
        for n in range(10):
            for _ in range(2):
                answer = await shop.ask(shop.keeping, query, {"c": {}}, visitor(str(n), region))
                assert answer["errors"] == []
                ids |= {each["exposure"]["id"] for each in answer["data"]["components"] if each["exposure"]}
        bare = {
            each["exposure"]["id"]
            for n in range(10)
            for each in (await shop.ask(shop.bare, query, {"c": {}}, visitor(str(n), region)))["data"]["components"]
            if each["exposure"]
        }
        assert ids == bare


async def test_a_product_on_a_list_and_on_a_shelf_is_kept_once(data_dir: Path) -> None:
    """Both are made at once, and neither loses it to the other."""
    query = """{ catalog(first: 5) { nodes { id name } }
      recommendations(placement: HOME, first: 5) { products { id name } } }"""
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        for _ in range(5):
            await shop.ask(shop.keeping, query, None, visitor("a"))
        assert source.calls == {"catalog": 1, "shelves": 1}
        assert len([cell for cell in shop.cache.memory.cells() if cell.field == "Product"]) == 5


def _reading_the_viewer(shop: Pair) -> None:
    """Give a public field a resolver that tells everybody who the first one was."""
    query = shop.schema.query_type
    assert query is not None
    query.fields["categories"].resolve = lambda _source, info: [
        Category(info.context.viewer.subject, "a name", None, (), 0)
    ]


async def test_an_undeclared_read_is_an_error_where_it_is_looked_for(data_dir: Path) -> None:
    async with pair(data_dir) as shop:
        _reading_the_viewer(shop)
        with pytest.raises(UndeclaredRead, match=r"Query.categories is of scope PUBLIC and read \['viewer.subject'\]"):
            await shop.ask(shop.keeping, "{ categories { id } }", None, visitor("a"))


async def test_an_undeclared_read_is_never_kept(data_dir: Path) -> None:
    async with pair(data_dir) as shop:
        _reading_the_viewer(shop)
        lenient = Engine(shop.schema, keeping=Keeping(shop.cache, KINDS))
        for name in ("a", "b"):
            answer = await shop.ask(lenient, "{ categories { id } }", None, visitor(name))
            assert answer["data"] == {"categories": [{"id": f"visitor:{name}"}]}
        labels = {"field": "Query.categories", "reason": "undeclared"}
        assert shop.registry.get_sample_value("gateway_cache_bypasses_total", labels) == 2


@pytest.mark.parametrize("purged", [False, True])
async def test_a_wrong_key_is_found_out(data_dir: Path, purged: bool) -> None:
    """What is served from the wrong place differs from what is made, and is thrown out; what was purged may differ."""
    async with pair(data_dir) as shop:
        engine = Engine(shop.schema, keeping=Keeping(shop.cache, KINDS, shadow=1.0))
        query = "query ($id: ID!) { category(id: $id) { id } }"
        answer = await shop.ask(shop.bare, "{ categories { id } }", None, visitor("a"))
        ids = [each["id"] for each in answer["data"]["categories"]]
        await shop.ask(engine, query, {"id": ids[0]}, visitor("a"))
        await shop.cache.settle()
        (right,) = (cell for cell in shop.cache.memory.cells() if cell.field == "Query.category")
        right.parts = (b'{"id":"wrong"}',)
        assert (await shop.ask(engine, query, {"id": ids[0]}, visitor("a")))["data"]["category"] == {"id": "wrong"}
        if purged:
            await shop.cache.purge(["Query.category"])
        await shop.cache.settle()
        mismatches = shop.registry.get_sample_value("gateway_cache_mismatches_total", {"field": "Query.category"})
        assert mismatches == (None if purged else 1)
        assert (await shop.ask(engine, query, {"id": ids[0]}, visitor("a")))["data"]["category"] == {"id": ids[0]}


async def test_what_a_policy_decided_carries_its_tag(data_dir: Path) -> None:
    query = 'query ($c: Context) { components(page: "home", context: $c) { name version } }'
    async with pair(data_dir) as shop:
        for n in range(5):
            await shop.ask(shop.keeping, query, {"c": {}}, visitor(str(n)))
        await shop.ask(shop.keeping, query, None, visitor("a"))
        cells = [cell for cell in shop.cache.memory.cells() if cell.field == "Query.components"]
        assert sorted("policy:uniform@1" in cell.tags for cell in cells) == [False, *[True] * 5]
        assert await shop.cache.purge(["policy:uniform@1"]) == 5


async def test_a_shelf_s_products_stand_on_no_policy(data_dir: Path) -> None:
    async with pair(data_dir) as shop:
        await shop.ask(shop.keeping, SHELF, {"c": {}}, visitor("a"))
        assert not any(tag.startswith("policy:") for cell in shop.cache.memory.cells() for tag in cell.tags)
