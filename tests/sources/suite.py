"""The contract of `CommerceSource` as tests that know nothing but the protocol.

A source passes by subclassing `SourceContract` and giving three fixtures: `source` (the client under test), `second`
(another client of the same shop, to see what persists) and `facts` (what is known of the shop).
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from personalization.clock import Deadline
from personalization.errors import DeadlineExceeded
from personalization.events import Persona
from resolvers.errors import SourceRefused, UnknownBasket, UnknownProduct
from resolvers.sources.source import CatalogQuery, Category, CommerceSource, ShelfKind, ShelfQuery
from tests.sources.suite_catalog import CatalogContract, ShelfContract
from tests.sources.suite_facts import HOSTILE, OWNER, STRANGER, UNKNOWN, Facts, soon

__all__ = ["Facts", "SourceContract", "soon"]

Call = Callable[[CommerceSource, Facts, Deadline], Awaitable[object]]

CALLS: dict[str, Call] = {
    "products": lambda s, f, d: s.products(f.product_ids, d),
    "prices": lambda s, f, d: s.prices(f.product_ids, d),
    "stock": lambda s, f, d: s.stock(f.product_ids, d),
    "coupons": lambda s, f, d: s.coupons(f.product_ids, d),
    "categories": lambda s, f, d: s.categories([f.category_id], d),
    "category_tree": lambda s, f, d: s.category_tree(d),
    "catalog": lambda s, f, d: s.catalog(CatalogQuery(), d),
    "catalog_count": lambda s, f, d: s.catalog_count(CatalogQuery(), d),
    "shelves": lambda s, f, d: s.shelves([ShelfQuery(ShelfKind.TRENDING)], d),
    "customers": lambda s, f, d: s.customers([f.customer_id or UNKNOWN], d),
    "orders": lambda s, f, d: s.orders([f.customer_id or UNKNOWN], 3, d),
    "persona_categories": lambda s, f, d: s.persona_categories(d),
    "basket": lambda s, f, d: s.basket(UNKNOWN, OWNER, d),
    "add_to_basket": lambda s, f, d: s.add_to_basket(None, OWNER, f.product_ids[0], 1, d),
}


def batch(known: tuple[str, ...]) -> list[str]:
    """Ids with duplicates, unknown ones and hostile ones among the known."""
    return [known[1], UNKNOWN, known[0], known[1], *HOSTILE, known[2], UNKNOWN, known[0]]


class BatchContract:
    """Reads by id."""

    async def test_batches_keep_the_order_and_say_none(self, source: CommerceSource, facts: Facts) -> None:
        ids = batch(facts.product_ids)
        products = await source.products(ids, soon())
        assert [p.id if p else None for p in products] == [i if i in facts.product_ids else None for i in ids]
        for answers in (await source.prices(ids, soon()), await source.stock(ids, soon())):
            assert [answer is not None for answer in answers] == [i in facts.product_ids for i in ids]
        coupons = await source.coupons(ids, soon())
        assert len(coupons) == len(ids)
        assert not any(found for i, found in zip(ids, coupons, strict=True) if i not in facts.product_ids)

    async def test_batches_may_be_empty(self, source: CommerceSource) -> None:
        assert list(await source.products([], soon())) == []
        assert list(await source.prices([], soon())) == []
        assert list(await source.stock([], soon())) == []
        assert list(await source.coupons([], soon())) == []
        assert list(await source.categories([], soon())) == []
        assert list(await source.customers([], soon())) == []
        assert list(await source.orders([], 3, soon())) == []
        assert list(await source.shelves([], soon())) == []

    async def test_batches_may_be_long(self, source: CommerceSource, facts: Facts) -> None:
        ids = list(facts.product_ids) * 200
        assert [p.id if p else None for p in await source.products(ids, soon())] == ids
        assert all(await source.prices(ids, soon()))

    async def test_products_are_whole(self, source: CommerceSource, facts: Facts) -> None:
        tree = {category.id for category in await source.category_tree(soon())}
        for product in await source.products(facts.product_ids, soon()):
            assert product is not None
            assert product.name.strip() == product.name != ""
            assert product.category_id in tree
            assert product.popularity >= 0

    async def test_prices_are_exact_money(self, source: CommerceSource, facts: Facts) -> None:
        for price in await source.prices(facts.product_ids, soon()):
            assert price is not None
            assert isinstance(price.amount, Decimal)
            assert Decimal(0) <= price.amount <= price.list_amount
            assert price.amount == price.amount.quantize(Decimal("0.01"))
            assert len(price.currency) == 3

    async def test_stock_says_what_can_be_ordered(self, source: CommerceSource, facts: Facts) -> None:
        for stock in await source.stock(facts.product_ids, soon()):
            assert stock is not None
            assert stock.available
            assert stock.units is None or stock.units > 0
        if facts.unavailable_id is not None:
            (stock,) = await source.stock([facts.unavailable_id], soon())
            assert stock is not None
            assert not stock.available

    async def test_coupons_come_ordered_with_their_dates(self, source: CommerceSource, facts: Facts) -> None:
        for coupons in await source.coupons(facts.product_ids, soon()):
            assert [c.id for c in coupons] == sorted({c.id for c in coupons})
            assert all(c.valid_from.utcoffset() is not None and c.valid_from <= c.valid_until for c in coupons)


class CategoryContract:
    """The tree."""

    async def test_the_tree_is_a_tree(self, source: CommerceSource, facts: Facts) -> None:
        tree = list(await source.category_tree(soon()))
        place = {category.id: index for index, category in enumerate(tree)}
        known = {category.id: category for category in tree}
        assert len(place) == len(tree)
        assert {facts.category_id, facts.other_category_id} <= place.keys()
        for category in tree:
            children = [known[child] for child in category.child_ids]
            assert all(child.parent_id == category.id for child in children)
            assert [place[c.id] for c in children] == sorted(place[c.id] for c in children)
            assert all(place[child.id] > place[category.id] for child in children)
            assert all(child.product_count <= category.product_count for child in children)
            assert category.parent_id is None or category.id in known[category.parent_id].child_ids

    async def test_categories_by_id_equal_the_tree(self, source: CommerceSource) -> None:
        tree: list[Category | None] = list(await source.category_tree(soon()))
        ids = [category.id for category in tree if category]
        answers = await source.categories([*ids[::-1], UNKNOWN, *HOSTILE, ids[0]], soon())
        assert list(answers) == [*tree[::-1], None, *[None for _ in HOSTILE], tree[0]]


class CustomerContract:
    """People, by pseudonym."""

    async def test_customers_keep_the_order_and_say_none(self, source: CommerceSource, facts: Facts) -> None:
        known = [facts.customer_id] if facts.customer_id else []
        answers = await source.customers([UNKNOWN, *known, *HOSTILE, *known], soon())
        wanted = [None, *known, *[None for _ in HOSTILE], *known]
        assert [customer.id if customer else None for customer in answers] == wanted
        tree = {category.id for category in await source.category_tree(soon())}
        for customer in answers:
            if customer is not None:
                assert customer.id not in customer.sponsors
                assert len(set(customer.sponsors)) == len(customer.sponsors)
                assert len(set(customer.top_categories)) == len(customer.top_categories) <= 5
                assert set(customer.top_categories) <= tree
                assert all(await source.customers(customer.sponsors, soon()))

    async def test_orders_are_the_latest_first(self, source: CommerceSource, facts: Facts) -> None:
        known = [facts.customer_id] if facts.customer_id else []
        answers = await source.orders([UNKNOWN, *HOSTILE, *known, *known], 3, soon())
        assert [bool(orders) for orders in answers] == [False] * (1 + len(HOSTILE)) + [True] * (2 * len(known))
        for orders in answers:
            times = [order.placed_at for order in orders]
            assert len(times) <= 3
            assert times == sorted(times, reverse=True)
            for order in orders:
                assert order.customer_id == facts.customer_id
                assert order.placed_at.utcoffset() is not None
                assert order.lines
                assert all(line.quantity >= 1 and line.amount >= 0 for line in order.lines)

    async def test_personas_have_categories(self, source: CommerceSource) -> None:
        tree = {category.id for category in await source.category_tree(soon())}
        found = await source.persona_categories(soon())
        assert found[Persona.VISITOR]
        for categories in found.values():
            assert len(set(categories)) == len(categories) <= 5
            assert set(categories) <= tree


class BasketContract:
    """Writes."""

    async def test_a_basket_is_made_filled_and_kept(
        self, source: CommerceSource, second: CommerceSource, facts: Facts
    ) -> None:
        first, other, *_ = facts.product_ids
        made = await source.add_to_basket(None, OWNER, first, 1, soon())
        assert [(line.product_id, line.quantity) for line in made.lines] == [(first, 1)]
        await source.add_to_basket(made.id, OWNER, other, 1, soon())
        filled = await source.add_to_basket(made.id, OWNER, first, 1, soon())
        assert {line.product_id: line.quantity for line in filled.lines} == {first: 2, other: 1}
        assert (filled.id, filled.owner) == (made.id, OWNER)
        assert await source.basket(made.id, OWNER, soon()) == filled
        assert await second.basket(made.id, OWNER, soon()) == filled

    async def test_lines_cost_what_the_price_says(self, source: CommerceSource, facts: Facts) -> None:
        basket = await source.add_to_basket(None, OWNER, facts.product_ids[0], 1, soon())
        (price,) = await source.prices(facts.product_ids[:1], soon())
        assert price is not None
        assert (basket.lines[0].unit_amount, basket.currency) == (price.amount, price.currency)

    async def test_a_basket_without_id_is_a_new_one(self, source: CommerceSource, facts: Facts) -> None:
        baskets = [await source.add_to_basket(None, OWNER, facts.product_ids[0], 1, soon()) for _ in range(3)]
        assert len({basket.id for basket in baskets}) == 3
        assert all(len(basket.id) >= 16 for basket in baskets), "an id that can be guessed"

    async def test_a_basket_is_its_owners_alone(self, source: CommerceSource, facts: Facts) -> None:
        basket = await source.add_to_basket(None, OWNER, facts.product_ids[0], 1, soon())
        assert await source.basket(basket.id, STRANGER, soon()) is None
        with pytest.raises(UnknownBasket):
            await source.add_to_basket(basket.id, STRANGER, facts.product_ids[1], 1, soon())
        assert await source.basket(basket.id, OWNER, soon()) == basket

    @pytest.mark.parametrize("unknown", [UNKNOWN, *HOSTILE], ids=range(len(HOSTILE) + 1))
    async def test_unknown_names_are_refused(self, source: CommerceSource, facts: Facts, unknown: str) -> None:
        assert await source.basket(unknown, OWNER, soon()) is None
        with pytest.raises(UnknownBasket):
            await source.add_to_basket(unknown, OWNER, facts.product_ids[0], 1, soon())
        with pytest.raises(UnknownProduct):
            await source.add_to_basket(None, OWNER, unknown, 1, soon())

    @pytest.mark.parametrize("quantity", [0, -1, 100, 2**70], ids=str)
    async def test_quantities_are_bounded(self, source: CommerceSource, facts: Facts, quantity: int) -> None:
        basket = await source.add_to_basket(None, OWNER, facts.product_ids[0], 1, soon())
        with pytest.raises(SourceRefused):
            await source.add_to_basket(basket.id, OWNER, facts.product_ids[0], quantity, soon())
        assert await source.basket(basket.id, OWNER, soon()) == basket

    async def test_no_more_than_the_stock_is_taken(self, source: CommerceSource, facts: Facts) -> None:
        stock = await source.stock(facts.product_ids, soon())
        counted = {i: s.units for i, s in zip(facts.product_ids, stock, strict=True) if s and s.units is not None}
        for product_id, units in counted.items():
            basket = await source.add_to_basket(None, OWNER, product_id, 1, soon())
            for step in [99] * ((units - 1) // 99):
                basket = await source.add_to_basket(basket.id, OWNER, product_id, step, soon())
            with pytest.raises(SourceRefused):
                await source.add_to_basket(basket.id, OWNER, product_id, (units - 1) % 99 + 1, soon())
            assert await source.basket(basket.id, OWNER, soon()) == basket

    async def test_what_is_out_of_stock_is_refused(self, source: CommerceSource, facts: Facts) -> None:
        if facts.unavailable_id is None:
            pytest.skip("the shop has everything in stock")
        with pytest.raises(SourceRefused):
            await source.add_to_basket(None, OWNER, facts.unavailable_id, 1, soon())


class SourceContract(BatchContract, CategoryContract, CatalogContract, ShelfContract, CustomerContract, BasketContract):
    """Everything a `CommerceSource` promises."""

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
    async def test_a_passed_deadline_is_exceeded(self, source: CommerceSource, facts: Facts, call: Call) -> None:
        with pytest.raises(DeadlineExceeded):
            await call(source, facts, soon(-1.0))

    async def test_closing_twice_is_safe(self, second: CommerceSource) -> None:
        await second.aclose()
        await second.aclose()
