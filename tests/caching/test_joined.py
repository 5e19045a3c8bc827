"""Texts that were put together once are remembered, and never any longer than they are good."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from personalization.clock import ManualClock
from resolvers.caching.cache import MOST_JOINED, FragmentCache, Life, Made
from resolvers.caching.memory import MemoryTier
from resolvers.caching.metrics import CacheMetrics
from tests.personalization.hub_suite import START

PRODUCTS = [b"product %d" % n for n in range(6)]
PAGES = [b"page %d" % n for n in range(4)]


class Kept:
    """A cache of pages of a few products each, all of which may come and go."""

    def __init__(self, budget: int) -> None:
        self.clock = ManualClock(START)
        metrics = CacheMetrics(CollectorRegistry())
        self.cache = FragmentCache(MemoryTier(budget, metrics, Random(1)), metrics, self.clock, chance=Random(2))
        self.made = 0

    def keep(self, key: bytes, holes: list[bytes], field: str = "Query.page") -> None:
        self.made += 1
        cells = [cell for cell in map(self.cache.find, holes) if cell is not None]
        parts = [b"<%d>" % self.made * 50] * (len(cells) + 1)
        tags, now = frozenset({key.decode()}), self.cache.now()
        self.cache.keep(key, field, Made(parts, cells, tags, Life(10.0, 5.0), now, self.cache.epoch))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("product"), st.sampled_from(PRODUCTS)),
        st.tuples(st.just("page"), st.sampled_from(PAGES)),
        st.tuples(st.just("purge"), st.sampled_from([*PRODUCTS, *PAGES])),
        st.tuples(st.just("wait"), st.just(b"")),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(STEPS, st.sampled_from([8_000, 1_000_000]))
def test_what_is_remembered_is_what_would_be_put_together(steps: list[tuple[str, bytes]], budget: int) -> None:
    kept = Kept(budget)
    for what, key in steps:
        if what == "wait":
            kept.clock.ticks += 2.5
        elif what == "purge":
            kept.cache.forget([key.decode()])
        else:
            kept.keep(key, PRODUCTS[: 3 + kept.made % 3] if what == "page" else [])
        now = kept.cache.now()
        for _ in range(3):
            for cell in kept.cache.memory.cells():
                assert kept.cache.text(cell, now) == cell.text(now)


def test_it_is_remembered_until_something_changes() -> None:
    kept = Kept(1_000_000)
    kept.keep(PRODUCTS[0], [])
    kept.keep(PAGES[0], [PRODUCTS[0]])
    page = kept.cache.find(PAGES[0])
    assert page is not None
    texts = [kept.cache.text(page, kept.cache.now()) for _ in range(4)]
    assert texts[3] is texts[2] is texts[1]
    kept.keep(PRODUCTS[0], [])
    assert kept.cache.text(page, kept.cache.now()) not in {None, texts[3]}


def test_it_outlives_what_does_not_stand_in_it() -> None:
    kept = Kept(1_000_000)
    kept.keep(PRODUCTS[0], [], "Product")
    kept.keep(PAGES[0], [PRODUCTS[0]])
    page = kept.cache.find(PAGES[0])
    assert page is not None
    texts = [kept.cache.text(page, kept.cache.now()) for _ in range(3)]
    kept.keep(b"component", [], "Query.components")
    kept.cache.forget(["component"])
    assert kept.cache.text(page, kept.cache.now()) is texts[2]


def test_so_many_are_remembered() -> None:
    kept = Kept(10_000_000)
    kept.keep(PRODUCTS[0], [])
    for number in range(MOST_JOINED + 1):
        kept.keep(b"another page %d" % number, [PRODUCTS[0]])
    pages = [cell for cell in kept.cache.memory.cells() if cell.holes]
    for page in pages:
        texts = [kept.cache.text(page, kept.cache.now()) for _ in range(3)]
        assert texts[2] is texts[1]
    assert kept.cache.text(pages[1], kept.cache.now()) is kept.cache.text(pages[1], kept.cache.now())
    assert kept.cache.text(pages[0], kept.cache.now()) is not kept.cache.text(pages[0], kept.cache.now())
