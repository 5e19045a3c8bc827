"""Sources of a real Oscar shop for tests, what is known of the shop, and the shopkeeper's own hand in it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from personalization.clock import SystemClock
from resolvers.sources.oscar import OscarSource
from resolvers.sources.source import CatalogQuery, Product
from resolvers.sources.upstream_client import UpstreamClient
from tests.sources.clients import Telling
from tests.sources.oscar_server import OscarServer
from tests.sources.oscar_shop.seed import KEEPER, PASSWORD, STAFF
from tests.sources.suite import Facts
from tests.sources.suite_facts import walk

KEY = b"the key that signs the baskets of these tests"
CONCURRENCY = 8
TELESCOPE = {
    "title": "Telescope",
    "slug": "telescope",
    "product_class": "goods",
    "structure": "standalone",
    "categories": ["Electronics > Photo"],
    "stockrecords": [
        {
            "partner": "http://127.0.0.1/api/admin/partners/1/",
            "partner_sku": "T-1",
            "price_currency": "EUR",
            "price": "249.90",
            "num_in_stock": 5,
        }
    ],
}


@asynccontextmanager
async def opened(server: OscarServer, told: Telling | None = None, **changed: Any) -> AsyncIterator[OscarSource]:
    """A source of this shop, as staff, closed at the end; `changed` are constructor arguments of the test."""
    telling = told or Telling()
    common: dict[str, Any] = {"clock": SystemClock(), "tracer": telling.tracer, "registry": telling.registry}
    client = UpstreamClient(
        server.url,
        timeout=20.0,
        connections=64,
        retries=changed.pop("retries", 1),
        breaker_threshold=1000,
        breaker_recovery=0.05,
        **common,
    )
    arguments: dict[str, Any] = {
        "concurrency": CONCURRENCY,
        "refresh_s": 600.0,
        "basket_key": KEY,
        "staff": (STAFF, PASSWORD),
        **changed,
    }
    source = OscarSource(client, base_url=server.url, **common, **arguments)
    try:
        yield source
    finally:
        await source.aclose()


def known_facts(server: OscarServer, customer_id: str | None) -> Facts:
    """What the seed put into the shop, by the ids it has there."""
    ids = {title: str(number) for number, title in server.sql("SELECT id, title FROM catalogue_product")}
    (variant,) = server.sql("SELECT min(id) FROM catalogue_product WHERE structure = 'child'")[0]
    categories = {name: str(number) for number, name in server.sql("SELECT id, name FROM catalogue_category")}
    return Facts(
        product_ids=(ids["Tripod"], str(variant), ids["Tent"], ids["Light Shade"], ids["Bonsai Tree"]),
        category_id=categories["Electronics"],
        other_category_id=categories["Plants"],
        search="keyboard",
        search_product_id=ids["Clacky Keyboard"],
        customer_id=customer_id,
        unavailable_id=ids["Orchid"],
    )


def customers(server: OscarServer) -> list[str]:
    """Customers with orders."""
    return [str(n) for (n,) in server.sql("SELECT DISTINCT user_id FROM order_order ORDER BY user_id")]


@asynccontextmanager
async def keeper(server: OscarServer) -> AsyncIterator[httpx.AsyncClient]:
    """The shopkeeper's own client of the admin API."""
    async with httpx.AsyncClient(base_url=server.url, auth=(KEEPER, PASSWORD), timeout=30.0) as api:
        yield api


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait until the condition holds; fails where it never does."""
    async with asyncio.timeout(seconds):
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return
            await asyncio.sleep(0.02)


def refreshes(told: Telling, outcome: str) -> float:
    """How many readings of the shop ended like this."""
    return told.registry.get_sample_value("gateway_oscar_refreshes_total", {"outcome": outcome}) or 0.0


async def everything(source: OscarSource) -> list[Product]:
    """The whole catalog, page after page."""
    return await walk(source, CatalogQuery(first=100))
