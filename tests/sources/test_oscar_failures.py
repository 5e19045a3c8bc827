"""The `oscar` source when the shop changes, fails, forgets or goes away, and baskets over such events."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from personalization.errors import DeadlineExceeded
from resolvers.errors import SourceUnavailable, UnknownBasket
from resolvers.sources.source import CatalogQuery
from tests.sources.clients import Telling
from tests.sources.oscar_clients import TELESCOPE, customers, everything, keeper, known_facts, opened, refreshes, until
from tests.sources.oscar_server import OscarServer, running, seed_shop
from tests.sources.oscar_shop.seed import ORDERS, STAFF
from tests.sources.suite import soon
from tests.sources.suite_facts import OWNER, STRANGER


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seed_shop(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def shop(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OscarServer]:
    """A shop that no test changes."""
    with running(seeded, tmp_path_factory.mktemp("shop")) as server:
        yield server


@pytest.fixture
def own_shop(seeded: Path, tmp_path: Path) -> Iterator[OscarServer]:
    """A shop that the test may change, break and kill."""
    with running(seeded, tmp_path) as server:
        yield server


class TestFailures:
    """A shop that is slow, broken, gone, or not set up."""

    async def test_a_deadline_cancels_the_whole_batch(self, own_shop: OscarServer) -> None:
        async with opened(own_shop) as source:
            ids = [product.id for product in await everything(source)]
            tasks = len(asyncio.all_tasks())
            own_shop.tell(delay_s=0.4)
            with pytest.raises(DeadlineExceeded):
                await source.prices(ids, soon(0.6))
            # Nearly at once; the last one may still be putting its connection away.
            await until(lambda: len(asyncio.all_tasks()) == tasks)
            assert len(own_shop.calls()) < len(ids)
            own_shop.tell()
            assert all(await source.prices(ids[:3], soon()))

    @pytest.mark.parametrize("retries", [0, 2])
    async def test_a_shop_killed_in_mid_batch_is_unavailable_until_it_is_back(
        self, own_shop: OscarServer, retries: int
    ) -> None:
        async with opened(own_shop, retries=retries) as source:
            ids = [product.id for product in await everything(source)]
            own_shop.tell(delay_s=0.2)
            batch = asyncio.create_task(source.prices(ids, soon(20.0)))
            await until(lambda: len(own_shop.calls()) > 2)
            own_shop.kill()
            with pytest.raises(SourceUnavailable):
                await batch
            assert (await source.catalog(CatalogQuery(), soon())).products
            own_shop.start()
            assert all(await source.prices(ids, soon()))

    async def test_one_failed_item_fails_the_batch(self, own_shop: OscarServer) -> None:
        async with opened(own_shop) as source:
            ids = [product.id for product in await everything(source)][:10]
            own_shop.tell(broken=f"/products/{ids[4]}/price/")
            with pytest.raises(SourceUnavailable):
                await source.prices(ids, soon())
            assert all(await source.stock(ids, soon()))

    async def test_a_product_deleted_since_is_none(self, own_shop: OscarServer) -> None:
        async with opened(own_shop) as source:
            ids = [product.id for product in await everything(source)][:3]
            async with keeper(own_shop) as api:
                (await api.delete(f"admin/products/{ids[1]}/")).raise_for_status()
            for answers in (await source.products(ids, soon()), await source.prices(ids, soon())):
                assert [answer is not None for answer in answers] == [True, False, True]

    async def test_a_first_reading_that_fails_is_tried_again(self, own_shop: OscarServer) -> None:
        async with opened(own_shop) as source:
            own_shop.tell(broken="/categories/")
            with pytest.raises(SourceUnavailable):
                await source.start()
            with pytest.raises(SourceUnavailable):
                await source.category_tree(soon())
            own_shop.tell()
            assert await source.category_tree(soon())

    async def test_a_wrong_password_is_said(self, shop: OscarServer) -> None:
        async with opened(shop, staff=(STAFF, "something else")) as source:
            with pytest.raises(SourceUnavailable, match="staff user or its password"):
                await source.start()

    async def test_a_closed_admin_api_is_said(self, seeded: Path, tmp_path: Path) -> None:
        with running(seeded, tmp_path, SHOP_ADMIN="0") as server:
            async with opened(server) as source:
                with pytest.raises(SourceUnavailable, match="cannot be indexed"):
                    await source.start()

    async def test_a_shop_without_header_sessions_is_said(self, seeded: Path, tmp_path: Path) -> None:
        with running(seeded, tmp_path, SHOP_HEADER_SESSIONS="0") as server:
            async with opened(server) as source:
                with pytest.raises(SourceUnavailable, match="HeaderSessionMiddleware"):
                    await source.start()

    async def test_a_closed_source_says_so(self, shop: OscarServer) -> None:
        async with opened(shop) as source:
            await source.start()
            await source.aclose()
            with pytest.raises(SourceUnavailable):
                await source.category_tree(soon())


class TestRefresh:
    """The index over time."""

    async def test_a_new_product_is_seen_with_the_next_refresh(self, own_shop: OscarServer) -> None:
        async with opened(own_shop, refresh_s=0.2) as source:
            assert await source.catalog_count(CatalogQuery(search="telescope"), soon()) == 0
            async with keeper(own_shop) as api:
                made = await api.post("admin/products/", json=TELESCOPE)
                made.raise_for_status()
            await until(lambda: source.catalog_count(CatalogQuery(search="telescope"), soon()))
            (product,) = (await source.catalog(CatalogQuery(search="telescope"), soon())).products
            assert product.id == str(made.json()["id"])
            (price,) = await source.prices([product.id], soon())
            assert price is not None
            assert price.amount == Decimal("249.90")

    async def test_a_refresh_that_fails_keeps_the_last_good_index(self, own_shop: OscarServer) -> None:
        told = Telling()
        async with opened(own_shop, told) as source:
            before = await everything(source)
            read_at = told.registry.get_sample_value("gateway_oscar_index_timestamp_seconds")
            own_shop.tell(broken="/admin/products/")
            with pytest.raises(SourceUnavailable):
                await source.refresh()
            assert await everything(source) == before
            assert refreshes(told, "failed") == 1
            assert told.registry.get_sample_value("gateway_oscar_index_timestamp_seconds") == read_at
            own_shop.tell()
            await source.refresh()
            assert refreshes(told, "ok") == 2

    async def test_refreshing_goes_on_after_a_failure(self, own_shop: OscarServer) -> None:
        told = Telling()
        async with opened(own_shop, told, refresh_s=0.1) as source:
            await source.start()
            own_shop.kill()
            await until(lambda: refreshes(told, "failed"))
            own_shop.start()
            async with keeper(own_shop) as api:
                (await api.post("admin/products/", json=TELESCOPE)).raise_for_status()
            await until(lambda: source.catalog_count(CatalogQuery(search="telescope"), soon()))

    async def test_everybody_waits_for_one_first_reading(self, own_shop: OscarServer) -> None:
        async with opened(own_shop) as source:
            own_shop.tell()
            await asyncio.gather(*(source.category_tree(soon()) for _ in range(20)))
            assert own_shop.calls().count("GET /api/admin/products/") == 1

    async def test_a_shop_once_read_is_not_read_again_before_its_time(self, own_shop: OscarServer) -> None:
        told = Telling()
        async with opened(own_shop, told, refresh_s=600.0) as source:
            await source.start()
            # Longer than a shop that is not known yet is left alone.
            await asyncio.sleep(2.5)
            assert refreshes(told, "ok") == 1

    async def test_a_reading_goes_on_when_the_visit_has_no_more_time(self, own_shop: OscarServer) -> None:
        async with opened(own_shop) as source:
            own_shop.tell(delay_s=0.02)
            with pytest.raises(DeadlineExceeded):
                await source.category_tree(soon(0.05))
            assert await source.category_tree(soon())
            assert own_shop.calls().count("GET /api/admin/products/") == 1

    async def test_a_cursor_outlives_a_refresh(self, shop: OscarServer) -> None:
        async with opened(shop) as source:
            page = await source.catalog(CatalogQuery(first=5), soon())
            whole = await everything(source)
            await source.refresh()
            rest = await source.catalog(CatalogQuery(first=100, after=page.cursors[-1]), soon())
        assert [*page.products, *rest.products] == whole

    async def test_a_forgotten_staff_session_is_opened_again(self, own_shop: OscarServer) -> None:
        async with opened(own_shop) as source:
            await source.start()
            own_shop.sql("DELETE FROM django_session")
            assert all(await source.customers(customers(own_shop), soon()))
            own_shop.sql("DELETE FROM django_session")
            await source.refresh()


class TestBaskets:
    """Baskets in the shop."""

    async def test_baskets_outlive_the_shop_and_the_gateway(self, own_shop: OscarServer) -> None:
        facts = known_facts(own_shop, None)
        async with opened(own_shop) as source:
            basket = await source.add_to_basket(None, OWNER, facts.product_ids[0], 2, soon())
        own_shop.kill()
        own_shop.start()
        async with opened(own_shop) as source:
            assert await source.basket(basket.id, OWNER, soon()) == basket

    async def test_an_id_of_another_owner_or_key_never_reaches_the_shop(self, own_shop: OscarServer) -> None:
        facts = known_facts(own_shop, None)
        async with opened(own_shop) as source, opened(own_shop, basket_key=b"some other key, long enough") as other:
            basket = await source.add_to_basket(None, OWNER, facts.product_ids[0], 2, soon())
            await other.start()
            own_shop.tell()
            assert await source.basket(basket.id, STRANGER, soon()) is None
            assert await other.basket(basket.id, OWNER, soon()) is None
            with pytest.raises(UnknownBasket):
                await source.add_to_basket(basket.id, STRANGER, facts.product_ids[0], 1, soon())
            assert own_shop.calls() == []

    async def test_additions_at_once_all_count(self, own_shop: OscarServer) -> None:
        facts = known_facts(own_shop, None)
        async with opened(own_shop) as source:
            basket = await source.add_to_basket(None, OWNER, facts.product_ids[0], 1, soon())
            add = (source.add_to_basket(basket.id, OWNER, facts.product_ids[0], 1, soon()) for _ in range(10))
            await asyncio.gather(*add)
            filled = await source.basket(basket.id, OWNER, soon())
        assert filled is not None
        assert [line.quantity for line in filled.lines] == [11]

    @pytest.mark.parametrize(
        "lost",
        ["UPDATE basket_basket SET status = 'Submitted' WHERE owner_id IS NULL", "DELETE FROM django_session"],
        ids=["ordered", "session gone"],
    )
    async def test_a_basket_that_the_shop_let_go_of_is_unknown(self, own_shop: OscarServer, lost: str) -> None:
        facts = known_facts(own_shop, None)
        async with opened(own_shop, staff=None) as source:
            basket = await source.add_to_basket(None, OWNER, facts.product_ids[0], 1, soon())
            own_shop.sql(lost)
            assert await source.basket(basket.id, OWNER, soon()) is None
            with pytest.raises(UnknownBasket):
                await source.add_to_basket(basket.id, OWNER, facts.product_ids[0], 1, soon())
        assert own_shop.sql("SELECT sum(quantity) FROM basket_line WHERE basket_id > ?", ORDERS) == [(1,)]

    async def test_a_short_key_is_refused(self, shop: OscarServer) -> None:
        with pytest.raises(ValueError, match="16 or more"):
            async with opened(shop, basket_key=b"short"):
                pass
