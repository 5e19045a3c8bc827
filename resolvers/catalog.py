"""The catalog: plain fields, the same for everyone, without a context anywhere."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Optional

import strawberry
from strawberry import ID, Info, Parent

from resolvers.cache_control import CacheControl
from resolvers.cost import Cost, ListSize
from resolvers.fields import listed, resolved
from resolvers.pagination import PageInfo, batch_ids, page_size
from resolvers.sources import source
from resolvers.sources.source import ProductSort
from resolvers.visit import Visit

FACTS = CacheControl(max_age=300, swr=60)
OFFERS = CacheControl(max_age=30, swr=10)

AnId = Annotated[ID, strawberry.argument(description="Id, as other fields give it.")]


@strawberry.type(description="An amount of money for one unit.", directives=[OFFERS])
class Price:
    """Shows `source.Price`."""

    amount: Decimal = listed("What one unit costs now, as a decimal string.")
    list_amount: Decimal = listed("What one unit costs before discounts, as a decimal string.")
    currency: str = listed("ISO 4217 code of the currency.")


@strawberry.type(description="Whether a product can be ordered now.", directives=[OFFERS])
class Stock:
    """Shows `source.Stock`."""

    available: bool = listed("Whether at least one unit can be ordered now.")
    units: int | None = listed("Units that can be ordered; null where the shop does not count them.")


@strawberry.type(description="A discount campaign's coupon.", directives=[FACTS])
class Coupon:
    """Shows `source.Coupon`."""

    id: ID = listed("Id of the coupon.")
    campaign: str = listed("Campaign the coupon belongs to.")
    valid_from: datetime = listed("First moment of validity.")
    valid_until: datetime = listed("Last moment of validity.")


def _parent(root: Parent[source.Category], info: Info[Visit, None]) -> Awaitable[source.Category | None] | None:
    return info.context.loaders.categories.load(root.parent_id) if root.parent_id else None


async def _children(root: Parent[source.Category], info: Info[Visit, None]) -> Sequence[source.Category]:
    children = await info.context.loaders.categories.load_many(root.child_ids)
    return [child for child in children if child is not None]


@strawberry.type(description="A node of the category tree.", directives=[FACTS])
class Category:
    """Shows `source.Category`."""

    id: ID = listed("Id of the category.")
    name: str = listed("Name to show.")
    product_count: int = listed("Products in it and below it.")
    parent: Optional["Category"] = resolved(
        _parent, description="The category above; null at the top.", directives=[Cost(weight=2)]
    )
    children: list["Category"] = resolved(
        _children, description="The categories right below, in display order.", directives=[ListSize(assumed_size=20)]
    )


def _category(root: Parent[source.Product], info: Info[Visit, None]) -> Awaitable[source.Category | None]:
    return info.context.loaders.categories.load(root.category_id)


def _price(root: Parent[source.Product], info: Info[Visit, None]) -> Awaitable[source.Price | None]:
    return info.context.loaders.prices.load(root.id)


def _stock(root: Parent[source.Product], info: Info[Visit, None]) -> Awaitable[source.Stock | None]:
    return info.context.loaders.stock.load(root.id)


def _coupons(root: Parent[source.Product], info: Info[Visit, None]) -> Awaitable[Sequence[source.Coupon]]:
    return info.context.loaders.coupons.load(root.id)


@strawberry.type(description="What is sold.", directives=[FACTS])
class Product:
    """Shows `source.Product`. What needs a further read is nullable, so that its failure stays its own."""

    id: ID = listed("Id of the product.")
    name: str = listed("Name to show.")
    brand: str | None = listed("Brand, or class of brand; null where the shop does not say.")
    description: str | None = listed("A sentence about it; null where the shop has none.")
    size: str | None = listed("Package size; null where the shop does not say.")
    popularity: int = listed("Purchase lines on record.")
    category: Category | None = resolved(
        _category, description="The category it stands in.", directives=[Cost(weight=2)]
    )
    price: Price | None = resolved(_price, description="What it costs now.", directives=[Cost(weight=2), OFFERS])
    stock: Stock | None = resolved(
        _stock, description="Whether it can be ordered now.", directives=[Cost(weight=2), OFFERS]
    )
    coupons: list[Coupon] = resolved(
        _coupons, description="Coupons that apply to it, by id.", directives=[ListSize(assumed_size=5)]
    )


@strawberry.type(description="A product in a list, with its place.")
class ProductEdge:
    """One line of a `Listing`."""

    cursor: str = listed("Where the product stands in this list; give it as `after` for what follows.")
    node: Product = listed("The product.")


@dataclass(frozen=True, slots=True)
class Edge:
    """A product and its cursor, as `ProductEdge` shows them."""

    cursor: str
    node: source.Product


@dataclass(frozen=True, slots=True)
class Listing:
    """A page and the query it answers, as `ProductConnection` shows them."""

    query: source.CatalogQuery
    page: source.ProductPage

    @property
    def nodes(self) -> Sequence[source.Product]:
        """The products of the page."""
        return self.page.products

    @property
    def edges(self) -> Sequence[Edge]:
        """The products of the page with their cursors."""
        return [Edge(cursor, node) for cursor, node in zip(self.page.cursors, self.page.products, strict=True)]

    @property
    def page_info(self) -> PageInfo:
        """Where the page stands."""
        cursors = self.page.cursors
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.query.after is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )


async def _total_count(root: Parent[Listing], info: Info[Visit, None]) -> int:
    return await info.context.loaders.count(root.query)


@strawberry.type(description="A page of products.", directives=[FACTS])
class ProductConnection:
    """Shows a `Listing`."""

    edges: list[ProductEdge] = listed("The products of this page with their cursors.")
    nodes: list[Product] = listed("The products of this page.")
    page_info: PageInfo = listed("Where this page stands in the list.")
    total_count: int | None = resolved(
        _total_count, description="Products in the whole list.", directives=[Cost(weight=10)]
    )


def _product(info: Info[Visit, None], id: AnId) -> Awaitable[source.Product | None]:  # noqa: A002 - the schema's word
    return info.context.loaders.products.load(str(id))


def _products(
    info: Info[Visit, None],
    ids: Annotated[list[ID], strawberry.argument(description="Up to 100 ids.")],
) -> Awaitable[Sequence[source.Product | None]]:
    return info.context.loaders.products.load_many(batch_ids(ids))


async def _catalog(
    info: Info[Visit, None],
    category: Annotated[
        ID | None, strawberry.argument(description="Only products in this category and below it.")
    ] = None,
    search: Annotated[str | None, strawberry.argument(description="Only products that match these words.")] = None,
    sort: Annotated[ProductSort, strawberry.argument(description="The order of the list.")] = ProductSort.POPULAR,
    first: Annotated[int, strawberry.argument(description="Products on a page, 1 to 100.")] = 24,
    after: Annotated[
        str | None, strawberry.argument(description="Cursor of the last product of the page before.")
    ] = None,
) -> Listing:
    query = source.CatalogQuery(category, search, sort, page_size(first), after)
    visit = info.context
    page = await visit.loaders.page(query)
    visit.loaders.know(page.products)
    return Listing(query, page)


async def _categories(info: Info[Visit, None]) -> Sequence[source.Category]:
    visit = info.context
    tree = await visit.loaders.category_tree()
    for category in tree:
        visit.loaders.categories.prime(category.id, category)
    return tree


def _category_by_id(info: Info[Visit, None], id: AnId) -> Awaitable[source.Category | None]:  # noqa: A002
    return info.context.loaders.categories.load(str(id))


@strawberry.type
class CatalogQueries:
    """The plain reads of the catalog. Nullable, so that one that fails does not take the page with it."""

    product: Product | None = resolved(
        _product, description="Plain. A product by id; null when there is none.", directives=[FACTS]
    )
    products: list[Product | None] | None = resolved(
        _products,
        description="Plain. Products by id, in the order of the ids, null for what does not exist.",
        directives=[FACTS, ListSize(slicing_arguments=["ids"])],
    )
    catalog: ProductConnection | None = resolved(
        _catalog,
        description="Plain. A page of the catalog.",
        directives=[FACTS, Cost(weight=5), ListSize(slicing_arguments=["first"])],
    )
    categories: list[Category] | None = resolved(
        _categories,
        description="Plain. The whole category tree, parents before children.",
        directives=[FACTS, ListSize(assumed_size=100)],
    )
    category: Category | None = resolved(
        _category_by_id, description="Plain. A category by id; null when there is none.", directives=[FACTS]
    )
