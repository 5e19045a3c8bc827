"""Read a shop's whole catalogue: categories, products, and what orders tell of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from personalization.clock import Deadline
from resolvers.sources.oscar_calls import OscarCalls, gather_bounded
from resolvers.sources.oscar_parse import Family, Item, record_price, record_stock, to_price, to_stock
from resolvers.sources.oscar_wire import (
    AvailabilityAnswer,
    CategoryAnswer,
    ItemAnswer,
    ListedAnswer,
    OrderAnswer,
    OrderLineAnswer,
    PriceAnswer,
    ProductAnswer,
    ProductClassAnswer,
    StaffProductAnswer,
    read_many,
    read_one,
)
from resolvers.sources.source import Category, Order, OrderLine, Price, Stock

_MOST_CATEGORIES = 20_000
# Members without which an entry of the product list has to be completed by a call of its own.
_WHOLE = {"title", "description", "categories", "attributes"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a shop is read; what lies beyond is left out, the newest is read first."""

    products: int = 100_000
    orders: int = 20_000


@dataclass(frozen=True, slots=True)
class ShopState:
    """All that is known of a shop at one time. `category_ids` gives category ids by breadcrumbs."""

    categories: tuple[Category, ...]
    category_ids: Mapping[str, str]
    items: tuple[Item, ...]
    orders: tuple[Order, ...] = field(default=())


