"""The E-Commerce API of a django-oscar shop with django-oscar-api, which the gateway did not make.

Its REST API answers one item a call and knows no filters, no search and no ranking. Reads by id become batches of
concurrent calls under a limit; everything else comes from an index of the shop that is read anew again and again.
`docs/oscar.md` says what the shop must have configured.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from personalization.clock import Clock, Deadline
from personalization.events import Persona
from resolvers.errors import UnknownProduct
from resolvers.sources.oscar_baskets import OscarBaskets, Units
from resolvers.sources.oscar_calls import OscarCalls, gather_bounded
from resolvers.sources.oscar_catalogue import Bounds, CatalogueReader
from resolvers.sources.oscar_parse import to_price, to_product, to_stock
from resolvers.sources.oscar_refresh import IndexKeeper
from resolvers.sources.oscar_wire import AvailabilityAnswer, ItemAnswer, PriceAnswer
from resolvers.sources.source import (
    Basket,
    CatalogQuery,
    Category,
    Coupon,
    Customer,
    Order,
    Price,
    Product,
    ProductPage,
    ShelfQuery,
    Stock,
)
from resolvers.sources.upstream_client import UpstreamClient

Value = TypeVar("Value")


class OscarSource:
    """A `CommerceSource` over an Oscar shop.

    What may be read by id is what the index holds: a product that is new in the shop, or gone from it, is so here with
    the next refresh. Price and stock are the shop's answers of the moment. `staff` is a user with the right to view
    products, product classes, orders, order lines and users; without one there are no customers, no orders and no
    popularity. `basket_key` is a secret shared by all gateways before the shop. Closes the client it is given.
    """

    def __init__(
        self,
        client: UpstreamClient,
        *,
        base_url: str,
        concurrency: int,
        refresh_s: float,
        basket_key: bytes,
        clock: Clock,
        tracer: Tracer,
        registry: CollectorRegistry,
        staff: tuple[str, str] | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._client = client
        self._calls = OscarCalls(client, base_url, concurrency, staff)
        reader = CatalogueReader(self._calls, bounds or Bounds())
        self._index = IndexKeeper(reader, refresh_s, clock=clock, tracer=tracer, registry=registry)
        self._baskets = OscarBaskets(self._calls, basket_key)

    async def start(self) -> None:
        """Load the index, so that the first visit need not wait for it, and keep it fresh from now on.

        Raises `SourceUnavailable`; the shop is then tried again every few seconds.
        """
        await self._index.start()

    async def refresh(self) -> None:
        """Read the shop anew now. Raises `SourceUnavailable`; the index that was there stays then."""
        await self._index.refresh()

    async def products(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Product | None]:
        """Products by id."""
        index = await self._index.current(deadline)

        async def read(product_id: str) -> Product | None:
            answer = await self._calls.one(ItemAnswer, "oscar_product", f"products/{product_id}/", deadline)
            if answer is None or not answer.is_public:
                return None
            popularity = index.products[product_id].popularity
            return to_product(answer, index.families[product_id], index.category_ids, popularity)

        return await self._each(ids, read, deadline)

    async def prices(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[Price | None]:
        """Prices by product id, with tax where the shop knows it."""

        async def read(product_id: str) -> Price | None:
            path = f"products/{product_id}/price/"
            answer = await self._calls.one(PriceAnswer, "oscar_price", path, deadline)
            return None if answer is None else to_price(answer)

        return await self._each(product_ids, read, deadline)

    async def stock(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[Stock | None]:
        """Stock by product id."""

        async def read(product_id: str) -> Stock | None:
            path = f"products/{product_id}/availability/"
            answer = await self._calls.one(AvailabilityAnswer, "oscar_stock", path, deadline)
            return None if answer is None else to_stock(answer)

        return await self._each(product_ids, read, deadline)

    async def coupons(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[tuple[Coupon, ...]]:
        """None: the REST API does not show vouchers to those who do not know their code."""
        deadline.check("coupons")
        return [() for _ in product_ids]

    async def categories(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Category | None]:
        """Categories by id, from the index."""
        known = (await self._index.current(deadline)).categories
        return [known.get(category_id) for category_id in ids]

    async def category_tree(self, deadline: Deadline) -> Sequence[Category]:
        """Every public category, from the index."""
        return list((await self._index.current(deadline)).categories.values())

    async def catalog(self, query: CatalogQuery, deadline: Deadline) -> ProductPage:
        """A page of the catalog, from the index. Raises `InvalidCursor`, `UnknownCategory`."""
        return await self._index.ask(lambda index: index.page(query), deadline)

    async def catalog_count(self, query: CatalogQuery, deadline: Deadline) -> int:
        """How many products the query lists, from the index. Raises `UnknownCategory`."""
        return await self._index.ask(lambda index: index.count(query), deadline)

    async def shelves(self, queries: Sequence[ShelfQuery], deadline: Deadline) -> Sequence[tuple[Product, ...]]:
        """Ranked lists, from the index; without orders to rank by, in catalogue order. Raises `UnknownCategory`."""
        return await self._index.ask(lambda index: [index.shelf(query) for query in queries], deadline)

    def shelf_at_hand(self, query: ShelfQuery) -> Sequence[str] | None:
        """None: the index may have to be built first."""
        return None

    async def customers(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Customer | None]:
        """Customers by id. Oscar knows no personas, regions and sponsors; top categories come from the index."""
        index = await self._index.current(deadline)
        if not self._calls.has_staff:
            return [None for _ in ids]

        async def read(customer_id: str) -> Customer | None:
            found = await self._calls.staff_found("oscar_customer", f"admin/users/{customer_id}/", deadline)
            return Customer(customer_id, None, None, (), index.top_categories(customer_id)) if found else None

        wanted = dict.fromkeys(customer_id for customer_id in ids if _is_pk(customer_id))
        answers = await gather_bounded(wanted, read, self._calls.workers, deadline)
        return [answers.get(customer_id) for customer_id in ids]

    async def orders(self, customer_ids: Sequence[str], limit: int, deadline: Deadline) -> Sequence[tuple[Order, ...]]:
        """Each customer's latest orders, from the index."""
        index = await self._index.current(deadline)
        return [index.orders(customer_id, limit) for customer_id in customer_ids]

    async def persona_categories(self, deadline: Deadline) -> dict[Persona, tuple[str, ...]]:
        """What everyone buys most, under `VISITOR`: Oscar knows no personas."""
        return (await self._index.current(deadline)).persona_categories()

    async def basket(self, basket_id: str, owner: str, deadline: Deadline) -> Basket | None:
        """The basket, or None where it does not exist or has another owner."""
        index = await self._index.current(deadline)
        basket = await self._baskets.read(basket_id, owner, deadline)
        return replace(basket, currency=basket.currency or index.currency) if basket else None

    async def add_to_basket(
        self, basket_id: str | None, owner: str, product_id: str, quantity: int, deadline: Deadline
    ) -> Basket:
        """Add units. Raises `UnknownBasket`, `UnknownProduct`, `SourceRefused`."""
        index = await self._index.current(deadline)
        if product_id not in index.products:
            raise UnknownProduct(f"there is no product {product_id[:40]!a}")
        basket = await self._baskets.add(basket_id, owner, Units(product_id, quantity), deadline)
        return replace(basket, currency=basket.currency or index.currency)

    async def aclose(self) -> None:
        """Stop refreshing, let go of the index and the connections; safe to call twice."""
        await self._index.aclose()
        await self._client.aclose()

    async def _each(
        self, ids: Sequence[str], read: Callable[[str], Awaitable[Value | None]], deadline: Deadline
    ) -> list[Value | None]:
        """One call for each different id that the index knows; the others do not exist."""
        known = (await self._index.current(deadline)).products
        wanted = dict.fromkeys(product_id for product_id in ids if product_id in known)
        answers = await gather_bounded(wanted, read, self._calls.workers, deadline)
        return [answers.get(product_id) for product_id in ids]


def _is_pk(text: str) -> bool:
    """Whether the text can be an id of Oscar's; anything else would be a path."""
    return len(text) <= 18 and text.isascii() and text.isdecimal() and not text.startswith("0")
