"""The answers of django-oscar-api 3 as typed values; members the gateway has no use for are dropped unread."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from resolvers.errors import SourceUnavailable

Answer = TypeVar("Answer", bound="Wire")


def _pk(link: object) -> object:
    """The id at the end of a hyperlink; anything else as it came, for validation to refuse."""
    if isinstance(link, str) and (tail := urlsplit(link).path.rstrip("/").rpartition("/")[2]).isdecimal():
        return int(tail)
    return link


Pk = Annotated[int, BeforeValidator(_pk)]


class Wire(BaseModel):
    """What all answers share: frozen, and unknown members ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AttributeAnswer(Wire):
    """An attribute of a product; `value` is text, a number, a truth value, or a list of text."""

    code: str
    value: Any = None

    def text(self) -> str:
        """The value as words; empty for what has no words."""
        if isinstance(self.value, list):
            return ", ".join(str(part) for part in self.value if isinstance(part, str | int))
        if isinstance(self.value, bool) or not isinstance(self.value, str | int | float):
            return ""
        return str(self.value).strip()


class ItemAnswer(Wire):
    """A product, whichever list or detail it stands in. `categories` are breadcrumbs: `Books > Poetry`."""

    id: int
    title: str | None = ""
    upc: str | None = None
    description: str | None = ""
    structure: str = "standalone"
    is_public: bool = True
    categories: tuple[str, ...] = ()
    attributes: tuple[AttributeAnswer, ...] = ()


class ListedAnswer(Wire):
    """An entry of the product list, of which only the id is certain."""

    id: int


class ProductAnswer(ItemAnswer):
    """A product as everybody may see it; a parent carries its variants."""

    children: tuple[ItemAnswer, ...] = ()


class StockRecordAnswer(Wire):
    """Price before tax and units, as staff may see them."""

    price: Decimal | None = None
    price_currency: str = ""
    num_in_stock: int | None = None
    num_allocated: int | None = None


class StaffProductAnswer(ItemAnswer):
    """A product as staff may see it; a variant names its parent."""

    parent: int | None = None
    product_class: str | None = None
    stockrecords: tuple[StockRecordAnswer, ...] = ()


class ProductClassAnswer(Wire):
    """A kind of product, and whether its stock is counted."""

    slug: str
    track_stock: bool = True


class PriceAnswer(Wire):
    """What one unit costs; everything is null for what cannot be bought."""

    currency: str | None = None
    excl_tax: Decimal | None = None
    incl_tax: Decimal | None = None


class AvailabilityAnswer(Wire):
    """Whether units can be bought; `num_available` is left out where they are not counted."""

    is_available_to_buy: bool
    num_available: int | None = None


class CategoryAnswer(Wire):
    """A category; `url` ends in its id."""

    url: Pk
    name: str
    slug: str
    breadcrumbs: str
    is_public: bool = True
    ancestors_are_public: bool = True


class OrderAnswer(Wire):
    """An order without its lines; `url` and `owner` end in ids, a guest's order has no owner."""

    url: Pk
    owner: Pk | None = None
    date_placed: AwareDatetime

    @property
    def placed_at(self) -> datetime:
        """When it was placed, aware."""
        return self.date_placed


class OrderLineAnswer(Wire):
    """A line of an order; `product` ends in an id, null when the product is gone."""

    product: Pk | None = None
    quantity: int
    price_incl_tax: Decimal


class BasketAnswer(Wire):
    """A basket without its lines."""

    id: int


class BasketLineAnswer(Wire):
    """A line of a basket; the amount is for all its units, with tax, before discounts of the whole basket."""

    product: Pk
    quantity: int
    price_currency: str | None = None
    price_incl_tax_excl_discounts: Decimal


def read_one(kind: type[Answer], value: object) -> Answer:
    """The answer as a value of `kind`. Raises `SourceUnavailable` where it is none."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise _out_of_contract(kind, error) from None


def read_many(kind: type[Answer], values: object) -> tuple[Answer, ...]:
    """A list of answers as values of `kind`. Raises `SourceUnavailable` where it is none."""
    try:
        return TypeAdapter(tuple[kind, ...]).validate_python(values)  # type: ignore[valid-type]
    except ValidationError as error:
        raise _out_of_contract(kind, error) from None


def _out_of_contract(kind: type[Wire], error: ValidationError) -> SourceUnavailable:
    """Names the members at fault, never their values: they may be personal."""
    places = {".".join(str(part) for part in fault["loc"]) for fault in error.errors(include_input=False)}
    return SourceUnavailable(f"the shop gave a {kind.__name__} out of contract at {', '.join(sorted(places)[:3])}")
