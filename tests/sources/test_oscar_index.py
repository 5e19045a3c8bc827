"""What is made of a shop's answers, and the index over them, without a shop."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.events import Persona
from resolvers.errors import SourceUnavailable
from resolvers.sources.oscar_catalogue import ShopState
from resolvers.sources.oscar_index import OscarIndex
from resolvers.sources.oscar_parse import Family, Item, record_price, record_stock, to_price, to_product, to_stock
from resolvers.sources.oscar_wire import (
    AttributeAnswer,
    AvailabilityAnswer,
    CategoryAnswer,
    ItemAnswer,
    OrderAnswer,
    PriceAnswer,
    StockRecordAnswer,
    read_many,
    read_one,
)
from resolvers.sources.source import (
    CatalogQuery,
    Category,
    Order,
    OrderLine,
    Price,
    Product,
    ProductSort,
    ShelfKind,
    ShelfQuery,
    Stock,
)

TREE = (
    Category("1", "Home", None, ("2", "3"), 0),
    Category("2", "Plants", "1", (), 0),
    Category("3", "Chairs", "1", (), 0),
)
PLACES = {"Home": "1", "Home > Plants": "2", "Home > Chairs": "3"}
END = datetime(2025, 6, 30, tzinfo=UTC)


def item(number: int, name: str = "Fern", *, place: str = "Home > Plants", cents: int | None = 100) -> Item:
    answer = ItemAnswer(id=number, title=name, categories=(place,) if place else ())
    price = None if cents is None else Price(Decimal(cents) / 100, Decimal(cents) / 100, "EUR")
    return Item(answer, None, price, Stock(available=True, units=5))


def bought(number: int, product_id: int, days_ago: int) -> Order:
    return Order(str(number), "7", END - timedelta(days=days_ago), (OrderLine(str(product_id), 1, Decimal(1)),))


def pages(index: OscarIndex, query: CatalogQuery) -> Iterator[Product]:
    while True:
        page = index.page(query)
        yield from page.products
        if not page.has_next:
            return
        query = replace(query, after=page.cursors[-1])


ITEMS = st.lists(
    st.builds(
        item,
        st.integers(1, 10**9),
        st.text(min_size=1, max_size=300).filter(lambda text: text.strip() != ""),
        place=st.sampled_from(["", *PLACES, "Gone > Elsewhere"]),
        cents=st.none() | st.integers(0, 10**9),
    ),
    max_size=30,
    unique_by=lambda item: item.answer.id,
)


class TestPaging:
    """Lists, whatever the shop holds."""

    @given(ITEMS, st.sampled_from(ProductSort), st.integers(1, 7), st.sampled_from([None, "1", "2"]))
    def test_pages_are_disjoint_and_complete(
        self, items: list[Item], sort: ProductSort, first: int, category_id: str | None
    ) -> None:
        with closing(OscarIndex(ShopState(TREE, PLACES, tuple(items)))) as index:
            found = list(pages(index, CatalogQuery(category_id, sort=sort, first=first)))
            wanted = {str(i.answer.id) for i in items if category_id is None or _stands_in(i, category_id)}
            assert len(found) == len(wanted) == index.count(CatalogQuery(category_id))
            assert {product.id for product in found} == wanted

    @given(ITEMS)
    def test_counts_are_those_of_the_tree_and_everything_has_a_category(self, items: list[Item]) -> None:
        with closing(OscarIndex(ShopState(TREE, PLACES, tuple(items)))) as index:
            tops = [category for category in index.categories.values() if category.parent_id is None]
            assert sum(category.product_count for category in tops) == len(items)
            assert {product.category_id for product in index.products.values()} <= index.categories.keys()

    @given(ITEMS, st.text(max_size=40))
    def test_any_search_is_only_words(self, items: list[Item], search: str) -> None:
        with closing(OscarIndex(ShopState(TREE, PLACES, tuple(items)))) as index:
            query = CatalogQuery(search=search, sort=ProductSort.RELEVANCE, first=3)
            assert len(list(pages(index, query))) == index.count(query)

    def test_what_has_no_price_comes_last(self) -> None:
        state = ShopState(TREE, PLACES, (item(1, cents=None), item(2, cents=500), item(3, cents=200)))
        with closing(OscarIndex(state)) as index:
            assert _ids(index.page(CatalogQuery(sort=ProductSort.PRICE_ASC)).products) == ["3", "2", "1"]
            assert _ids(index.page(CatalogQuery(sort=ProductSort.PRICE_DESC)).products) == ["2", "3", "1"]

    def test_a_match_in_the_name_comes_before_one_in_the_category(self) -> None:
        state = ShopState(TREE, PLACES, (item(1, "Fern"), item(2, "Stool", place="Home > Chairs"), item(3, "Plants")))
        with closing(OscarIndex(state)) as index:
            query = CatalogQuery(search="plant", sort=ProductSort.RELEVANCE)
            assert _ids(index.page(query).products) == ["3", "1"]

    def test_search_minds_neither_case_nor_accents(self) -> None:
        with closing(OscarIndex(ShopState(TREE, PLACES, (item(1, "Café Straße"),)))) as index:
            for search in ("cafe", "CAFÉ", "strasse café", "stra"):
                assert index.count(CatalogQuery(search=search)) == 1


class TestRanking:
    """What orders tell."""

    def test_bestsellers_sold_most_and_trending_sells_faster(self) -> None:
        lately = [bought(n, 2, n) for n in range(1, 6)]
        ever = [bought(100 + n, 1, 40 + n) for n in range(9)]
        state = ShopState(TREE, PLACES, (item(1), item(2), item(3)), tuple(lately + ever))
        with closing(OscarIndex(state)) as index:
            assert _ids(index.shelf(ShelfQuery(ShelfKind.BESTSELLERS))) == ["1", "2", "3"]
            assert _ids(index.shelf(ShelfQuery(ShelfKind.TRENDING))) == ["2", "3", "1"]

    def test_a_category_is_filled_up_from_everything_and_what_is_out_of_stock_left_out(self) -> None:
        gone = replace(item(4), stock=Stock(available=False, units=0))
        state = ShopState(TREE, PLACES, (item(1), item(2, place="Home > Chairs"), item(3), gone))
        with closing(OscarIndex(state)) as index:
            shelf = index.shelf(ShelfQuery(ShelfKind.BESTSELLERS, category_id="3", limit=3))
            assert _ids(shelf) == ["2", "1", "3"]

    def test_a_customers_categories_and_orders_are_its_own(self) -> None:
        orders = (bought(3, 2, 1), bought(2, 1, 2), bought(1, 2, 3))
        state = ShopState(TREE, PLACES, (item(1), item(2, place="Home > Chairs")), orders)
        with closing(OscarIndex(state)) as index:
            assert index.top_categories("7") == ("3", "2")
            assert index.top_categories("8") == ()
            assert [order.id for order in index.orders("7", 2)] == ["3", "2"]
            assert index.persona_categories() == {Persona.VISITOR: ("3", "2")}

    def test_without_orders_everyone_gets_the_biggest_categories(self) -> None:
        state = ShopState(TREE, PLACES, (item(1), item(2, place="Home > Chairs"), item(3, place="Home > Chairs")))
        with closing(OscarIndex(state)) as index:
            assert index.persona_categories() == {Persona.VISITOR: ("3", "2")}


class TestParsing:
    """Answers become values."""

    def test_a_variant_is_named_after_its_parent_and_what_sets_it_apart(self) -> None:
        parent = ItemAnswer(id=1, title="Laptop ", attributes=(AttributeAnswer(code="brand", value="Apple"),))
        attributes = (("size", "13 inch"), ("brand", "Apple"), ("ram", 8), ("touch", True), ("extras", ["a", "b"]))
        answers = tuple(AttributeAnswer(code=code, value=value) for code, value in attributes)
        product = to_product(ItemAnswer(id=2, title="", attributes=answers), Family.of(parent), {}, 3)
        assert product.name == "Laptop (a, b, 8, 13 inch)"
        assert (product.brand, product.size, product.popularity) == ("Apple", "13 inch", 3)

    def test_a_product_without_any_name_still_has_one(self) -> None:
        assert to_product(ItemAnswer(id=9, title=None), None, {}, 0).name == "Product 9"
        assert to_product(ItemAnswer(id=9, upc="X-1"), None, {}, 0).name == "X-1"

    def test_descriptions_lose_their_markup(self) -> None:
        html = "<p>Warm &amp; <b>soft</b><script>alert('x')</script><br>wool</p></style>"
        product = to_product(ItemAnswer(id=1, title="Hat", description=html), None, {}, 0)
        assert product.description == "Warm & soft wool"

    def test_prices_are_with_tax_where_it_is_known(self) -> None:
        taxed = PriceAnswer(currency="EUR", excl_tax=Decimal("10.00"), incl_tax=Decimal("12.10"))
        assert to_price(taxed) == Price(Decimal("12.10"), Decimal("12.10"), "EUR")
        assert to_price(PriceAnswer(currency="EUR", excl_tax=Decimal("10.00"))) == Price(
            Decimal(10), Decimal(10), "EUR"
        )
        assert to_price(PriceAnswer()) is None

    def test_stock_is_what_is_left_after_allocation(self) -> None:
        record = StockRecordAnswer(price=Decimal(1), price_currency="EUR", num_in_stock=5, num_allocated=2)
        assert record_stock((record,), counted=True) == Stock(available=True, units=3)
        assert record_stock((record,), counted=False) == Stock(available=True, units=None)
        assert record_stock((), counted=False) == Stock(available=False, units=None)
        assert record_price(()) is None
        assert to_stock(AvailabilityAnswer(is_available_to_buy=True)) == Stock(available=True, units=None)

    @pytest.mark.parametrize(
        "answer",
        [
            None,
            [],
            {"id": "secret@shop.example"},
            {"id": 1, "categories": "secret@shop.example"},
            {"id": 1, "attributes": [{"value": "secret@shop.example"}]},
        ],
        ids=json.dumps,
    )
    def test_answers_out_of_contract_are_named_without_their_values(self, answer: object) -> None:
        with pytest.raises(SourceUnavailable, match="ItemAnswer") as raised:
            read_one(ItemAnswer, answer)
        assert "secret" not in str(raised.value)
        with pytest.raises(SourceUnavailable, match="ItemAnswer"):
            read_many(ItemAnswer, [answer])

    @pytest.mark.parametrize("link", ["", "http://shop/api/users/", "http://shop/api/users/x/", 1.5, None])
    def test_links_end_in_ids(self, link: object) -> None:
        order = {"url": "http://shop/api/orders/12/", "owner": None, "date_placed": "2025-06-01T10:00:00Z"}
        assert read_one(OrderAnswer, order).url == 12
        with pytest.raises(SourceUnavailable):
            read_one(CategoryAnswer, {"url": link, "name": "a", "slug": "a", "breadcrumbs": "a"})


def _stands_in(item: Item, category_id: str) -> bool:
    place = next((PLACES[p] for p in item.answer.categories if p in PLACES), "")
    return place == category_id or (category_id == "1" and place != "")


def _ids(products: Sequence[Product]) -> list[str]:
    return [product.id for product in products]
