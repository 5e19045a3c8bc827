"""Whatever is asked by whomever: the answer with everything kept is the answer with nothing kept, to the byte."""

import gc
import os
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from personalization.events import Device, Persona
from resolvers.viewer import Viewer
from tests.caching.queries import Pools, Queries
from tests.caching.shop import Pair, pair

PAIRS = int(os.environ.get("CACHE_PAIRS", "2000"))
QUERIES = 20
TIMES = 10
"""So many queries come so many times each, for other viewers and later, so that what is kept is used."""

VIEWERS = (
    Viewer(subject="visitor:a", session="s1", persona=Persona.VISITOR, region="US-NE", device=Device.PHONE),
    Viewer(subject="visitor:b", session="s2", persona=Persona.VISITOR),
    Viewer(subject="visitor:c", session="s6", persona=Persona.VISITOR),
    Viewer(subject="customer:1", session="s3", customer_id="1", persona=Persona.BUILDER),
    Viewer(subject="customer:7", session="s4", customer_id="7", region="US-S"),
    Viewer(subject="customer:1", session="s5", customer_id="1", scopes=frozenset({"preview"})),
)


async def pools_of(shop: Pair) -> Pools:
    answer = await shop.ask(shop.bare, "{ catalog(first: 12) { nodes { id } } categories { id } }", None, VIEWERS[0])
    products = [each["id"] for each in answer["data"]["catalog"]["nodes"]]
    return Pools(products, [each["id"] for each in answer["data"]["categories"]][:6], ["1", "7", "12", "nobody"])


def comparable(answer: dict[str, Any]) -> bytes:
    """The answer in bytes. Where a failure took all of it, which failure came first is chance."""
    if answer.get("data") is None and answer.get("errors"):
        return b"failed as a whole"
    return orjson.dumps(answer, default=list)


# A failure cancels siblings that have not begun, of which asyncio warns; graphql-core leaves it at that.
@pytest.mark.filterwarnings("ignore:coroutine 'Executor", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_kept_answer_is_the_answer(data_dir: Path) -> None:
    await _compare(data_dir)
    # Here, where its warnings are expected, not in the midst of another test. A change of flags freezes what is there.
    gc.unfreeze()
    gc.collect()


async def _compare(data_dir: Path) -> None:
    async with pair(data_dir) as shop:
        queries = Queries(shop.schema, await pools_of(shop))
        chance, compared, answered = Random(os.environ.get("CACHE_SEED", "1")), 0, 0
        shortly = 0
        while compared < PAIRS:
            seeds = [chance.randrange(2**32) for _ in range(QUERIES)]
            for seed in (seed for _ in range(TIMES) for seed in chance.sample(seeds, QUERIES)):
                query, variables = queries.draw(seed)
                viewer = chance.choice(VIEWERS)
                shop.ids.current = f"{compared}"
                await shop.ask(shop.bare, query, variables, viewer)  # whatever sticks to a session sticks from now on
                expected = await shop.ask(shop.bare, query, variables, viewer)
                actual = await shop.ask(shop.keeping, query, variables, viewer)
                assert comparable(actual) == comparable(expected), (seed, query, variables, viewer)
                if chance.random() < 0.3:
                    await shop.cache.purge(["Recommendations.products", "Query.components"])  # to be made the short way
                short = await shop.ask_at_once(query, variables, viewer)
                assert short is None or comparable(short) == comparable(expected), (seed, query, variables, viewer)
                compared, shortly = compared + 1, shortly + (short is not None)
                answered += expected.get("data") is not None
                await _something_happens(shop, chance)
            shop.known.clear()
        await shop.cache.settle()
        assert compared >= PAIRS
        assert answered > compared / 2
        assert shortly > compared / 8
        assert shop.looked("hit") > compared / 2
        assert shop.looked("stale") > 0


async def _something_happens(shop: Pair, chance: Random) -> None:
    match chance.randrange(150):
        case 0 | 1 | 2 | 3:
            shop.clock.ticks += chance.choice([1, 8, 28, 31, 62, 302])
        case 4:
            await shop.cache.purge(["Query.components", "Product:1128271"])
        case 5:
            await shop.cache.clear()
        case _:
            return
