"""The E-Commerce API over HTTP: the REST contract of `docs/upstream.md`, called through `UpstreamClient`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from personalization.clock import Deadline
from personalization.events import Persona
from resolvers.errors import InvalidCursor, UnknownBasket, UnknownCategory, UnknownProduct
from resolvers.sources import rest_contract as contract
from resolvers.sources import rest_requests as requests
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
from resolvers.sources.upstream_client import JSON, UpstreamClient

T = TypeVar("T")
N = TypeVar("N", bound="_Identified")

# Longer requests than this go as a POST: addresses are cut or refused by what stands between.
_LONGEST_ADDRESS = 4000


class _Identified(Protocol):
    """What answers to an id."""

    @property
    def id(self) -> str: ...


class HttpSource:
    """A `CommerceSource` that asks an upstream over REST. Owns the client it is given and closes it.

    Public facts are read by GET as long as the address is short; whatever names a customer or the owner of a basket
    goes in a body, so that it stays out of access logs. Batches above 1000 ids are asked in turn. Text that is not
    Unicode (a lone surrogate) names nothing that exists, so it is never sent.
    """

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client

    async def products(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Product | None]:
        found = await self._batch("products", "/products", ids, deadline, contract.parse_product)
        return _as_asked("products", ids, found)

    async def prices(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[Price | None]:
        return await self._batch("prices", "/prices", product_ids, deadline, contract.parse_price)

    async def stock(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[Stock | None]:
        return await self._batch("stock", "/stock", product_ids, deadline, contract.parse_stock)

    async def coupons(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[tuple[Coupon, ...]]:
        found = await self._batch("coupons", "/coupons", product_ids, deadline, contract.many(contract.parse_coupon))
        return [coupons or () for coupons in found]

    async def categories(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Category | None]:
        found = await self._batch("categories", "/categories", ids, deadline, contract.parse_category)
        return _as_asked("categories", ids, found)

    async def category_tree(self, deadline: Deadline) -> Sequence[Category]:
        answer = await self._client.read("category_tree", "/categories/tree", deadline)
        with contract.answer_of("category_tree"):
            return contract.parse_each(answer, contract.parse_category)

    async def catalog(self, query: CatalogQuery, deadline: Deadline) -> ProductPage:
        answer = await self._listed("catalog", "/catalog", query, deadline)
        with contract.answer_of("catalog"):
            return contract.parse_page(answer, query.first)

    async def catalog_count(self, query: CatalogQuery, deadline: Deadline) -> int:
        counted = CatalogQuery(query.category_id, query.search, query.sort)
        answer = await self._listed("catalog_count", "/catalog/count", counted, deadline)
        with contract.answer_of("catalog_count"):
            return contract.parse_count(answer)

    async def shelves(self, queries: Sequence[ShelfQuery], deadline: Deadline) -> Sequence[tuple[Product, ...]]:
        if not queries:
            return ()
        body = {"shelves": [_sendable_shelf(query) for query in queries]}
        answer = await self._client.read("shelves", "/shelves", deadline, body=body)
        with contract.answer_of("shelves"):
            return contract.parse_each(answer, contract.many(contract.parse_product), len(queries))

    def shelf_at_hand(self, query: ShelfQuery) -> Sequence[str] | None:
        return None

    async def customers(self, ids: Sequence[str], deadline: Deadline) -> Sequence[Customer | None]:
        found = await self._batch("customers", "/customers", ids, deadline, contract.parse_customer, personal={})
        return _as_asked("customers", ids, found)

    async def orders(self, customer_ids: Sequence[str], limit: int, deadline: Deadline) -> Sequence[tuple[Order, ...]]:
        parse = contract.many(contract.parse_order)
        personal = {"limit": limit}
        found = await self._batch("orders", "/orders", customer_ids, deadline, parse, personal=personal)
        return [orders or () for orders in found]

    async def persona_categories(self, deadline: Deadline) -> dict[Persona, tuple[str, ...]]:
        answer = await self._client.read("persona_categories", "/persona-categories", deadline)
        with contract.answer_of("persona_categories"):
            return contract.parse_persona_categories(answer)

    async def basket(self, basket_id: str, owner: str, deadline: Deadline) -> Basket | None:
        if not _is_unicode(basket_id):
            return None
        body = {"id": basket_id, "owner": owner}
        answer = await self._client.read("basket", "/baskets/find", deadline, body=body)
        with contract.answer_of("basket"):
            found = answer["basket"]
            return None if found is None else contract.parse_basket(found)

    async def add_to_basket(
        self, basket_id: str | None, owner: str, product_id: str, quantity: int, deadline: Deadline
    ) -> Basket:
        if basket_id is not None and not _is_unicode(basket_id):
            raise UnknownBasket("the basket's id is not Unicode text")
        if not _is_unicode(product_id):
            raise UnknownProduct("the product's id is not Unicode text")
        body = {"id": basket_id, "owner": owner, "product_id": product_id, "quantity": quantity}
        answer = await self._client.write("add_to_basket", "POST", "/baskets/lines", deadline, body=body)
        with contract.answer_of("add_to_basket"):
            return contract.parse_basket(answer["basket"])

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _batch(
        self,
        operation: str,
        path: str,
        ids: Sequence[str],
        deadline: Deadline,
        parse: Callable[[Any], T],
        *,
        personal: dict[str, int] | None = None,
    ) -> list[T | None]:
        """One answer for each id, None where there is none. With `personal`, ids and these members go in a body."""
        asked = [name for name in ids if _is_unicode(name)]
        answers: list[T | None] = []
        for start in range(0, len(asked), requests.MAX_BATCH):
            part = asked[start : start + requests.MAX_BATCH]
            answer = await self._asked(operation, path, part, deadline, personal)
            with contract.answer_of(operation):
                answers.extend(contract.parse_found(answer, parse, len(part)))
        if len(asked) == len(ids):
            return answers
        given = iter(answers)
        return [next(given) if _is_unicode(name) else None for name in ids]

    async def _asked(
        self, operation: str, path: str, ids: list[str], deadline: Deadline, personal: dict[str, int] | None
    ) -> JSON:
        if personal is None and _length(ids) <= _LONGEST_ADDRESS:
            return await self._client.read(operation, path, deadline, params={"ids": ids})
        return await self._client.read(operation, f"{path}/batch", deadline, body={"ids": ids, **(personal or {})})

    async def _listed(self, operation: str, path: str, query: CatalogQuery, deadline: Deadline) -> JSON:
        members = requests.catalog_members(_sendable_query(query))
        if _length(members.values()) <= _LONGEST_ADDRESS:
            return await self._client.read(operation, path, deadline, params=members)
        return await self._client.read(operation, f"{path}/query", deadline, body=members)


def _as_asked(operation: str, ids: Sequence[str], found: Sequence[N | None]) -> Sequence[N | None]:
    """What was found, if each stands in the place of its id."""
    with contract.answer_of(operation):
        for asked, item in zip(ids, found, strict=True):
            if item is not None and item.id != asked:
                raise ValueError("an item stands in the place of another id")
    return found


def _sendable_query(query: CatalogQuery) -> CatalogQuery:
    if query.category_id is not None and not _is_unicode(query.category_id):
        raise UnknownCategory("the category's id is not Unicode text")
    if query.after is not None and not _is_unicode(query.after):
        raise InvalidCursor("the cursor is not Unicode text")
    if query.search is not None and not _is_unicode(query.search):
        return replace(query, search=query.search.encode(errors="replace").decode())
    return query


def _sendable_shelf(query: ShelfQuery) -> dict[str, str | int | None]:
    if query.category_id is not None and not _is_unicode(query.category_id):
        raise UnknownCategory("the category's id is not Unicode text")
    if query.region is not None and not _is_unicode(query.region):
        return requests.shelf_members(replace(query, region=None))
    return requests.shelf_members(query)


def _is_unicode(text: str) -> bool:
    """Whether the text can be sent; a lone surrogate cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _length(values: Iterable[str]) -> int:
    """At most so many characters in an address, every byte escaped."""
    return sum(3 * len(value.encode()) + 10 for value in values)
