"""What is not kept for a segment any more is made the short way, where nothing has to be waited for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personalization.events import Persona
from resolvers.viewer import Viewer
from tests.caching.shop import Pair, pair
from tests.caching.test_keeping import counting

HOME = """query ($c: Context) {
  recommendations(placement: HOME, first: 4, context: $c) { decision { action } products { id name price { amount } } }
  components(page: "home", context: $c) { name version reason exposure { id } }
}"""
OF_SEGMENTS = ["Recommendations.products", "Query.components"]
CONTEXT = {"c": {"region": "US-NE"}}


def visitor(name: str) -> Viewer:
    return Viewer(f"visitor:{name}", f"session-{name}", persona=Persona.VISITOR)


async def asked_before(shop: Pair, names: str, context: Mapping[str, Any] = CONTEXT) -> None:
    """Have all of it kept for these visitors, and their sticky decisions at hand."""
    for name in names * 3:
        await shop.ask(shop.keeping, HOME, context, visitor(name))


async def test_what_was_purged_is_made_at_once_and_kept(data_dir: Path) -> None:
    async with pair(data_dir) as shop:
        await asked_before(shop, "ab")
        expected = [await shop.ask(shop.bare, HOME, CONTEXT, visitor(name)) for name in "ab"]
        await shop.cache.purge(OF_SEGMENTS)
        made = [await shop.ask_at_once(HOME, CONTEXT, visitor(name)) for name in "ab"]
        assert made == expected
        kept = {cell.field: cell for cell in shop.cache.memory.cells() if cell.field in OF_SEGMENTS}
        assert set(kept) == set(OF_SEGMENTS)
        assert "policy:uniform@1" in kept["Query.components"].tags
        misses = shop.looked("miss")
        assert [await shop.ask(shop.keeping, HOME, CONTEXT, visitor(name)) for name in "ab"] == expected
        assert shop.looked("miss") == misses, "the ordinary way finds what the short way kept"


async def test_what_is_decided_for_one_is_never_told_another(data_dir: Path) -> None:
    """Components with their decisions are never kept; a plan gives them, for all visitors of a kind."""
    query = 'query ($c: Context) { components(page: "home", context: $c) { version exposure { id } decision { id } } }'
    async with pair(data_dir) as shop:
        for name in "abcab":
            expected = await shop.ask(shop.bare, query, CONTEXT, visitor(name))
            assert await shop.ask(shop.keeping, query, CONTEXT, visitor(name)) == expected
        for name in "abc":
            expected = await shop.ask(shop.bare, query, CONTEXT, visitor(name))
            assert await shop.ask_at_once(query, CONTEXT, visitor(name)) == expected


async def test_each_purge_of_what_is_made_at_once_is_heeded(data_dir: Path) -> None:
    async with pair(data_dir) as shop:
        await asked_before(shop, "a")
        for tag in ("policy:uniform@1", *OF_SEGMENTS):
            await shop.cache.purge(OF_SEGMENTS)
            assert await shop.ask_at_once(HOME, CONTEXT, visitor("a")) is not None
            assert await shop.cache.purge([tag]) == 1


async def test_who_has_no_decision_at_hand_goes_the_ordinary_way(data_dir: Path) -> None:
    async with pair(data_dir) as shop:
        await asked_before(shop, "a")
        assert await shop.ask_at_once(HOME, CONTEXT, visitor("newcomer")) is None
        await shop.ask(shop.bare, HOME, CONTEXT, visitor("newcomer"))
        made = await shop.ask_at_once(HOME, CONTEXT, visitor("newcomer"))
        assert made == await shop.ask(shop.bare, HOME, CONTEXT, visitor("newcomer"))


async def test_a_shop_that_would_have_to_be_asked_is_not_asked(data_dir: Path) -> None:
    async with pair(data_dir) as opened:
        shop, source = counting(opened)
        await asked_before(shop, "a")
        await shop.cache.clear()
        calls = source.calls.copy()
        assert await shop.ask_at_once(HOME, CONTEXT, visitor("a")) is None, "products are to be read"
        assert (source.calls, len(shop.cache.memory)) == (calls, 0)


async def test_flags_that_depend_on_the_moment_go_the_ordinary_way(data_dir: Path) -> None:
    async with pair(data_dir) as shop:
        await asked_before(shop, "a")
        await shop.cache.purge(OF_SEGMENTS)
        shop.visits.components.current.timed = True
        assert await shop.ask_at_once(HOME, CONTEXT, visitor("a")) is None
