"""The gateway over a shop that nobody here wrote: a running django-oscar answers the home page's query."""

from pathlib import Path

from tests.gateway.conftest import Open
from tests.sources.oscar_server import running, seed_shop
from tests.sources.oscar_shop.seed import PASSWORD, STAFF


async def test_the_home_page_of_an_oscar_shop(open_gateway: Open, tmp_path: Path) -> None:
    seeded = seed_shop(tmp_path)
    settings = {
        "source": "oscar",
        "oscar_user": STAFF,
        "oscar_password": PASSWORD,
        "token_key": "k" * 32,
        "cookie_key": "c" * 32,
        "request_timeout_ms": 20_000,
        "personalization_timeout_ms": 10_000,
        "upstream_timeout_ms": 10_000,
    }
    with running(seeded, tmp_path / "shop") as shop:
        async with open_gateway(upstream_url=shop.url, **settings) as gateway:
            answer = await gateway.home({"device": "PHONE"}, products=5, shelf=3)
    assert "errors" not in answer
    tiles = [edge["node"] for edge in answer["data"]["catalog"]["edges"]]
    assert len(tiles) == 5
    assert all(tile["name"] and tile["category"]["name"] and float(tile["price"]["amount"]) > 0 for tile in tiles)
    shelf = answer["data"]["recommendations"]
    assert shelf["decision"]["mode"] == "LOG_ONLY"
    assert len(shelf["products"]) == 3


async def test_an_oscar_shop_that_is_down_is_no_reason_not_to_start(open_gateway: Open) -> None:
    settings = {"source": "oscar", "token_key": "k" * 32, "cookie_key": "c" * 32, "upstream_retries": 0}
    async with open_gateway(upstream_url="http://127.0.0.1:9", **settings) as gateway:
        answer = await gateway.home({}, products=1)
    assert answer["data"]["recommendations"]["decision"]["mode"] == "FALLBACK"
    assert len(answer["data"]["components"]) == 11
