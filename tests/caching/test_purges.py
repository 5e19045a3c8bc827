"""Purges that reach every process, and what changes make the cache forget."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.changes import Changes
from gateway.purges import Purges
from personalization.assembly import load_policy
from personalization.clock import SystemClock
from personalization.decision.live_policy import LivePolicies
from personalization.errors import HubUnavailable
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import PURGES, NewEvent
from personalization.ids import new_id
from personalization.registry import ModelRegistry
from resolvers.caching.cache import FragmentCache, Life, Made
from resolvers.caching.memory import MemoryTier
from resolvers.caching.metrics import CacheMetrics
from tests.personalization.lessons import snapshot_of

CLOCK = SystemClock()


class Process:
    """A cache that follows a hub, as one of several processes has it."""

    def __init__(self, hub: MemoryHub) -> None:
        self.registry = CollectorRegistry()
        metrics = CacheMetrics(self.registry)
        self.cache = FragmentCache(MemoryTier(1_000_000, metrics), metrics, CLOCK)
        self.purges = Purges(self.cache, hub, new_id, self.registry)

    def keep(self, key: str, *tags: str) -> None:
        made = Made([b"{}"], [], frozenset(tags), Life(60.0), CLOCK.monotonic(), self.cache.epoch)
        assert self.cache.keep(key.encode(), "Query.catalog", made) is not None

    def keys(self) -> set[str]:
        return {cell.key.decode() for cell in self.cache.memory.cells()}

    def received(self, result: str) -> float:
        return self.registry.get_sample_value("gateway_cache_purge_events_total", {"result": result}) or 0.0


@asynccontextmanager
async def processes(hub: MemoryHub, count: int = 2) -> AsyncIterator[Sequence[Process]]:
    made = [Process(hub) for _ in range(count)]
    for each in made:
        await each.purges.start()
    yield made
    for each in made:
        await each.purges.aclose()
        await each.cache.aclose()


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


@pytest.fixture
def hub() -> MemoryHub:
    return MemoryHub(CLOCK, new_id)


@pytest.mark.parametrize(
    ("tags", "left"), [(["a"], {"2"}), (["a", "b"], set()), (None, set()), (["flag:x"], {"1", "2"})]
)
async def test_a_purge_reaches_all(hub: MemoryHub, tags: list[str] | None, left: set[str]) -> None:
    async with processes(hub) as (one, other):
        for each in (one, other):
            each.keep("1", "a")
            each.keep("2", "b")
            each.keep("3", "Query.components", "a")
        await one.purges.purge(tags)
        assert one.keys() == left
        await until(lambda: other.keys() == left)
        one.keep("4", "a", "Query.components")
        await asyncio.sleep(0.05)
        assert {"4"} <= one.keys()  # its own purge does not come back to it
        assert one.received("done") == 0


async def test_an_event_of_anybody_on_the_hub_purges(hub: MemoryHub) -> None:
    async with processes(hub, 1) as (one,):
        one.keep("1", "Product:1")
        rubbish = [NewEvent(f"bad{n}", "shop", value) for n, value in enumerate((b"", b"[]", b'{"tags": [1]}'))]
        await hub.append(PURGES, [*rubbish, NewEvent("good", "shop", b'{"tags": ["Product:1"]}')])
        await until(lambda: one.keys() == set())
        await until(lambda: one.received("refused") == len(rubbish))


async def test_who_cannot_tell_the_others_says_so(hub: MemoryHub) -> None:
    async with processes(hub) as (one, other):
        one.keep("1", "a")
        other.keep("1", "a")
        hub.fail("full")
        with pytest.raises(HubUnavailable):
            await one.purges.purge(["a"])
        assert one.keys() == set()
        await asyncio.sleep(0.1)  # somebody looks meanwhile
        hub.fail(None)
        await until(lambda: other.received("missed") == 1)  # who could not listen trusts nothing
        assert other.keys() == set()


async def test_a_hub_that_is_away_at_the_start_is_followed_later(hub: MemoryHub) -> None:
    hub.fail("away")
    async with processes(hub) as (one, other):
        other.keep("1", "a")
        hub.fail(None)
        await until(lambda: other.received("missed") == 1 and one.received("missed") == 1)
        other.keep("1", "a")
        await one.purges.purge(["a"])
        await until(lambda: other.keys() == set())


async def test_what_was_being_made_when_a_purge_came_is_not_kept(hub: MemoryHub) -> None:
    async with processes(hub) as (one, other):
        epoch = other.cache.epoch
        await one.purges.purge(["a"])
        await until(lambda: other.received("done") == 1)
        made = Made([b"{}"], [], frozenset({"a"}), Life(60.0), CLOCK.monotonic(), epoch)
        assert other.cache.keep(b"1", "Query.catalog", made) is None


async def test_a_storm_leaves_nothing_of_what_it_names(hub: MemoryHub) -> None:
    async with processes(hub) as (one, other):
        for n in range(300):
            other.keep(str(n), f"Product:{n}")
        await asyncio.gather(*(one.purges.purge([f"Product:{n}"]) for n in range(250)))
        await until(lambda: other.keys() <= {str(n) for n in range(250, 300)})


async def test_a_change_of_segments_forgets_what_looked_at_them(hub: MemoryHub) -> None:
    async with processes(hub, 1) as (one,):
        one.keep("1", "segment:loyal")
        one.keep("2", "segment:new")
        Changes(one.cache).segments([])
        Changes(one.cache).segments(["loyal", "gone"])
        assert one.keys() == {"2"}


async def test_a_policy_that_takes_over_forgets_what_the_last_one_decided(hub: MemoryHub, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path, CLOCK)
    live = LivePolicies.over(registry, load_policy, CollectorRegistry())
    snapshot = snapshot_of(50)

    async def promote() -> None:
        registry.promote("component", registry.add("component", snapshot.model, canaries=snapshot.canaries).version, {})
        assert await live.component.refresh()

    async with processes(hub, 1) as (one,):
        end = Changes(one.cache).follow(live, unled="uniform@1")
        for n, policy in enumerate(("uniform@1", "component@1", "component@2", "shelf@1")):
            one.keep(str(n), f"policy:{policy}")
        await promote()
        assert one.keys() == {"1", "2", "3"}
        await promote()
        assert one.keys() == {"2", "3"}
        end()
        await promote()
        assert one.keys() == {"2", "3"}
