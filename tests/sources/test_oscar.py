"""The `oscar` source against a real shop: django-oscar with its REST API, on SQLite, in a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio

from personalization.events import Persona
from resolvers.sources.oscar import OscarSource
from resolvers.sources.oscar_catalogue import Bounds
from resolvers.sources.source import CatalogQuery, CommerceSource, ProductSort
from tests.sources.clients import Telling
from tests.sources.oscar_clients import (
    CONCURRENCY,
    customers,
    everything,
    known_facts,
    opened,
)
from tests.sources.oscar_server import OscarServer, running, seed_shop
from tests.sources.oscar_shop.seed import PASSWORD
from tests.sources.suite import Facts, SourceContract, soon
from tests.sources.suite_facts import HOSTILE, walk


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seed_shop(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def shop(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OscarServer]:
    with running(seeded, tmp_path_factory.mktemp("shop")) as server:
        yield server


@pytest.fixture(scope="module")
def paged(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OscarServer]:
    """A shop whose lists come in pages, and carry whole products."""
    with running(seeded, tmp_path_factory.mktemp("paged"), SHOP_PAGE_SIZE="20", SHOP_RICH_LISTS="1") as server:
        yield server


@pytest.fixture
def own_shop(seeded: Path, tmp_path: Path) -> Iterator[OscarServer]:
    """A shop that the test may change, break and kill."""
    with running(seeded, tmp_path) as server:
        yield server


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def staff_source(paged: OscarServer) -> AsyncIterator[OscarSource]:
    """One for all tests of a class: it reads the whole shop when it starts."""
    async with opened(paged) as source:
        await source.start()
        yield source


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def public_source(shop: OscarServer) -> AsyncIterator[OscarSource]:
    """The same, without a staff user."""
    async with opened(shop, staff=None) as source:
        await source.start()
        yield source


@pytest.mark.asyncio(loop_scope="class")
class TestStaffContract(SourceContract):
    """The suite, with a staff user, over lists in pages."""

    @pytest.fixture
    def source(self, staff_source: OscarSource) -> CommerceSource:
        return staff_source

    @pytest_asyncio.fixture(loop_scope="class")
    async def second(self, paged: OscarServer) -> AsyncIterator[CommerceSource]:
        async with opened(paged) as source:
            yield source

    @pytest.fixture
    def facts(self, paged: OscarServer) -> Facts:
        return known_facts(paged, customers(paged)[0])


@pytest.mark.asyncio(loop_scope="class")
class TestPublicContract(SourceContract):
    """The suite, with what everybody may see, over lists in one piece."""

    @pytest.fixture
    def source(self, public_source: OscarSource) -> CommerceSource:
        return public_source

    @pytest_asyncio.fixture(loop_scope="class")
    async def second(self, shop: OscarServer) -> AsyncIterator[CommerceSource]:
        async with opened(shop, staff=None) as source:
            yield source

    @pytest.fixture
    def facts(self, shop: OscarServer) -> Facts:
        return known_facts(shop, None)


class TestCatalogue:
    """What becomes of the shop's products."""

    async def test_every_way_of_reading_gives_the_same(self, shop: OscarServer, paged: OscarServer) -> None:
        ways: list[AbstractAsyncContextManager[OscarSource]] = [
            opened(shop),
            opened(paged),
            opened(shop, staff=None),
            opened(paged, staff=None),
        ]
        products, trees, cheapest = [], [], []
        for way in ways:
            async with way as source:
                found = await everything(source)
                products.append(sorted((p.id, p.name, p.category_id, p.brand, p.description, p.size) for p in found))
                trees.append(list(await source.category_tree(soon())))
                cheapest.append([p.id for p in await walk(source, CatalogQuery(sort=ProductSort.PRICE_ASC, first=100))])
        assert len(products[0]) == 88
        assert products == [products[0]] * 4
        assert trees == [trees[0]] * 4
        assert cheapest == [cheapest[0]] * 4

    async def test_variants_are_products_named_after_their_parent(self, shop: OscarServer) -> None:
        async with opened(shop) as source:
            found = {product.name: product for product in await everything(source)}
        laptop = found["Laptop (8GB, 13 inch)"]
        assert laptop.brand == "Apple"
        assert laptop.description is not None
        assert laptop.description.startswith("Now equipped with seventh-generation")
        assert "Laptop" not in found
        assert found["Freerun Running Shoe (Size 42)"].size == "Size 42"

    async def test_what_nobody_may_see_is_not_there(self, own_shop: OscarServer) -> None:
        own_shop.sql("UPDATE catalogue_product SET is_public = 0 WHERE title IN ('Tripod', 'Laptop')")
        own_shop.sql("UPDATE catalogue_category SET is_public = 0 WHERE name = 'Plants'")
        async with opened(own_shop) as source:
            names = {product.name: product for product in await everything(source)}
            tree = {category.name for category in await source.category_tree(soon())}
        assert "Tripod" not in names
        assert not any(name.startswith("Laptop") for name in names)
        assert "Plants" not in tree
        assert names["Tulip Pot"].category_id == "uncategorised"
        assert "Other" in tree

    async def test_a_shop_is_read_up_to_its_bounds(self, paged: OscarServer) -> None:
        async with opened(paged, bounds=Bounds(products=30, orders=5)) as source:
            assert len(await everything(source)) <= 30
            orders = await source.orders(customers(paged), 100, soon())
            assert sum(len(theirs) for theirs in orders) == 5

    async def test_orders_rank_what_sells(self, shop: OscarServer) -> None:
        async with opened(shop) as source:
            popular = (await source.catalog(CatalogQuery(first=5), soon())).products
            everyone = (await source.persona_categories(soon()))[Persona.VISITOR]
        counted = (
            "SELECT count(*) AS n, product_id FROM order_line GROUP BY product_id ORDER BY n DESC, product_id LIMIT 5"
        )
        assert [(p.popularity, int(p.id)) for p in popular] == shop.sql(counted)
        assert len(everyone) == 5


