"""The tier in memory: never over its budget, its account true, and the least valuable out first."""

import tracemalloc
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from resolvers.caching.cell import Cell
from resolvers.caching.memory import SHARE, MemoryTier
from resolvers.caching.metrics import CacheMetrics


def tier(budget: int = 100_000) -> MemoryTier:
    return MemoryTier(budget, CacheMetrics(CollectorRegistry()), Random(1))


def cell(
    key: bytes, size: int = 1000, *, field: str = "Product", cost: float = 0.01, holes: tuple[Cell, ...] = ()
) -> Cell:
    made = Cell(key, field)
    parts = [b"x" * (size // (len(holes) + 1)) for _ in range(len(holes) + 1)]
    made.fill(parts, holes, frozenset({f"{field}:{key.hex()}", field}), (0.0, 60.0, 90.0), cost)
    return made


def keep(memory: MemoryTier, made: Cell) -> bool:
    """Keep it as one that is asked for again."""
    return memory.keep(made) or memory.keep(made)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9000), st.sampled_from("abc"), st.booleans()), max_size=150)
)
def test_the_account_is_true_and_within_the_budget(steps: list[tuple[int, int, str, bool]]) -> None:
    memory = tier(60_000)
    for number, size, field, forget in steps:
        if forget:
            memory.forget(f"{field}:{bytes([number]).hex()}")
        else:
            keep(memory, cell(bytes([number]), size, field=field))
        cells = memory.cells()
        assert memory.held == sum(each.size for each in cells) <= 60_000
        for name in "abc":
            assert memory.held_by(name) == sum(each.size for each in cells if each.field == name) <= 60_000 * SHARE
        assert all(memory.find(each.key) is each for each in cells)


def test_what_costs_much_and_is_used_often_stays() -> None:
    memory = tier(200_000)
    for n in range(30):
        keep(memory, cell(b"dear %d" % n, field="dear", cost=0.1))
    for n in range(2000):
        memory.find(b"dear %d" % (n % 30))
        keep(memory, cell(b"cheap %d" % n, field="cheap", cost=0.0001))
    assert sum(memory.find(b"dear %d" % n) is not None for n in range(30)) >= 28


def test_what_stands_in_a_value_that_is_used_often_stays_with_it() -> None:
    memory = tier(200_000)
    products = [cell(b"product %d" % n) for n in range(10)]
    pages = [cell(b"page %d" % n, 20, field="page", holes=(each,)) for n, each in enumerate(products)]
    for each in (*products, *pages):
        keep(memory, each)
    for n in range(2000):
        memory.find(b"page %d" % (n % 10))
        keep(memory, cell(b"other product %d" % n))
    assert sum(page.text(1.0) is not None for page in pages) >= 9


def test_a_flood_of_keys_asked_for_once_pushes_nobody_out() -> None:
    memory = tier(200_000)
    names = [b"%d" % n for n in range(80)]
    for name in names:
        memory.keep(cell(name))
    kept = [name for name in names if memory.find(name) is not None]
    for n in range(5000):
        memory.keep(cell(b"once %d" % n))
    assert all(memory.find(name) is not None for name in kept)


def test_one_field_cannot_take_it_all() -> None:
    memory = tier(200_000)
    for n in range(20):
        keep(memory, cell(b"product %d" % n))
    for n in range(3000):
        keep(memory, cell(b"greedy %d" % n, field="greedy", cost=1.0))
    assert memory.held_by("greedy") <= 200_000 * SHARE
    assert sum(memory.find(b"product %d" % n) is not None for n in range(20)) == 20


def test_a_list_sees_its_entities_renewed_and_thrown_out() -> None:
    memory = tier()
    product = cell(b"p", 10)
    memory.keep(product)
    shelf = cell(b"s", 10, field="shelf", holes=(product,))
    memory.keep(shelf)
    assert shelf.text(1.0) == b"x" * 5 + b"x" * 10 + b"x" * 5
    memory.forget("Product:70")
    assert shelf.text(1.0) is None


def test_the_bytes_that_are_counted_are_those_that_are_taken() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        memory = tier(50_000_000)
        for n in range(3000):
            memory.keep(cell(b"a key of some bytes %d" % n, 600))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= memory.held * 1.1
    assert memory.held <= taken * 1.5


def test_segments_share_their_products() -> None:
    """2,000 products x 50 segments x 4 actions: at most one and a half times one copy of each fragment."""
    memory = tier(100_000_000)
    products = [cell(b"product %d" % n, 600) for n in range(2000)]
    for each in products:
        memory.keep(each)
    chance = Random(3)
    for n in range(50 * 4):
        memory.keep(cell(b"shelf %d" % n, 26, field="shelf", holes=tuple(chance.sample(products, 12))))
    assert len(memory) == 2200
    assert memory.held <= memory.held_by("Product") * 1.5


@pytest.mark.parametrize("size", [70_000, 200_000])
def test_what_is_larger_than_a_fields_share_is_not_kept(size: int) -> None:
    memory = tier(100_000)
    assert not keep(memory, cell(b"large", size))
    assert memory.held == 0
