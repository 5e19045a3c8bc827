"""Values survive the way over the wire, whatever is in them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from personalization.errors import DeadlineExceeded, PersonaError
from personalization.events import Persona
from resolvers.errors import SourceRefused, UnknownCategory
from resolvers.sources import rest_contract as contract
from resolvers.sources.problems import (
    DEADLINE_EXCEEDED,
    INTERNAL,
    PROBLEMS,
    REFUSED,
    UNKNOWN_CATEGORY,
    InvalidRequest,
    encode_problem,
    parse_problem,
    problem_of,
)
from resolvers.sources.rest_requests import (
    catalog_members,
    read_catalog_query,
    read_shelf_queries,
    shelf_members,
)
from resolvers.sources.source import (
    Basket,
    BasketLine,
    CatalogQuery,
    Category,
    Coupon,
    Customer,
    Order,
    OrderLine,
    Price,
    Product,
    ProductPage,
    ProductSort,
    ShelfKind,
    ShelfQuery,
    Stock,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
maybe = st.none() | texts
integers = st.integers(-(2**53), 2**53)
money = st.decimals(allow_nan=False, allow_infinity=False)
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC) | offsets)
ids = st.lists(texts, max_size=4).map(tuple)

products = st.builds(Product, texts, texts, texts, maybe, maybe, maybe, integers)
prices = st.builds(Price, money, money, texts)
stock = st.builds(Stock, st.booleans(), st.none() | integers)
coupons = st.builds(Coupon, texts, texts, times, times)
categories = st.builds(Category, texts, texts, maybe, ids, integers)
customers = st.builds(Customer, texts, st.none() | st.sampled_from(Persona), maybe, ids, ids)
order_lines = st.lists(st.builds(OrderLine, texts, integers, money), max_size=3).map(tuple)
orders = st.builds(Order, texts, texts, times, order_lines)
basket_lines = st.lists(st.builds(BasketLine, texts, integers, money), max_size=3).map(tuple)
baskets = st.builds(Basket, texts, texts, basket_lines, texts)

CASES: list[tuple[str, st.SearchStrategy[Any], Callable[[Any], Any]]] = [
    ("product", products, contract.parse_product),
    ("price", prices, contract.parse_price),
    ("stock", stock, contract.parse_stock),
    ("coupon", coupons, contract.parse_coupon),
    ("category", categories, contract.parse_category),
    ("customer", customers, contract.parse_customer),
    ("order", orders, contract.parse_order),
    ("basket", baskets, contract.parse_basket),
]


@pytest.mark.parametrize(("values", "parse"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
@given(data=st.data())
def test_values_survive(values: st.SearchStrategy[Any], parse: Callable[[Any], Any], data: st.DataObject) -> None:
    value = data.draw(values)
    assert parse(orjson.loads(contract.encode(value))) == value


@given(st.lists(st.tuples(products, texts), max_size=4), st.booleans())
def test_pages_survive(pairs: list[tuple[Product, str]], has_next: bool) -> None:
    page = ProductPage(tuple(p for p, _ in pairs), tuple(c for _, c in pairs), has_next)
    assert contract.parse_page(orjson.loads(contract.encode(page)), 4) == page


@given(st.none() | texts, st.none() | texts, st.sampled_from(ProductSort), st.integers(1, 100), st.none() | texts)
def test_catalog_queries_survive(
    category: str | None, search: str | None, sort: ProductSort, first: int, after: str | None
) -> None:
    query = CatalogQuery(category, search, sort, first, after)
    assert read_catalog_query(catalog_members(query)) == query


@given(st.lists(st.builds(ShelfQuery, st.sampled_from(ShelfKind), maybe, maybe, st.integers(1, 1000)), max_size=5))
def test_shelf_queries_survive(queries: list[ShelfQuery]) -> None:
    wire = orjson.loads(orjson.dumps({"shelves": [shelf_members(query) for query in queries]}))
    assert read_shelf_queries(wire) == queries


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.just("items"), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("parse", [case[2] for case in CASES], ids=[case[0] for case in CASES])
@given(answer=json_values, count=st.integers(0, 2))
def test_any_other_json_is_a_broken_contract(parse: Callable[[Any], Any], answer: Any, count: int) -> None:
    try:
        with contract.answer_of("products"):
            found = contract.parse_found(answer, parse, count)
    except contract.ContractBroken:
        return
    assert found == (None,) * count


@given(json_values)
def test_any_other_json_is_an_invalid_request(values: Any) -> None:
    for read in (read_catalog_query, read_shelf_queries):
        try:
            read(values)
        except InvalidRequest:
            continue
        assert values in ({}, {"shelves": []})


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if p.error], ids=lambda p: str(p.name))
@given(detail=texts)
def test_problems_survive(problem: Any, detail: str) -> None:
    error = parse_problem(encode_problem(problem, detail))
    assert error is not None
    assert type(error) is problem.error
    assert str(error) == detail
    assert problem_of(error) is problem


@example(b"[]")
@given(st.binary())
def test_other_bodies_are_no_problem(body: bytes) -> None:
    assert parse_problem(body) is None


def test_details_that_are_not_unicode_are_left_out() -> None:
    error = parse_problem(encode_problem(UNKNOWN_CATEGORY, "there is no \ud800"))
    assert isinstance(error, UnknownCategory)
    assert str(error) == UNKNOWN_CATEGORY.title


def test_errors_are_the_problem_of_their_nearest_ancestor() -> None:
    class OutOfStock(SourceRefused):
        pass

    assert problem_of(OutOfStock()) is REFUSED
    assert problem_of(DeadlineExceeded()) is DEADLINE_EXCEEDED
    assert problem_of(PersonaError()) is INTERNAL


def test_other_kinds_of_value_are_not_encoded() -> None:
    with pytest.raises(TypeError):
        contract.encode({"amount": Decimal("1.50"), "other": object()})
