"""The E-Commerce API as the gateway sees it: one protocol, and the values that cross it.

Every read is a batch, and answers come back in the order of the ids asked, with None for what does not exist, so that
loaders need no sorting. Every call takes a `Deadline` and gives up with `DeadlineExceeded` when it has passed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from personalization.clock import Deadline
from personalization.events import Persona

MAX_PAGE = 100


class ProductSort(StrEnum):
    """Orders a catalog list can come in; ties are broken by product id, so pages never overlap."""

    POPULAR = "POPULAR"
    PRICE_ASC = "PRICE_ASC"
    PRICE_DESC = "PRICE_DESC"
    NAME = "NAME"
    RELEVANCE = "RELEVANCE"


@dataclass(frozen=True, slots=True)
class Product:
    """What is sold. Facts that are stable; price and stock are separate reads.

    `popularity` is the number of purchase lines on record.
    """

    id: str
    name: str
    category_id: str
    brand: str | None
    description: str | None
    size: str | None
    popularity: int


@dataclass(frozen=True, slots=True)
class Category:
    """A node of the category tree. `parent_id` is None at the top; `child_ids` are in display order.

    `product_count` counts products in it and below it.
    """

    id: str
    name: str
    parent_id: str | None
    child_ids: tuple[str, ...]
    product_count: int


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs now; `list_amount` is before discounts."""

    amount: Decimal
    list_amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Stock:
    """Units that can be ordered now; None where the shop does not count them."""

    available: bool
    units: int | None


@dataclass(frozen=True, slots=True)
class Coupon:
    """A discount campaign's coupon that applies to a product."""

    id: str
    campaign: str
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer, by pseudonym. `sponsors` is the line of sponsors upward, nearest first.

    `top_categories` are the categories with most purchase lines, strongest first, at most five. `persona` and `region`
    are None where the shop does not know them.
    """

    id: str
    persona: Persona | None
    region: str | None
    sponsors: tuple[str, ...]
    top_categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One product in an order; `amount` is what was paid for all `quantity` units."""

    product_id: str
    quantity: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """A purchase of the past."""

    id: str
    customer_id: str
    placed_at: datetime
    lines: tuple[OrderLine, ...]


@dataclass(frozen=True, slots=True)
class BasketLine:
    """One product in a basket, at the price it had when the basket was read."""

    product_id: str
    quantity: int
    unit_amount: Decimal


@dataclass(frozen=True, slots=True)
class Basket:
    """What a viewer means to buy. `owner` is the pseudonym that made it; only its owner may read or change it."""

    id: str
    owner: str
    lines: tuple[BasketLine, ...]
    currency: str


@dataclass(frozen=True, slots=True)
class CatalogQuery:
    """Which products to list. `after` is a cursor from an earlier page of the same category, search and sort.

    `category_id` includes everything below it. `first` is 1 to 100.
    """

    category_id: str | None = None
    search: str | None = None
    sort: ProductSort = ProductSort.POPULAR
    first: int = 24
    after: str | None = None


@dataclass(frozen=True, slots=True)
class ProductPage:
    """A page: products with a cursor each, and whether more follow."""

    products: tuple[Product, ...]
    cursors: tuple[str, ...]
    has_next: bool


class ShelfKind(StrEnum):
    """Ranked lists that a shop knows."""

    BESTSELLERS = "bestsellers"
    TRENDING = "trending"


@dataclass(frozen=True, slots=True)
class ShelfQuery:
    """Which ranked list: everything ever sold, or what sells faster lately; within a category and a region if given.

    A region or category without enough sales is filled up from the wider list, so that a shelf is never short while
    the shop has products. Products out of stock are left out.
    """

    kind: ShelfKind
    category_id: str | None = None
    region: str | None = None
    limit: int = 12


class CommerceSource(Protocol):
    """The E-Commerce API. Implementations: `embedded.py`, `http.py`, `oscar.py`; one suite of tests for all.

    Raises:
        DeadlineExceeded: the deadline passed before or during the call.
        SourceUnavailable: the shop cannot be reached or answered out of contract.
        SourceRefused: the shop refused this request (its subclasses say why).
    """

    async def products(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Product | None]:
        """Products by id."""
        ...

    async def prices(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[Price | None]:
        """Prices by product id."""
        ...

    async def stock(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[Stock | None]:
        """Stock by product id."""
        ...

    async def coupons(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[tuple[Coupon, ...]]:
        """Coupons by product id, ordered by id; empty where there are none."""
        ...

    async def categories(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Category | None]:
        """Categories by id."""
        ...

    async def category_tree(self, deadline: Deadline) -> Sequence[Category]:
        """Every category, parents before children, siblings in display order."""
        ...

    async def catalog(self, query: CatalogQuery, deadline: Deadline) -> ProductPage:
        """A page of the catalog. Raises `InvalidCursor`, `UnknownCategory`."""
        ...

    async def catalog_count(self, query: CatalogQuery, deadline: Deadline) -> int:
        """How many products the query lists over all pages (`first` and `after` are ignored)."""
        ...

    async def shelves(self, queries: Sequence[ShelfQuery], deadline: Deadline) -> Sequence[tuple[Product, ...]]:
        """Ranked lists, one for each query. Raises `UnknownCategory`."""
        ...

    def shelf_at_hand(self, query: ShelfQuery) -> Sequence[str] | None:
        """The ids of a ranked list that nobody has to wait for; None where it would have to be read, or cannot be."""
        ...

    async def customers(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Customer | None]:
        """Customers by id."""
        ...

    async def orders(self, customer_ids: Sequence[str], limit: int, deadline: Deadline) -> Sequence[tuple[Order, ...]]:
        """Each customer's latest orders, newest first, at most `limit`."""
        ...

    async def persona_categories(self, deadline: Deadline) -> dict[Persona, tuple[str, ...]]:
        """The categories each persona buys most, strongest first, at most five; VISITOR stands for everyone."""
        ...

    async def basket(self, basket_id: str, owner: str, deadline: Deadline) -> Basket | None:
        """The basket, or None where it does not exist or has another owner."""
        ...

    async def add_to_basket(
        self, basket_id: str | None, owner: str, product_id: str, quantity: int, deadline: Deadline
    ) -> Basket:
        """Add units (1 to 99) to a basket; without an id a new one is made.

        Raises `UnknownBasket`, `UnknownProduct`, and `SourceRefused` where less is in stock than asked.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections and threads; safe to call twice."""
        ...
