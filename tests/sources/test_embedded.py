"""The embedded shop keeps the contract, and what it promises beyond it."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracer

from personalization.clock import Deadline, SystemClock
from personalization.errors import DeadlineExceeded
from personalization.events import Persona
from resolvers.errors import SourceRefused, SourceUnavailable
from resolvers.sources.embedded import EmbeddedSource, Remembered
from resolvers.sources.embedded_desks import Desk, Desks
from resolvers.sources.source import CatalogQuery, ProductSort, ShelfKind, ShelfQuery
from tests.sources.suite import Facts, SourceContract, soon
from tests.sources.suite_facts import walk

OWNER = "visitor:someone"
VITAMINS = "drug-gm.vitamins"
Opener = Callable[[], EmbeddedSource]


@pytest.fixture
async def shop(store: Path, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens clients that share one file of baskets, and closes them."""
    opened: list[EmbeddedSource] = []

    def opener() -> EmbeddedSource:
        source = EmbeddedSource.open(store, SystemClock(), NoOpTracer(), baskets=tmp_path / "baskets.sqlite")
        opened.append(source)
        return source

    yield opener
    for source in opened:
        await source.aclose()


@pytest.fixture
def source(shop: Opener) -> EmbeddedSource:
    return shop()


@pytest.fixture
def second(shop: Opener) -> EmbeddedSource:
    return shop()


@pytest.fixture
def facts(store: Path) -> Facts:
    with closing(sqlite3.connect(store)) as db:
        in_stock = db.execute("SELECT id FROM product WHERE synthetic_units > 0 ORDER BY key LIMIT 3").fetchall()
        (gone,) = db.execute("SELECT id FROM product WHERE synthetic_units = 0 LIMIT 1").fetchone()
        (found,) = db.execute("SELECT id FROM product WHERE name LIKE '%Body Wash%' LIMIT 1").fetchone()
    return Facts(
        product_ids=tuple(key for (key,) in in_stock),
        category_id=VITAMINS,
        other_category_id="drug-gm.deodorants",
        search="body wash",
        search_product_id=found,
        customer_id="1",
        unavailable_id=gone,
        region="US-NE",
    )


class TestEmbedded(SourceContract):
    """The contract."""


class TestCatalogue:
    """What this shop promises beyond the contract."""

    async def test_products_stand_in_the_tree_and_have_names_of_their_own(self, source: EmbeddedSource) -> None:
        tree = {category.id: category for category in await source.category_tree(soon())}
        products = await walk(source, CatalogQuery(first=100))
        assert len({product.name for product in products}) == len(products) == 2170
        assert {tree[p.category_id].child_ids for p in products} == {()}
        for category in tree.values():
            if category.child_ids:
                assert sum(tree[child].product_count for child in category.child_ids) == category.product_count

    async def test_recommendations_name_categories_of_the_middle_level(self, source: EmbeddedSource) -> None:
        tree = {category.id: category for category in await source.category_tree(soon())}
        (customer,) = await source.customers(["1"], soon())
        assert customer is not None
        personas = await source.persona_categories(soon())
        assert set(personas) == set(Persona)
        for category_id in {*customer.top_categories, *(key for keys in personas.values() for key in keys)}:
            parent_id = tree[category_id].parent_id
            assert parent_id is not None
            assert tree[parent_id].parent_id is None

    async def test_sponsors_form_a_forest_several_levels_deep(self, store: Path, source: EmbeddedSource) -> None:
        with closing(sqlite3.connect(store)) as db:
            ids = [key for (key,) in db.execute("SELECT id FROM customer")]
        found = {customer.id: customer for customer in await source.customers(ids, soon()) if customer}
        assert len(found) == len(ids) == 1863
        for customer in found.values():
            if customer.sponsors:
                nearest = found[customer.sponsors[0]]
                assert customer.sponsors[1:] == nearest.sponsors
                assert nearest.persona in (Persona.BUILDER, Persona.CONSULTANT)
        assert max(len(customer.sponsors) for customer in found.values()) >= 4
        assert {customer.persona for customer in found.values()} == set(Persona) - {Persona.VISITOR}
        assert {customer.region for customer in found.values()} == source.regions

    async def test_orders_are_the_purchases_on_record(self, store: Path, source: EmbeddedSource) -> None:
        with closing(sqlite3.connect(store)) as db:
            ids = [key for (key,) in db.execute("SELECT id FROM customer")]
        orders = await source.orders(ids, 10_000, soon())
        assert sum(len(order.lines) for found in orders for order in found) == 25_365

    async def test_regions_differ_and_unknown_ones_are_the_whole_shop(self, source: EmbeddedSource) -> None:
        everywhere, unknown, *regional = await source.shelves(
            [ShelfQuery(ShelfKind.BESTSELLERS, region=r) for r in (None, "XX", *sorted(source.regions))], soon()
        )
        assert unknown == everywhere
        assert len({everywhere, *regional}) == 1 + len(source.regions)

    async def test_a_shelf_is_at_hand_once_it_was_read(self, source: EmbeddedSource) -> None:
        query = ShelfQuery(ShelfKind.TRENDING, region="US-NE", limit=7)
        assert source.shelf_at_hand(query) is None
        (shelf,) = await source.shelves([query], soon())
        assert source.shelf_at_hand(query) == tuple(product.id for product in shelf)

    async def test_relevance_puts_whole_words_of_the_name_first(self, source: EmbeddedSource) -> None:
        found = await walk(source, CatalogQuery(search="hair color", sort=ProductSort.RELEVANCE, first=50))
        named = [{"hair", "color"} <= set(product.name.lower().split()) for product in found]
        assert named == sorted(named, reverse=True)
        assert any(named)
        popular = await walk(source, CatalogQuery(search="hair color", first=50))
        assert {product.id for product in found} == {product.id for product in popular}

    async def test_words_may_be_begun_only_and_need_no_accents(self, source: EmbeddedSource) -> None:
        whole = await source.catalog_count(CatalogQuery(search="toothpaste"), soon())
        assert await source.catalog_count(CatalogQuery(search="toothpa"), soon()) == whole > 0
        for text in ("L'Oréal", "L\u2019OREAL", "loreal", "lore"):
            (found,) = await walk(source, CatalogQuery(search=text))
            assert found.brand == "L'Oréal"

    async def test_pages_outside_the_bounds_are_refused(self, source: EmbeddedSource) -> None:
        for first in (0, -1, 101):
            with pytest.raises(SourceRefused):
                await source.catalog(CatalogQuery(first=first), soon())

    async def test_cursors_of_another_build_are_refused(self, store: Path, source: EmbeddedSource) -> None:
        page = await source.catalog(CatalogQuery(first=1), soon())
        rebuilt = EmbeddedSource(source._desks, replace(source._outline, build="another"))
        with pytest.raises(SourceRefused):
            await rebuilt.catalog(CatalogQuery(after=page.cursors[0]), soon())

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(search=st.text(max_size=60))
    async def test_no_text_breaks_the_search(self, store: Path, search: str) -> None:
        source = EmbeddedSource.open(store, SystemClock(), NoOpTracer(), baskets=store.with_name("unused.sqlite"))
        try:
            page = await source.catalog(CatalogQuery(search=search, sort=ProductSort.RELEVANCE), soon())
            count = await source.catalog_count(CatalogQuery(search=search), soon())
            assert len(page.products) == min(24, count)
            assert page.has_next == (count > 24)
        finally:
            await source.aclose()


