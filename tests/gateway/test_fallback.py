"""The shop dies in the middle of the load: every page stands, says so, and recovers. Nothing is kept here."""

import asyncio
from pathlib import Path
from typing import Any

from tests.gateway.client import GatewayClient
from tests.gateway.conftest import Open
from tests.sources.served_shop import upstream_process

REMOTE = {
    "source": "http",
    "cache": False,
    "token_key": "k" * 32,
    "cookie_key": "c" * 32,
    "breaker_recovery_ms": 100,
    "request_timeout_ms": 20_000,
    "personalization_timeout_ms": 10_000,
    "upstream_timeout_ms": 5_000,
}


def stands(answer: dict[str, Any]) -> bool:
    """Whether a page has everything that does not need the shop."""
    data = answer["data"]
    return (
        data is not None
        and len(data["recommendations"]["products"]) == 12
        and len(data["components"]) == 11
        and data["segment"]["persona"] == "VISITOR"
    )


def mode(answer: dict[str, Any]) -> str:
    found: str = answer["data"]["recommendations"]["decision"]["mode"]
    return found


async def until(gateway: GatewayClient, wanted: str) -> dict[str, Any]:
    """Ask until a page has this mode; every page on the way stands."""
    for _ in range(200):
        answer = await gateway.home({"region": "US-NE"}, products=3)
        assert stands(answer), answer
        if mode(answer) == wanted:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(f"no page with mode {wanted}")


async def test_the_page_stands_while_the_shop_is_down(open_gateway: Open, data_dir: Path) -> None:
    with upstream_process(data_dir) as (process, url):
        async with open_gateway(upstream_url=url, **REMOTE) as gateway:
            await until(gateway, "LOG_ONLY")
            load = [asyncio.create_task(gateway.home({"region": "US-S"}, products=3)) for _ in range(40)]
            await asyncio.sleep(0.02)
            process.kill()
            answers = await asyncio.gather(*load)
            assert all(stands(answer) for answer in answers)

            down = await until(gateway, "FALLBACK")
            decision = down["data"]["recommendations"]["decision"]
            assert decision["action"] == "bestsellers"
            assert decision["probability"] == 1.0
            assert decision["reason"] == "UPSTREAM_UNAVAILABLE"
            assert down["data"]["catalog"] is None
            assert {error["extensions"]["code"] for error in down["errors"]} == {"UPSTREAM_UNAVAILABLE"}
            assert (
                gateway.counted("gateway_fallbacks_total", field="recommendations", reason="UPSTREAM_UNAVAILABLE") > 0
            )

            without = await gateway.home(products=3)
            assert stands(without)
            assert mode(without) == "FALLBACK"

            port = int(url.rpartition(":")[2])
            with upstream_process(data_dir, port):
                await until(gateway, "LOG_ONLY")


async def test_a_right_that_cannot_be_checked_is_not_granted(open_gateway: Open, data_dir: Path) -> None:
    """The context of a customer asks the shop who sponsors whom; without an answer the default is given."""
    async with open_gateway(upstream_url="http://127.0.0.1:9", **REMOTE) as gateway:
        answer = await gateway.ask(
            'query ($c: Context) { components(page: "home", context: $c) { mode enabled }'
            " segment(context: $c) { persona mode reason } }",
            {"c": {"customerId": "7"}},
            gateway.token("1", role="BUILDER"),
        )
    assert {each["mode"] for each in answer["data"]["components"]} == {"FALLBACK"}
    assert answer["data"]["segment"] == {"persona": "BUILDER", "mode": "FALLBACK", "reason": "UPSTREAM_UNAVAILABLE"}


async def test_a_deadline_missed_is_a_default_given(open_gateway: Open, data_dir: Path) -> None:
    """A shop that accepts connections and never answers."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    settings = {**REMOTE, "personalization_timeout_ms": 50, "request_timeout_ms": 2_000, "upstream_retries": 0}
    try:
        async with open_gateway(upstream_url=url, **settings) as gateway:
            answer = await gateway.ask(
                "query { recommendations(placement: HOME, context: {}) { decision { mode reason } products { id } } }"
            )
    finally:
        server.close()
    shelf = answer["data"]["recommendations"]
    assert shelf["decision"]["mode"] == "FALLBACK"
    assert shelf["decision"]["reason"] in ("DEADLINE_EXCEEDED", "UPSTREAM_UNAVAILABLE")
    assert shelf["products"] == []
