"""Baskets outlive processes and catalogues, and belong to one owner."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry.trace import NoOpTracer

from personalization.clock import Deadline, ManualClock, SystemClock
from personalization.errors import DeadlineExceeded
from resolvers.errors import SourceRefused, UnknownBasket
from resolvers.sources.embedded import EmbeddedSource
from resolvers.sources.embedded_baskets import KEPT, MAX_LINES, BasketStore
from resolvers.sources.embedded_build import prepare_store
from tests.sources.suite import soon

OWNER = "visitor:someone"


@pytest.fixture
async def source(store: Path, tmp_path: Path) -> AsyncIterator[EmbeddedSource]:
    source = EmbeddedSource.open(store, SystemClock(), NoOpTracer(), baskets=tmp_path / "baskets.sqlite")
    yield source
    await source.aclose()


@pytest.fixture
def in_stock(store: Path) -> list[str]:
    """Products with at least sixty units, most popular first."""
    with closing(sqlite3.connect(store)) as db:
        return [key for (key,) in db.execute("SELECT id FROM product WHERE synthetic_units >= 60 ORDER BY key")]


async def test_no_addition_is_lost_between_concurrent_ones(source: EmbeddedSource, in_stock: list[str]) -> None:
    basket = await source.add_to_basket(None, OWNER, in_stock[0], 1, soon())
    await asyncio.gather(*(source.add_to_basket(basket.id, OWNER, in_stock[0], 1, soon()) for _ in range(40)))
    found = await source.basket(basket.id, OWNER, soon())
    assert found is not None
    assert [line.quantity for line in found.lines] == [41]


_ADD = """
import sys
from pathlib import Path
from personalization.clock import Deadline, SystemClock
from resolvers.sources.embedded_baskets import BasketStore
clock = SystemClock()
path, basket, product = sys.argv[1:]
for _ in range(20):
    BasketStore(Path(path), clock).add(basket, "visitor:someone", product, 1, 1000, Deadline.after(30, clock))
"""


def test_several_processes_may_write(tmp_path: Path) -> None:
    path = tmp_path / "baskets.sqlite"
    with closing(BasketStore(path, SystemClock())) as baskets:
        basket_id = baskets.add(None, OWNER, "1", 1, 1000, soon())
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", _ADD, str(path), basket_id]
        processes = [subprocess.Popen([*command, product_id], env=environment) for product_id in ("1", "2")]
        assert [process.wait(60) for process in processes] == [0, 0]
        assert baskets.lines(basket_id, OWNER) == [("1", 21), ("2", 20)]


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    def add(number: int) -> str:
        path = tmp_path / f"baskets-{number // 8}.sqlite"
        with closing(BasketStore(path, SystemClock())) as baskets:
            return baskets.add(None, OWNER, "1", 1, 5, soon())

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(add, range(160)))) == 160


async def test_a_catalogue_built_anew_keeps_baskets(tmp_path: Path, in_stock: list[str]) -> None:
    path = prepare_store(tmp_path)
    source = EmbeddedSource.open(path, SystemClock(), NoOpTracer())
    basket = await source.add_to_basket(None, OWNER, in_stock[0], 2, soon())
    await source.aclose()
    path.write_bytes(b"damaged")
    again = EmbeddedSource.open(prepare_store(tmp_path), SystemClock(), NoOpTracer())
    assert await again.basket(basket.id, OWNER, soon()) == basket
    await again.aclose()


async def test_lines_come_in_the_order_they_were_added(source: EmbeddedSource, in_stock: list[str]) -> None:
    basket = await source.add_to_basket(None, OWNER, in_stock[5], 1, soon())
    for product_id in (in_stock[2], in_stock[9], in_stock[5]):
        basket = await source.add_to_basket(basket.id, OWNER, product_id, 1, soon())
    assert [line.product_id for line in basket.lines] == [in_stock[5], in_stock[2], in_stock[9]]


async def test_a_basket_holds_so_many_products(source: EmbeddedSource, in_stock: list[str]) -> None:
    basket = await source.add_to_basket(None, OWNER, in_stock[0], 1, soon())
    for product_id in in_stock[1:MAX_LINES]:
        await source.add_to_basket(basket.id, OWNER, product_id, 1, soon())
    with pytest.raises(SourceRefused, match="at most 100"):
        await source.add_to_basket(basket.id, OWNER, in_stock[MAX_LINES], 1, soon())
    full = await source.add_to_basket(basket.id, OWNER, in_stock[0], 1, soon())
    assert len(full.lines) == MAX_LINES


@pytest.mark.parametrize("owner", ["visitor:\ud800", "customer:名前", "", "'; --"])
async def test_owners_may_be_any_text(source: EmbeddedSource, in_stock: list[str], owner: str) -> None:
    basket = await source.add_to_basket(None, owner, in_stock[0], 1, soon())
    assert await source.basket(basket.id, owner, soon()) == basket
    assert await source.basket(basket.id, OWNER, soon()) is None


def test_owners_are_not_written_down(tmp_path: Path) -> None:
    with closing(BasketStore(tmp_path / "baskets.sqlite", SystemClock())) as baskets:
        baskets.add(None, "customer:4711-secret", "1", 1, 5, soon())
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"4711-secret" not in written


def test_a_held_write_lock_costs_no_more_than_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "baskets.sqlite"
    with closing(BasketStore(path, SystemClock())) as baskets, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            baskets.add(None, OWNER, "1", 1, 5, soon(0.05))
        other.rollback()
        assert baskets.lines(baskets.add(None, OWNER, "1", 1, 5, soon()), OWNER) == [("1", 1)]


async def test_a_locked_file_is_a_deadline_exceeded(
    source: EmbeddedSource, in_stock: list[str], tmp_path: Path
) -> None:
    await source.add_to_basket(None, OWNER, in_stock[0], 1, soon())
    with closing(sqlite3.connect(tmp_path / "baskets.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DeadlineExceeded):
            await source.add_to_basket(None, OWNER, in_stock[0], 1, soon(0.05))
        other.rollback()


def test_a_refused_addition_makes_no_basket(tmp_path: Path) -> None:
    path = tmp_path / "baskets.sqlite"
    with closing(BasketStore(path, SystemClock())) as baskets:
        with pytest.raises(SourceRefused, match="2 units of product 1 are in stock; 3 were asked"):
            baskets.add(None, OWNER, "1", 3, 2, soon())
        with pytest.raises(UnknownBasket):
            baskets.add("unknown", OWNER, "1", 1, 2, soon())
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM basket").fetchone() == (0,)


def test_baskets_that_nobody_touches_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "baskets.sqlite"
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    with closing(BasketStore(path, clock)) as baskets:
        old = baskets.add(None, OWNER, "1", 1, 5, Deadline.after(5, clock))
        clock.at += timedelta(days=100)
        young = baskets.add(None, OWNER, "1", 1, 5, Deadline.after(5, clock))
    clock.at += KEPT - timedelta(days=50)
    with closing(BasketStore(path, clock)) as baskets:
        assert baskets.lines(old, OWNER) is None
        assert baskets.lines(young, OWNER) == [("1", 1)]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM basket_line").fetchone() == (1,)
