"""A crowd before a slow source: 100 viewers in 5 segments ask at once for a shelf that takes the shop 100 ms.

Calls to the source are counted when nothing is kept, and each time after what is kept has expired; there it is looked
at how long a viewer waits too, who should have what is kept while it is made anew. In this process, where the cache has
a clock that is moved on; the source's 100 ms are real. `python -m bench.cold` runs it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from bench.inside import Inside, inside
from personalization.clock import Deadline
from resolvers.sources.source import CommerceSource, Product, ShelfQuery
from resolvers.viewer import Viewer

VIEWERS = 100
REGIONS = ("US-NE", "US-MW", "US-S", "US-W", "AU-NSW")
SLOW_S = 0.1
EXPIRIES = 5
EXPIRED_S = 65.0
"""Shelves live 60 s and are served 30 s longer; products are not asked here for what lives shorter."""

SHELF = (
    "query ($c: Context) { recommendations(placement: HOME, context: $c) { decision { action } products { id name } } }"
)


class SlowShelves:
    """The shop, with shelves that take their time and are counted."""

    def __init__(self, shop: CommerceSource) -> None:
        self._shop = shop
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shop, name)

    async def shelves(self, queries: Sequence[ShelfQuery], deadline: Deadline) -> Sequence[tuple[Product, ...]]:
        """As the shop, 100 ms later."""
        self.calls += 1
        await asyncio.sleep(SLOW_S)
        return await self._shop.shelves(queries, deadline)


@dataclass(frozen=True, slots=True)
class Waits:
    """Calls to the source, and the seconds that a viewer waited at most: with nothing kept, all fresh, all expired."""

    first_calls: int
    calls: Sequence[int]
    first: float
    fresh: float
    expired: Sequence[float]


async def measured(directory: Path) -> Waits:
    """Have the crowd ask."""
    slow: list[SlowShelves] = []

    def slowed(shop: CommerceSource) -> CommerceSource:
        slow.append(SlowShelves(shop))
        return cast("CommerceSource", slow[0])

    async with inside(directory, budget=16_000_000, source=slowed) as opened:
        source = slow[0]
        first, first_calls = await _longest(opened), source.calls
        fresh = await _longest(opened)
        calls, expired = [], []
        for _ in range(EXPIRIES):
            before = source.calls
            opened.clock.ticks += EXPIRED_S
            expired.append(await _longest(opened))
            await opened.cache.settle()
            calls.append(source.calls - before)
        return Waits(first_calls, calls, first, fresh, expired)


async def _longest(opened: Inside) -> float:
    """The seconds that pass until the last of the crowd, who all come at once, has an answer."""

    async def ask(n: int) -> float:
        viewer = Viewer(f"visitor:{n}", f"session {n}", region=REGIONS[n % len(REGIONS)])
        await opened.ask(SHELF, {"c": {}}, viewer)
        return perf_counter()

    began = perf_counter()
    return max(await asyncio.gather(*(ask(n) for n in range(VIEWERS)))) - began


def show(waits: Waits) -> None:
    """Print it."""
    print(f"\n{VIEWERS} viewers in {len(REGIONS)} segments at once, a source of {SLOW_S * 1000:.0f} ms")
    print(f"{'calls to the source, nothing kept':60}{waits.first_calls:8}   {len(REGIONS)}")
    print(f"{'calls to the source, each time all has expired, most':60}{max(waits.calls):8}   {len(REGIONS)}")
    print(f"{'longest wait / the source: nothing kept':60}{waits.first / SLOW_S:8.2f}")
    print(f"{'longest wait / the source: all expired':60}{max(waits.expired) / SLOW_S:8.2f}   below 1")
    print(f"{'longest wait / the source: all fresh':60}{waits.fresh / SLOW_S:8.2f}")
