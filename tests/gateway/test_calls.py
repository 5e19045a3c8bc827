"""The number of calls to the shop does not depend on how much a page shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.client import GatewayClient
from tests.gateway.conftest import Open
from tests.sources.served_shop import open_store, served


@pytest.fixture
def upstream(catalogue: Path, tmp_path: Path) -> Iterator[str]:
    """The shop as a server, called over HTTP."""
    with served(open_store(catalogue, tmp_path)) as url:
        yield url


def calls(gateway: GatewayClient) -> dict[str, float]:
    """Calls to the shop so far, by operation."""
    return {
        sample.labels["operation"]: sample.value
        for metric in gateway.registry.collect()
        for sample in metric.samples
        if sample.name == "gateway_upstream_calls_total"
    }


async def counted(gateway: GatewayClient, **variables: object) -> dict[str, float]:
    before = calls(gateway)
    answer = await gateway.home({"region": "US-NE"}, **variables)
    assert "errors" not in answer
    assert len(answer["data"]["catalog"]["edges"]) == variables["products"]
    assert len(answer["data"]["recommendations"]["products"]) == variables["shelf"]
    after = calls(gateway)
    return {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}


async def test_the_home_page_makes_as_many_calls_for_little_as_for_much(open_gateway: Open, upstream: str) -> None:
    settings = {
        "source": "http",
        "upstream_url": upstream,
        "token_key": "k" * 32,
        "cookie_key": "c" * 32,
        "request_timeout_ms": 20_000,
        "personalization_timeout_ms": 10_000,
        "upstream_timeout_ms": 10_000,
        "cache": False,
    }
    async with open_gateway(**settings) as gateway:
        await gateway.home({"region": "US-NE"})  # what is read once in a while is read now
        little = await counted(gateway, products=2, shelf=1)
        usual = await counted(gateway, products=24, shelf=12)
        much = await counted(gateway, products=90, shelf=60)
        assert little.keys() == usual.keys() == much.keys() == {"catalog", "shelves", "categories", "prices", "stock"}
        for found in (little, usual, much):
            assert found["catalog"] == found["shelves"] == 1
            assert sum(found.values()) <= 8
