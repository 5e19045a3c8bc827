"""Fill an empty shop: `python -m tests.sources.oscar_shop.seed` with `SHOP_DB` set to the file to make.

Products, variants and categories come from `products.csv` (see NOTICE.md). Stock of single products, the product class
that is not counted, users and orders are synthetic and the same on every run.
"""

import csv
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import django

STAFF, KEEPER, PASSWORD = "gateway", "keeper", "the gateway reads orders"
CUSTOMERS, ORDERS = 12, 30
STOCK = {"Orchid": 0, "Bonsai Tree": 3}
UNCOUNTED = "Light Shade"
VIEWED = ("product", "productclass", "order", "line", "user")


def rows() -> Iterator[list[dict[str, str]]]:
    """The lines of each product in the file: the first names it, all are its variants."""
    with (Path(__file__).parent / "products.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    starts = [place for place, line in enumerate(lines) if line["name"]]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[start:end]


def facet(line: dict[str, str], name: str) -> list[str]:
    """The values of a facet, in the order of the file."""
    pairs = [part.partition(":") for part in line["facets"].split("|")]
    return [value for key, _, value in pairs if key == name]


class Seed:
    """Makes everything through Oscar's own models and services."""

    def __init__(self) -> None:
        from oscar.core.loading import get_class, get_model

        self.model = get_model
        self.creator = get_class("order.utils", "OrderCreator")()
        self.totals = get_class("checkout.calculators", "OrderTotalCalculator")()
        self.free = get_class("shipping.methods", "Free")()
        self.strategy = get_class("partner.strategy", "Selector")().strategy()
        self.partner = get_model("partner", "Partner").objects.create(name="Warehouse")
        self.classes = {
            counted: get_model("catalogue", "ProductClass").objects.create(name=name, track_stock=counted)
            for counted, name in ((True, "Goods"), (False, "Made to order"))
        }

    def category(self, names: list[str]) -> Any:
        """The category at the end of the path, made where it is missing."""
        node = None
        for name in names:
            siblings = node.get_children() if node else self.model("catalogue", "Category").get_root_nodes()
            found = siblings.filter(name=name).first()
            add = node.add_child if node else self.model("catalogue", "Category").add_root
            node = found or add(name=name)
        return node

    def attribute(self, product: Any, klass: Any, name: str, value: str) -> None:
        code = name.replace(" ", "_").lower()
        klass.attributes.get_or_create(code=code, defaults={"name": name, "type": "text"})
        setattr(product.attr, code, value)

    def stock(self, product: Any, line: dict[str, str], units: int) -> None:
        product.stockrecords.create(
            partner=self.partner,
            partner_sku=f"{line['sku']}-{product.pk}",
            price_currency="EUR",
            price=Decimal(line["price"]),
            num_in_stock=units,
        )

    def product(self, lines: list[dict[str, str]]) -> None:
        first = lines[0]
        klass = self.classes[first["name"] != UNCOUNTED]
        head = self.model("catalogue", "Product")(
            title=first["name"],
            description=f"<p>{first['description']}</p>",
            product_class=klass,
            structure="parent" if len(lines) > 1 else "standalone",
        )
        head.save()
        for brand in facet(first, "brand"):
            self.attribute(head, klass, "brand", brand)
        head.save()
        head.categories.add(self.category(facet(first, "category")))
        if len(lines) == 1:
            self.stock(head, first, STOCK.get(first["name"], int(first["stockOnHand"])))
        for line in lines if len(lines) > 1 else []:
            self.child(head, klass, first["optionGroups"].split("|"), line)

    def child(self, head: Any, klass: Any, groups: list[str], line: dict[str, str]) -> None:
        child = self.model("catalogue", "Product")(structure="child", parent=head)
        child.save()
        for group, value in zip(groups, line["optionValues"].split("|"), strict=True):
            self.attribute(child, klass, group, value)
        child.save()
        self.stock(child, line, int(line["stockOnHand"]))

    def users(self) -> list[Any]:
        from django.contrib.auth.hashers import make_password
        from django.contrib.auth.models import Permission, User

        User.objects.create_superuser(KEEPER, "keeper@shop.example", PASSWORD)
        staff = User.objects.create_user(STAFF, "gateway@shop.example", PASSWORD, is_staff=True)
        staff.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{name}" for name in VIEWED]))
        unusable = make_password(None)
        return [
            User.objects.create(username=f"customer{n}", email=f"customer{n}@shop.example", password=unusable)
            for n in range(CUSTOMERS)
        ]

    def order(self, number: int, user: Any, placed: datetime, lines: list[tuple[Any, int]]) -> None:
        basket = self.model("basket", "Basket").objects.create(owner=user)
        basket.strategy = self.strategy
        for product, quantity in lines:
            basket.add_product(product, quantity)
        charge = self.free.calculate(basket)
        self.creator.place_order(
            basket=basket,
            total=self.totals.calculate(basket, charge),
            shipping_method=self.free,
            shipping_charge=charge,
            user=user,
            order_number=str(100_000 + number),
            date_placed=placed,
        )
        basket.submit()

    def orders(self, users: list[Any]) -> None:
        random = Random(7)
        sold = list(self.model("catalogue", "Product").objects.filter(stockrecords__num_in_stock__gte=100))
        end = datetime.fromisoformat("2025-06-30T12:00:00+00:00")
        for number in range(ORDERS):
            lines = random.sample(sold[number % 3 * 25 : number % 3 * 25 + 30], random.randint(1, 4))
            placed = end - timedelta(days=4 * (ORDERS - number))
            self.order(number, users[number % (CUSTOMERS - 2)], placed, [(p, random.randint(1, 2)) for p in lines])


def main() -> None:
    """Tables, catalogue, people, orders."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.sources.oscar_shop.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import transaction

    call_command("migrate", run_syncdb=True, verbosity=0)
    with transaction.atomic():
        seed = Seed()
        for lines in rows():
            seed.product(lines)
        seed.orders(seed.users())


if __name__ == "__main__":
    main()