class TestDesks:
    """Deadlines, failures, memory."""

    async def test_concurrent_reads_give_what_single_ones_give(self, source: EmbeddedSource, facts: Facts) -> None:
        queries = [CatalogQuery(VITAMINS, sort=sort, first=n) for sort in ProductSort for n in (1, 7, 20)]
        together = await asyncio.gather(*(source.catalog(query, soon()) for query in queries for _ in range(3)))
        alone = [await source.catalog(query, soon()) for query in queries for _ in range(3)]
        assert together == alone

    async def test_a_deadline_in_mid_call_is_kept_and_the_query_ends(self, desks: Desks) -> None:
        with pytest.raises(DeadlineExceeded):
            await desks.run("counting for ever", _endless, soon(0.05))
        assert await desks.run("counting a little", lambda desk: desk.reader.outline().products, soon()) == 2170

    async def test_time_in_the_queue_counts(self, desks: Desks) -> None:
        hold = threading.Event()
        waiting = asyncio.create_task(desks.run("waiting", lambda _: hold.wait(20), soon()))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded):
            await desks.run("reading", lambda _: None, soon(0.05))
        hold.set()
        assert await waiting

    async def test_what_sqlite_says_is_told_as_unavailable(self, tmp_path: Path) -> None:
        desks = Desks(tmp_path / "missing.sqlite", tmp_path / "baskets.sqlite", SystemClock(), NoOpTracer(), 1)
        with pytest.raises(SourceUnavailable, match="reading products") as raised:
            await desks.run("reading products", lambda _: None, soon())
        assert isinstance(raised.value.__cause__, sqlite3.Error)
        await desks.aclose()

    async def test_a_closed_shop_is_unavailable(self, source: EmbeddedSource) -> None:
        await source.aclose()
        with pytest.raises(SourceUnavailable):
            await source.orders(["1"], 1, soon())

    async def test_a_trip_to_the_store_is_a_span_and_memory_is_none(self, store: Path, tmp_path: Path) -> None:
        spans, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(spans))
        source = EmbeddedSource.open(
            store, SystemClock(), provider.get_tracer("test"), baskets=tmp_path / "baskets.sqlite"
        )
        page = await source.catalog(CatalogQuery(first=5), soon())
        ids = [product.id for product in page.products]
        for read in (source.products, source.prices, source.stock):
            await _read(read, ids)
        await source.aclose()
        assert [span.name for span in spans.get_finished_spans()] == ["embedded listing products"]

    @given(limit=st.integers(0, 8), batches=st.lists(st.dictionaries(st.integers(0, 20), st.integers(), max_size=12)))
    def test_memory_is_bounded_and_never_wrong(self, limit: int, batches: list[dict[int, int]]) -> None:
        memory, told = Remembered[int, int](limit), dict[int, int]()
        for batch in batches:
            memory.keep(batch)
            told |= batch
            known = memory.known(range(21))
            assert len(known) <= limit
            assert known.items() <= told.items()

    @pytest.fixture
    async def desks(self, store: Path, tmp_path: Path) -> AsyncIterator[Desks]:
        desks = Desks(store, tmp_path / "baskets.sqlite", SystemClock(), NoOpTracer(), 1)
        yield desks
        await desks.aclose()


async def _read(read: Callable[[list[str], Deadline], Awaitable[object]], ids: list[str]) -> None:
    await read(ids, soon())


def _endless(desk: Desk) -> object:
    loop = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    return desk.reader._db.execute(loop).fetchone()
