"""The embedded shop's orders and people as the tables that features are computed from."""

from collections.abc import Mapping
from pathlib import Path

from personalization.lake.shop_tables import CUSTOMERS, ORDER_LINES, SPONSORS, write_shop_table
from resolvers.sources.embedded_data import read_shop
from resolvers.sources.embedded_tables import Shop

LARGEST_CATEGORIES = (
    "drug-gm.hair-care-products",
    "drug-gm.oral-hygiene-products",
    "drug-gm.soap-liquid-bar",
    "drug-gm.deodorants",
    "cosmetics.makeup-and-treatment",
)
"""The categories whose shares are features; fixed, so that features keep their columns."""


KNOWN_AT_CLOSINGS = (
    "recency",
    "tenure",
    "frequency",
    "monetary",
    "basket_size",
    "price_level",
    "coupon_use",
    "season",
    "region",
    *(f"share.{category}" for category in LARGEST_CATEGORIES),
)
"""What classifiers of this shop learn from. Not `role`, `team_size` and `sponsor_depth`: they follow the whole year."""

DEFAULT_SEGMENTS = Path(__file__).parent / "completejourney" / "segments.json"
"""Segments of this shop for those who have not defined any: by 90 days before October 2017."""


def export_shop(folder: Path) -> Mapping[str, Path]:
    """Write order lines, customers and sponsors as Parquet into the folder; the files by the name of their table.

    Categories are those of the middle level. Personas and sponsors are synthetic, and personas follow the behaviour of
    the whole year. A second or so; blocks. Raises `OSError` of the disk.
    """
    shop = Shop.composed(read_shop())
    category = {product.id: product.path[1] for product in shop.products}
    lines = (
        (
            each.customer_id,
            each.order_id,
            each.product_id,
            category[each.product_id],
            each.quantity,
            each.paid_cents,
            each.unit_cents * each.quantity,
            each.at,
        )
        for each in shop.data.purchases
    )
    sponsors = (
        (customer.id, sponsor, distance)
        for customer in shop.customers
        for distance, sponsor in enumerate(customer.synthetic_sponsors, 1)
    )
    people = ((each.id, each.synthetic_persona.value, each.synthetic_region) for each in shop.customers)
    rows = {ORDER_LINES: lines, CUSTOMERS: people, SPONSORS: sponsors}
    return {name: write_shop_table(folder, name, each) for name, each in rows.items()}
