"""The answers of the REST contract (`docs/upstream.md`), from values to JSON and back; server and client share it.

Objects carry the members of the dataclasses in `source.py` under their own names; money is a decimal string, times are
ISO 8601 with an offset. What a parser here is given has already been read as JSON and may be anything.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import orjson

from personalization.events import Persona
from resolvers.errors import SourceUnavailable
from resolvers.sources.source import (
    Basket,
    BasketLine,
    Category,
    Coupon,
    Customer,
    Order,
    OrderLine,
    Price,
    Product,
    ProductPage,
    Stock,
)

T = TypeVar("T")

_WRONG = (KeyError, TypeError, ValueError, ArithmeticError)


class ContractBroken(SourceUnavailable):
    """The upstream answered with JSON of another shape than the contract says."""


def encode(value: object) -> bytes:
    """The JSON of an answer made of dicts, lists and the values of `source.py`."""
    return orjson.dumps(value, default=_money)


def _money(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(type(value).__name__)


@contextmanager
def answer_of(operation: str) -> Iterator[None]:
    """Turns what the parsers below stumble over into `ContractBroken`, which says the operation and no values."""
    try:
        yield
    except _WRONG as error:
        raise ContractBroken(f"the shop answered {operation} out of contract ({type(error).__name__})") from error


def parse_found(answer: Any, parse: Callable[[Any], T], count: int) -> tuple[T | None, ...]:
    """The `count` items of a batch, None where there is nothing of that id."""
    return tuple([None if item is None else parse(item) for item in _items(answer, count)])


def parse_each(answer: Any, parse: Callable[[Any], T], count: int | None = None) -> tuple[T, ...]:
    """The items of a list, `count` of them if given."""
    return tuple([parse(item) for item in _items(answer, count)])


def many(parse: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """A parser of lists of what `parse` reads."""
    return lambda value: tuple([parse(item) for item in _list(value)])


def parse_product(value: Any) -> Product:
    """A product."""
    return Product(
        _text(value["id"]),
        _text(value["name"]),
        _text(value["category_id"]),
        _optional_text(value["brand"]),
        _optional_text(value["description"]),
        _optional_text(value["size"]),
        _integer(value["popularity"]),
    )


def parse_price(value: Any) -> Price:
    """A price."""
    return Price(_decimal(value["amount"]), _decimal(value["list_amount"]), _text(value["currency"]))


def parse_stock(value: Any) -> Stock:
    """What is in stock."""
    units = value["units"]
    return Stock(_boolean(value["available"]), None if units is None else _integer(units))


def parse_coupon(value: Any) -> Coupon:
    """A coupon."""
    return Coupon(_text(value["id"]), _text(value["campaign"]), _time(value["valid_from"]), _time(value["valid_until"]))


def parse_category(value: Any) -> Category:
    """A node of the category tree."""
    return Category(
        _text(value["id"]),
        _text(value["name"]),
        _optional_text(value["parent_id"]),
        _texts(value["child_ids"]),
        _integer(value["product_count"]),
    )


def parse_customer(value: Any) -> Customer:
    """A customer."""
    persona = value["persona"]
    return Customer(
        _text(value["id"]),
        None if persona is None else Persona(persona),
        _optional_text(value["region"]),
        _texts(value["sponsors"]),
        _texts(value["top_categories"]),
    )


def parse_order(value: Any) -> Order:
    """An order with its lines."""
    return Order(
        _text(value["id"]),
        _text(value["customer_id"]),
        _time(value["placed_at"]),
        tuple(
            [
                OrderLine(_text(line["product_id"]), _integer(line["quantity"]), _decimal(line["amount"]))
                for line in _list(value["lines"])
            ]
        ),
    )


def parse_basket(value: Any) -> Basket:
    """A basket with its lines."""
    return Basket(
        _text(value["id"]),
        _text(value["owner"]),
        tuple(
            [
                BasketLine(_text(line["product_id"]), _integer(line["quantity"]), _decimal(line["unit_amount"]))
                for line in _list(value["lines"])
            ]
        ),
        _text(value["currency"]),
    )


def parse_page(answer: Any, first: int) -> ProductPage:
    """A page of at most `first` products."""
    products = many(parse_product)(answer["products"])
    cursors = _texts(answer["cursors"])
    if len(products) != len(cursors) or len(products) > first:
        raise ValueError("a page of another length than asked, or not a cursor for each product")
    return ProductPage(products, cursors, _boolean(answer["has_next"]))


def parse_persona_categories(answer: Any) -> dict[Persona, tuple[str, ...]]:
    """The categories of each persona."""
    personas = answer["personas"]
    if type(personas) is not dict:
        raise TypeError("not an object")
    return {Persona(name): _texts(categories) for name, categories in personas.items()}


def parse_count(answer: Any) -> int:
    """A number of products."""
    return _integer(answer["count"])


def _items(answer: Any, count: int | None) -> list[Any]:
    items = _list(answer["items"])
    if count is not None and len(items) != count:
        raise ValueError("another number of items than was asked for")
    return items


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise TypeError("a list was expected")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("a text was expected")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple([_text(item) for item in _list(value)])


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("an integer was expected")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError("true or false was expected")
    return value


def _decimal(value: Any) -> Decimal:
    amount = Decimal(_text(value))
    if not amount.is_finite():
        raise ValueError("an amount must be finite")
    return amount


def _time(value: Any) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError("a time needs an offset")
    return time