class CatalogueReader:
    """Reads everything, in as few calls as the shop allows.

    Staff reads products with price and stock in one list. Others read two lists, then price and availability of each
    product, and its details where the shop's lists do not carry them.
    """

    def __init__(self, calls: OscarCalls, bounds: Bounds) -> None:
        self._calls = calls
        self._bounds = bounds

    async def read(self, known_orders: Mapping[str, Order], deadline: Deadline) -> ShopState:
        """The shop as it is now. The lines of `known_orders` are not read again: they never change."""
        await self._calls.open_reading(deadline)
        categories, category_ids = await self._categories(deadline)
        if not self._calls.has_staff:
            return ShopState(categories, category_ids, await self._public_items(deadline))
        items = await self._staff_items(deadline)
        return ShopState(categories, category_ids, items, await self._orders(known_orders, deadline))

    async def _categories(self, deadline: Deadline) -> tuple[tuple[Category, ...], dict[str, str]]:
        """The public tree, level by level: Oscar lists the children of one category a call."""
        level: dict[str, Sequence[CategoryAnswer]] = {"": await self._children("", deadline)}
        below, found = dict(level), 0
        while level and found < _MOST_CATEGORIES:
            slugs = [f"{path}{answer.slug}/" for path, answers in level.items() for answer in answers]
            found += len(slugs)
            level = await gather_bounded(
                slugs, lambda path: self._children(path, deadline), self._calls.index_workers, deadline
            )
            below |= level
        categories: list[Category] = []
        category_ids: dict[str, str] = {}
        _plant(below, "", None, categories, category_ids)
        return tuple(categories), category_ids

    async def _children(self, path: str, deadline: Deadline) -> Sequence[CategoryAnswer]:
        answer = await self._calls.index_list("oscar_categories", f"categories/{quote(path)}", deadline, 10_000)
        return [c for c in read_many(CategoryAnswer, answer) if c.is_public and c.ancestors_are_public]

    async def _staff_items(self, deadline: Deadline) -> tuple[Item, ...]:
        most = self._bounds.products
        classes = await self._calls.staff_list(
            ProductClassAnswer, "oscar_product_classes", "admin/productclasses/", deadline, most
        )
        counted = {answer.slug: answer.track_stock for answer in classes}
        listed = await self._calls.staff_list(StaffProductAnswer, "oscar_products", "admin/products/", deadline, most)
        parents = {answer.id: answer for answer in listed if answer.structure == "parent"}
        items = []
        for answer in listed:
            parent = parents.get(answer.parent) if answer.parent is not None else None
            if _is_sold(answer, parent):
                kind = (parent or answer).product_class or ""
                stock = record_stock(answer.stockrecords, counted.get(kind, True))
                family = Family.of(parent) if parent else None
                items.append(Item(answer, family, record_price(answer.stockrecords), stock))
        return tuple(items)

    async def _public_items(self, deadline: Deadline) -> tuple[Item, ...]:
        alone = await self._public_products("standalone", deadline)
        sold: list[tuple[ItemAnswer, Family | None]] = [(answer, None) for answer in alone if _is_sold(answer, None)]
        for parent in await self._public_products("parent", deadline):
            family = Family.of(parent)
            children = [child.model_copy(update={"structure": "child"}) for child in parent.children]
            sold += [(child, family) for child in children if _is_sold(child, parent)]
        offers = await gather_bounded(
            [answer.id for answer, _ in sold],
            lambda product_id: self._offer(product_id, deadline),
            self._calls.index_workers,
            deadline,
        )
        return tuple(Item(answer, family, *offers[answer.id]) for answer, family in sold)

    async def _public_products(self, structure: str, deadline: Deadline) -> list[ProductAnswer]:
        """Products of one structure, whole: from the list where it carries them, else from their details."""
        listed = await self._calls.index_list(
            "oscar_products", "products/", deadline, self._bounds.products, {"structure": structure}
        )
        wanted = _WHOLE | ({"children"} if structure == "parent" else set())

        async def complete(place: int) -> ProductAnswer | None:
            entry: Any = listed[place]
            if isinstance(entry, dict) and wanted <= entry.keys():
                return read_one(ProductAnswer, {"structure": structure, **entry})
            path = f"products/{read_one(ListedAnswer, entry).id}/"
            return await self._calls.index_one(ProductAnswer, "oscar_product", path, deadline)

        whole = await gather_bounded(range(len(listed)), complete, self._calls.index_workers, deadline)
        return [answer for _, answer in sorted(whole.items()) if answer is not None]

    async def _offer(self, product_id: int, deadline: Deadline) -> tuple[Price | None, Stock]:
        path = f"products/{product_id}"
        price = await self._calls.index_one(PriceAnswer, "oscar_price", f"{path}/price/", deadline)
        stock = await self._calls.index_one(AvailabilityAnswer, "oscar_stock", f"{path}/availability/", deadline)
        return to_price(price) if price else None, to_stock(stock) if stock else Stock(available=False, units=None)

    async def _orders(self, known: Mapping[str, Order], deadline: Deadline) -> tuple[Order, ...]:
        """Orders of customers, newest first. Who a guest was is not known, so that their orders count for nobody."""
        listed = await self._calls.staff_list(
            OrderAnswer, "oscar_orders", "admin/orders/", deadline, self._bounds.orders
        )
        new = [answer.url for answer in listed if str(answer.url) not in known]
        lines = await gather_bounded(
            new, lambda order_id: self._lines(order_id, deadline), self._calls.index_workers, deadline
        )
        orders = [known.get(str(answer.url)) or _to_order(answer, lines[answer.url]) for answer in listed]
        return tuple(sorted(orders, key=lambda order: (order.placed_at, int(order.id)), reverse=True))

    async def _lines(self, order_id: int, deadline: Deadline) -> tuple[OrderLine, ...]:
        answers = await self._calls.staff_list(
            OrderLineAnswer, "oscar_order_lines", f"admin/orders/{order_id}/lines/", deadline, 1000
        )
        return tuple(
            OrderLine(str(line.product), line.quantity, line.price_incl_tax)
            for line in answers
            if line.product is not None and line.quantity > 0
        )


def _is_sold(answer: ItemAnswer, parent: ItemAnswer | None) -> bool:
    """Whether it can be put into a basket: a standalone product or a variant, public like its parent."""
    if answer.structure == "child":
        return parent is not None and answer.is_public and parent.is_public
    return answer.structure == "standalone" and answer.is_public


def _to_order(answer: OrderAnswer, lines: tuple[OrderLine, ...]) -> Order:
    owner = "" if answer.owner is None else str(answer.owner)
    return Order(str(answer.url), owner, answer.placed_at, lines)


def _plant(
    below: Mapping[str, Sequence[CategoryAnswer]],
    path: str,
    parent_id: str | None,
    categories: list[Category],
    category_ids: dict[str, str],
) -> tuple[str, ...]:
    """Append the categories below `path`, parents before children; their ids. Counts are not known yet."""
    ids = []
    for answer in below.get(path, ()):
        place, category_id = len(categories), str(answer.url)
        categories.append(Category(category_id, answer.name.strip(), parent_id, (), 0))
        category_ids.setdefault(answer.breadcrumbs, category_id)
        children = _plant(below, f"{path}{answer.slug}/", category_id, categories, category_ids)
        categories[place] = replace(categories[place], child_ids=children)
        ids.append(category_id)
    return tuple(ids)
