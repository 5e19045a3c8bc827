"""The part of the contract that is about lists, search and shelves."""

from dataclasses import replace
from typing import Any

import pytest

from resolvers.errors import InvalidCursor, UnknownCategory
from resolvers.sources.source import (
    CatalogQuery,
    CommerceSource,
    Product,
    ProductPage,
    ProductSort,
    ShelfKind,
    ShelfQuery,
)
from tests.sources.suite_facts import HOSTILE, HOSTILE_SEARCHES, UNKNOWN, WORDLESS, Facts, below, soon, walk


class CatalogContract:
    """Lists, pages, search."""

    @pytest.mark.parametrize("sort", list(ProductSort))
    async def test_pages_are_disjoint_complete_and_sorted(
        self, source: CommerceSource, facts: Facts, sort: ProductSort
    ) -> None:
        query = CatalogQuery(category_id=facts.category_id, sort=sort, first=100)
        whole = await walk(source, query)
        assert len({p.id for p in whole}) == len(whole) == await source.catalog_count(query, soon())
        pieces = await walk(source, replace(query, first=max(1, len(whole) // 4)))
        assert pieces == whole
        assert {p.category_id for p in whole} & await below(source, facts.category_id)
        keys = await self.sort_keys(source, whole, sort)
        assert keys == sorted(keys)

    async def sort_keys(self, source: CommerceSource, products: list[Product], sort: ProductSort) -> list[Any]:
        """What the sort promises to come in rising order."""
        if sort is ProductSort.NAME:
            return [product.name.casefold() for product in products]
        if sort in (ProductSort.PRICE_ASC, ProductSort.PRICE_DESC):
            prices = await source.prices([product.id for product in products], soon())
            sign = 1 if sort is ProductSort.PRICE_ASC else -1
            return [sign * price.amount for price in prices if price]
        return [-product.popularity for product in products]

    async def test_the_whole_catalog_is_every_product_once(self, source: CommerceSource) -> None:
        whole = await walk(source, CatalogQuery(first=100))
        assert len({p.id for p in whole}) == len(whole) == await source.catalog_count(CatalogQuery(), soon())
        assert list(await source.products([p.id for p in whole], soon())) == whole

    async def test_counts_equal_those_of_the_tree(self, source: CommerceSource) -> None:
        for category in list(await source.category_tree(soon()))[:8]:
            assert await source.catalog_count(CatalogQuery(category.id), soon()) == category.product_count

    async def test_relevance_without_search_is_popularity(self, source: CommerceSource) -> None:
        popular = await source.catalog(CatalogQuery(sort=ProductSort.POPULAR), soon())
        relevant = await source.catalog(CatalogQuery(sort=ProductSort.RELEVANCE), soon())
        assert relevant.products == popular.products

    async def test_every_cursor_continues_behind_its_product(self, source: CommerceSource) -> None:
        page = await source.catalog(CatalogQuery(first=5), soon())
        after_second = await source.catalog(CatalogQuery(first=2, after=page.cursors[1]), soon())
        assert after_second.products == page.products[2:4]

    async def test_cursors_of_other_lists_are_refused(self, source: CommerceSource, facts: Facts) -> None:
        here = CatalogQuery(category_id=facts.category_id, first=1)
        cursor = (await source.catalog(here, soon())).cursors[0]
        others = (
            CatalogQuery(after=cursor),
            replace(here, category_id=facts.other_category_id, after=cursor),
            replace(here, sort=ProductSort.NAME, after=cursor),
            replace(here, search=facts.search, after=cursor),
        )
        for query in others:
            with pytest.raises(InvalidCursor):
                await source.catalog(query, soon())

    async def test_damaged_cursors_are_refused(self, source: CommerceSource) -> None:
        cursor = (await source.catalog(CatalogQuery(first=1), soon())).cursors[0]
        swapped = cursor[:4] + ("A" if cursor[4] != "A" else "B") + cursor[5:]
        for damaged in (cursor[:-3], cursor + "AAAA", swapped, cursor[::-1], *HOSTILE):
            with pytest.raises(InvalidCursor):
                await source.catalog(CatalogQuery(after=damaged), soon())

    @pytest.mark.parametrize("category_id", [UNKNOWN, *HOSTILE], ids=range(len(HOSTILE) + 1))
    async def test_unknown_categories_are_refused(self, source: CommerceSource, category_id: str) -> None:
        with pytest.raises(UnknownCategory):
            await source.catalog(CatalogQuery(category_id=category_id), soon())
        with pytest.raises(UnknownCategory):
            await source.catalog_count(CatalogQuery(category_id=category_id), soon())
        with pytest.raises(UnknownCategory):
            await source.shelves([ShelfQuery(ShelfKind.BESTSELLERS, category_id=category_id)], soon())

    @pytest.mark.parametrize("sort", list(ProductSort))
    async def test_search_finds(self, source: CommerceSource, facts: Facts, sort: ProductSort) -> None:
        query = CatalogQuery(search=facts.search, sort=sort, first=20)
        found = [product.id for product in await walk(source, query)]
        assert facts.search_product_id in found
        assert len(set(found)) == len(found) == await source.catalog_count(query, soon())
        shouted = await walk(source, replace(query, search=f"  {facts.search.upper()} "))
        assert [product.id for product in shouted] == found

    async def test_search_stays_within_the_category(self, source: CommerceSource, facts: Facts) -> None:
        everywhere = {p.id for p in await walk(source, CatalogQuery(search=facts.search, first=100))}
        inside = {p.id for p in await walk(source, CatalogQuery(category_id=facts.category_id, first=100))}
        both = CatalogQuery(category_id=facts.category_id, search=facts.search, first=100)
        assert {p.id for p in await walk(source, both)} == everywhere & inside

    async def test_search_without_a_match_is_empty(self, source: CommerceSource) -> None:
        for search in (*WORDLESS, "xqzzyv wkjqx"):
            assert await source.catalog(CatalogQuery(search=search), soon()) == ProductPage((), (), has_next=False)
            assert await source.catalog_count(CatalogQuery(search=search), soon()) == 0

    @pytest.mark.parametrize("search", HOSTILE_SEARCHES, ids=range(len(HOSTILE_SEARCHES)))
    async def test_hostile_searches_are_only_words(self, source: CommerceSource, search: str) -> None:
        for sort in (ProductSort.RELEVANCE, ProductSort.POPULAR):
            page = await source.catalog(CatalogQuery(search=search, sort=sort, first=5), soon())
            assert len(page.products) <= min(5, await source.catalog_count(CatalogQuery(search=search), soon()))


class ShelfContract:
    """Ranked lists."""

    @pytest.mark.parametrize("kind", list(ShelfKind))
    async def test_shelves_are_full_in_stock_and_without_duplicates(
        self, source: CommerceSource, facts: Facts, kind: ShelfKind
    ) -> None:
        regions = [None, facts.region, UNKNOWN, *HOSTILE]
        queries = [ShelfQuery(kind, c, r, limit=7) for c in (None, facts.category_id) for r in regions]
        available = await self.available(source, CatalogQuery(first=100))
        shelves = await source.shelves(queries, soon())
        assert len(shelves) == len(queries)
        for shelf in shelves:
            ids = [product.id for product in shelf]
            assert len(set(ids)) == len(ids) == min(7, len(available))
            assert set(ids) <= available

    async def available(self, source: CommerceSource, query: CatalogQuery) -> set[str]:
        """The ids in stock among the products of the list."""
        ids = [product.id for product in await walk(source, query)]
        stock = await source.stock(ids, soon())
        return {i for i, s in zip(ids, stock, strict=True) if s and s.available}

    @pytest.mark.parametrize("kind", list(ShelfKind))
    async def test_a_category_comes_before_what_fills_the_shelf(
        self, source: CommerceSource, facts: Facts, kind: ShelfKind
    ) -> None:
        own = await self.available(source, CatalogQuery(category_id=facts.category_id, first=100))
        (shelf,) = await source.shelves([ShelfQuery(kind, facts.category_id, limit=12)], soon())
        inside = [product.id in own for product in shelf]
        assert inside == sorted(inside, reverse=True)
        assert sum(inside) == min(12, len(own))

    async def test_a_shelf_at_hand_is_the_shelf(self, source: CommerceSource, facts: Facts) -> None:
        query = ShelfQuery(ShelfKind.BESTSELLERS, facts.category_id, limit=5)
        (shelf,) = await source.shelves([query], soon())
        assert source.shelf_at_hand(query) in (None, tuple(product.id for product in shelf))
        assert source.shelf_at_hand(replace(query, category_id="nobody's")) is None

    async def test_shelves_are_the_same_alone_and_together(self, source: CommerceSource, facts: Facts) -> None:
        queries = [ShelfQuery(k, c, limit=n) for k in ShelfKind for c in (None, facts.category_id) for n in (1, 5)]
        together = await source.shelves([*queries, queries[0]], soon())
        alone = [(await source.shelves([query], soon()))[0] for query in queries]
        assert list(together) == [*alone, alone[0]]
