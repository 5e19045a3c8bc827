"""The basket: plain, and each viewer's own."""

from collections.abc import Awaitable
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry import ID, Info, Parent

from resolvers.cache_control import CacheControl, CacheScope
from resolvers.catalog import Product
from resolvers.cost import Cost, ListSize
from resolvers.errors import InvalidArgument
from resolvers.fields import listed, resolved
from resolvers.sources import source
from resolvers.visit import Visit

_OWN = CacheControl(max_age=0, scope=CacheScope.PRIVATE)
_MOST_UNITS = 99


def _line_product(root: Parent[source.BasketLine], info: Info[Visit, None]) -> Awaitable[source.Product | None]:
    return info.context.loaders.products.load(root.product_id)


def _line_amount(root: Parent[source.BasketLine]) -> Decimal:
    return root.unit_amount * root.quantity


@strawberry.type(description="A product in a basket.")
class BasketLine:
    """Shows `source.BasketLine`."""

    product_id: ID = listed("Id of the product.")
    quantity: int = listed("Units of it.")
    unit_amount: Decimal = listed("What one unit costs, as a decimal string.")
    amount: Decimal = resolved(_line_amount, description="What all units cost, as a decimal string.")
    product: Product | None = resolved(_line_product, description="The product.", directives=[Cost(weight=2)])


def _units(root: Parent[source.Basket]) -> int:
    return sum(line.quantity for line in root.lines)


def _amount(root: Parent[source.Basket]) -> Decimal:
    return sum((line.unit_amount * line.quantity for line in root.lines), Decimal("0.00"))


@strawberry.type(description="What a viewer means to buy.", directives=[_OWN])
class Basket:
    """Shows `source.Basket`."""

    id: ID = listed("Id of the basket; only the viewer that made it can read it.")
    currency: str = listed("ISO 4217 code of the currency.")
    lines: list[BasketLine] = listed("Its products, in the order they were added.", ListSize(assumed_size=20))
    units: int = resolved(_units, description="Units in all lines.")
    amount: Decimal = resolved(_amount, description="What everything costs, as a decimal string.")


async def _basket(
    info: Info[Visit, None],
    id: Annotated[ID, strawberry.argument(description="Id of the basket, as `addToBasket` gave it.")],  # noqa: A002
) -> source.Basket | None:
    visit = info.context
    return await visit.source.basket(str(id), visit.viewer.subject, visit.deadline)


@strawberry.type
class BasketQueries:
    """The plain read of a basket."""

    basket: Basket | None = resolved(
        _basket,
        description="Plain. The viewer's basket by id; null when there is none, or it is somebody else's.",
        directives=[_OWN, Cost(weight=2)],
    )


async def _add_to_basket(
    info: Info[Visit, None],
    product_id: Annotated[ID, strawberry.argument(description="The product to add.")],
    quantity: Annotated[int, strawberry.argument(description="Units to add, 1 to 99.")] = 1,
    basket_id: Annotated[
        ID | None, strawberry.argument(description="The basket to add to; left out, a new one is made.")
    ] = None,
) -> source.Basket:
    if not 1 <= quantity <= _MOST_UNITS:
        raise InvalidArgument(f"`quantity` is {quantity}; it must be 1 to {_MOST_UNITS}")
    visit = info.context
    return await visit.source.add_to_basket(
        str(basket_id) if basket_id is not None else None,
        visit.viewer.subject,
        str(product_id),
        quantity,
        visit.deadline,
    )


@strawberry.type
class BasketMutations:
    """Writes of baskets."""

    add_to_basket: Basket = resolved(
        _add_to_basket,
        description="Add units of a product to the viewer's basket. What a decision led to is told with `report`.",
        directives=[Cost(weight=10)],
    )