class TestCalls:
    """How many calls the shop gets, and how many at a time."""

    @pytest.mark.parametrize("read", ["products", "prices", "stock"])
    async def test_a_batch_is_a_call_an_item_under_the_limit(self, own_shop: OscarServer, read: str) -> None:
        async with opened(own_shop) as source:
            ids = [product.id for product in await everything(source)][:40]
            own_shop.tell(delay_s=0.05)
            answers = await getattr(source, read)([*ids, *ids, *HOSTILE, "99999"], soon())
            assert sum(answer is not None for answer in answers) == 80
            assert len(own_shop.calls()) == 40
            assert 2 <= own_shop.most() <= CONCURRENCY

    @pytest.mark.parametrize("concurrency", [1, 2, CONCURRENCY])
    async def test_visits_and_refreshes_together_stay_under_the_limit(
        self, own_shop: OscarServer, concurrency: int
    ) -> None:
        async with opened(own_shop, concurrency=concurrency) as source:
            ids = [product.id for product in await everything(source)][:20]
            own_shop.tell(delay_s=0.03)
            visits = [source.prices(ids, soon()), source.stock(ids, soon()), source.products(ids, soon())]
            await asyncio.gather(source.refresh(), *visits)
            assert min(2, concurrency) <= own_shop.most() <= concurrency

    async def test_lists_and_facts_of_the_index_cost_no_call(self, own_shop: OscarServer) -> None:
        async with opened(own_shop) as source:
            await source.start()
            own_shop.tell()
            await everything(source)
            await source.category_tree(soon())
            await source.persona_categories(soon())
            await source.orders(customers(own_shop), 3, soon())
            await source.coupons(["1"], soon())
            assert own_shop.calls() == []

    async def test_staff_reads_the_shop_in_few_calls_and_lines_once(self, own_shop: OscarServer) -> None:
        async with opened(own_shop) as source:
            await source.start()
            (orders,) = own_shop.sql("SELECT count(*) FROM order_order")[0]
            assert len([call for call in own_shop.calls() if "/lines/" in call]) == orders
            own_shop.tell()
            await source.refresh()
            calls = own_shop.calls()
        assert not [call for call in calls if "/lines/" in call]
        (categories,) = own_shop.sql("SELECT count(*) FROM catalogue_category")[0]
        assert len(calls) <= categories + 6

    async def test_reads_leave_at_most_one_basket_in_the_shop(self, own_shop: OscarServer) -> None:
        (before,) = own_shop.sql("SELECT count(*) FROM basket_basket WHERE owner_id IS NULL")[0]
        async with opened(own_shop, staff=None) as source:
            ids = [product.id for product in await everything(source)]
            await source.prices(ids, soon())
            await source.refresh()
        (after,) = own_shop.sql("SELECT count(*) FROM basket_basket WHERE owner_id IS NULL")[0]
        assert after - before == 1

    async def test_spans_hold_nothing_personal(self, shop: OscarServer) -> None:
        told = Telling()
        async with opened(shop, told) as source:
            assert all(await source.customers(customers(shop), soon()))
        written = " ".join(span.to_json() for span in told.spans())
        assert "oscar.index.refresh" in written
        assert "upstream oscar_customer" in written
        assert not [word for word in ("@shop.example", PASSWORD, "admin/users/") if word in written]
