"""The short way and the ordinary one answer the same: status, headers and bytes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry

from gateway.app import build_app
from gateway.settings import Settings
from gateway.short_way import BEHIND_S
from gateway.telemetry import GatewayTracer, Telemetry
from gateway.visitor import RENEWAL
from personalization.clock import ManualClock
from tests.caching.shop import BEGINNING
from tests.caching.ways import answered
from tests.gateway.server import gateway_process

PAGE = """query Page($context: Context, $first: Int = 3) {
  catalog(first: $first) { nodes { id name price { amount } } }
  recommendations(placement: HOME, first: 3, context: $context) { decision { mode reason } products { __typename } }
  components(page: "home", context: $context) { name version reason exposure { id } }
  segment(context: $context) { persona mode }
}"""
PLAIN: dict[str, object] = {"query": "{ catalog(first: 2) { nodes { id name } } }"}
PERSONALIZED: dict[str, object] = {"query": PAGE, "variables": {"context": {"region": "US-NE"}}}
HEADERS = {"content-type": "application/json", "accept": "application/json"}
OWN_TO_A_REQUEST = ("traceresponse", "server-timing")
TIMES = 30
"""Asked so often, a body is known, its lanes are built, and each of the four shelves, drawn anew each time, is kept."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway. Two of them over one data folder give a session the same components; shelves are drawn anew."""

    client: httpx.AsyncClient
    clock: ManualClock
    registry: CollectorRegistry

    @property
    def shortly(self) -> float:
        """How many answers were given the short way."""
        return self.registry.get_sample_value("gateway_short_answers_total") or 0.0

    async def ask(self, body: object, headers: Mapping[str, str]) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body of an answer."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        response = await self.client.post("/graphql", content=content, headers={**HEADERS, **headers})
        await asyncio.sleep(0)  # the metrics learn of short answers when the loop's turn ends
        told = [(name, value) for name, value in response.headers.items() if name not in OWN_TO_A_REQUEST]
        return response.status_code, told, response.content

    async def cookie(self) -> str:
        """What a browser sends from its second request on."""
        response = await self.client.post("/graphql", json=PERSONALIZED)
        return response.headers["set-cookie"].partition(";")[0]


@asynccontextmanager
async def gateway(data_dir: Path, *, short_way: bool, **more: object) -> AsyncIterator[Gateway]:
    settings = Settings.model_validate(
        {
            "data_dir": data_dir,
            "short_way": short_way,
            "cors_origins": ["https://shop.example"],
            **more,
        }
    )
    clock, registry = ManualClock(BEGINNING), CollectorRegistry()
    app = build_app(settings, telemetry=Telemetry(GatewayTracer(), registry), clock=clock)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as client:
            client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            yield Gateway(client, clock, registry)


@pytest.mark.parametrize("body", [PLAIN, PERSONALIZED, {"query": PAGE}], ids=["plain", "personalized", "default"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://shop.example"},
        {"origin": "https://elsewhere.example"},
        {"accept": "application/graphql-response+json"},
        {"user-agent": "Mozilla/5.0 (iPhone)", "sec-ch-ua-mobile": "?1"},
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"},
    ],
    ids=["bare", "allowed-origin", "other-origin", "graphql", "phone", "traced"],
)
async def test_the_short_way_answers_as_the_ordinary_one(data_dir: Path, body: object, headers: dict[str, str]) -> None:
    async with gateway(data_dir, short_way=True) as short, gateway(data_dir, short_way=False) as ordinary:
        sent = {**headers, "cookie": await short.cookie()}
        expected = [await ordinary.ask(body, sent) for _ in range(TIMES)]
        actual = [await short.ask(body, sent) for _ in range(TIMES)]
        assert actual == expected
        assert short.shortly > 0
        assert ordinary.shortly == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": ""},
        {"authorization": "Bearer forged"},
        {"content-type": "text/plain"},
        {"accept": "text/html"},
        {"preview-token": "forged"},
        {"graphql-cache": "explain"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_what_must_be_looked_at_goes_the_ordinary_way(data_dir: Path, headers: dict[str, str]) -> None:
    async with gateway(data_dir, short_way=True) as short, gateway(data_dir, short_way=False) as ordinary:
        good = {"cookie": await short.cookie()}
        for _ in range(TIMES):
            await short.ask(PLAIN, good)
        before = short.shortly
        assert before > 0
        status, _, content = await short.ask(PLAIN, {**good, **headers})
        expected_status, _, expected = await ordinary.ask(PLAIN, {**good, **headers})
        assert (status, content) == (expected_status, expected)
        assert short.shortly == before


async def test_a_body_in_pieces_is_read_whole(data_dir: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        text = orjson.dumps(PLAIN)
        yield text[:10]
        yield text[10:]

    async with gateway(data_dir, short_way=True) as short:
        headers = {**HEADERS, "cookie": await short.cookie()}
        answers = [await short.client.post("/graphql", content=pieces(), headers=headers) for _ in range(TIMES)]
        assert {each.status_code for each in answers} == {200}
        assert len({each.content for each in answers}) == 1


@pytest.mark.parametrize("late_s", [0.0, 0.005, 0.1], ids=["with-its-head", "behind-its-head", "late"])
async def test_a_body_may_come_behind_its_head(data_dir: Path, late_s: float) -> None:
    text, got = orjson.dumps(PLAIN), set()
    with gateway_process(data_dir) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            await client.post("/graphql", json=PERSONALIZED)
            cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            for _ in range(TIMES):
                await client.post("/graphql", content=text, headers=HEADERS)
        before = await answered(url)
        head = [f"{name}: {value}" for name, value in HEADERS.items()]
        head += ["host: gateway.example", f"cookie: {cookie}", f"content-length: {len(text)}"]
        reader, writer = await asyncio.open_connection(httpx.URL(url).host, httpx.URL(url).port)
        for _ in range(2):
            writer.write("\r\n".join(["POST /graphql HTTP/1.1", *head, "", ""]).encode() + text[:10])
            await asyncio.sleep(late_s)
            writer.write(text[10:])
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200")
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            got.add(await reader.readexactly(length))
        writer.close()
        assert len(got) == 1
        assert (await answered(url)).short - before.short == (2 if late_s < BEHIND_S else 0)


async def test_a_cookie_that_is_due_is_renewed(data_dir: Path) -> None:
    async with gateway(data_dir, short_way=True) as short:
        headers = {"cookie": await short.cookie()}
        for _ in range(TIMES):
            _, told, _ = await short.ask(PERSONALIZED, headers)
            assert "set-cookie" not in dict(told)
        before = short.shortly
        short.clock.at += RENEWAL + timedelta(seconds=1)
        _, told, _ = await short.ask(PERSONALIZED, headers)
        assert "set-cookie" in dict(told)
        assert short.shortly == before > 0


async def test_who_has_no_audience_cookie_is_given_one(data_dir: Path) -> None:
    async with (
        gateway(data_dir, short_way=True, audience_cookie=True) as short,
        gateway(data_dir, short_way=False, audience_cookie=True) as ordinary,
    ):
        visitor = await short.cookie()
        for _ in range(TIMES):
            _, told, _ = await short.ask(PERSONALIZED, {"cookie": visitor})
            audience = dict(told)["set-cookie"].partition(";")[0]
            assert audience.startswith("audience=")
        assert short.shortly == 0
        both = {"cookie": f"{visitor}; {audience}"}
        assert await short.ask(PERSONALIZED, both) == await ordinary.ask(PERSONALIZED, both)
        assert short.shortly == 1


async def test_visitors_are_told_apart(data_dir: Path) -> None:
    async with gateway(data_dir, short_way=True) as short, gateway(data_dir, short_way=False) as ordinary:
        for cookie in (await short.cookie(), await short.cookie()):
            for _ in range(TIMES):
                assert await short.ask(PERSONALIZED, {"cookie": cookie}) == await ordinary.ask(
                    PERSONALIZED, {"cookie": cookie}
                )


async def test_what_is_a_visitors_own_is_compared_with_their_own(data_dir: Path) -> None:
    """What is kept for one visitor, made anew for another one, would look wrong: it has other exposures."""
    async with gateway(data_dir, short_way=True, cache_shadow_ratio=1.0) as short:
        for cookie in (await short.cookie(), await short.cookie()):
            for _ in range(TIMES):
                await short.ask(PERSONALIZED, {"cookie": cookie})
        await asyncio.sleep(0.2)
        mismatches = [
            sample
            for metric in short.registry.collect()
            for sample in metric.samples
            if sample.name == "gateway_cache_mismatches_total"
        ]
        assert mismatches == []


async def test_each_decision_is_recorded(data_dir: Path) -> None:
    async with gateway(data_dir, short_way=True) as short:
        headers = {"cookie": await short.cookie()}
        before = _decided(short)
        for _ in range(TIMES):
            await short.ask(PERSONALIZED, headers)
        assert short.shortly > 0
        assert _decided(short) == before + TIMES


async def test_what_is_made_the_short_way_is_counted_and_exposed(data_dir: Path) -> None:
    page = 'query ($context: Context) { components(page: "home", context: $context) { name version exposure { id } } }'
    body = {"query": page, "variables": {"context": {"region": "US-NE"}}}
    async with gateway(data_dir, short_way=True) as short:
        headers = {"cookie": await short.cookie()}
        for _ in range(3):
            expected = await short.ask(body, headers)
        counted = (_total(short, "gateway_flag_evaluations"), _total(short, "gateway_exposures"), short.shortly)
        short.clock.ticks += 200  # nothing is kept any more
        assert await short.ask(body, headers) == expected
        flags = len(orjson.loads(expected[2])["data"]["components"])
        assert _total(short, "gateway_flag_evaluations") == counted[0] + flags
        assert _total(short, "gateway_exposures") == counted[1] + flags
        assert short.shortly == counted[2] + 1


async def test_what_is_known_with_other_variables_goes_the_short_way_at_once(data_dir: Path) -> None:
    page = """query ($context: Context, $first: Int = 2) { catalog(first: $first) { nodes { id } }
      components(page: "home", context: $context) { name version } }"""

    def body(region: str, **more: object) -> dict[str, object]:
        return {"query": page, "variables": {"context": {"region": region}, **more}}

    async with gateway(data_dir, short_way=True) as short, gateway(data_dir, short_way=False) as ordinary:
        headers = {"cookie": await short.cookie()}
        for _ in range(3):
            assert await short.ask(body("US-NE"), headers) == await ordinary.ask(body("US-NE"), headers)
        for region in ("US-S", "US-W", "US-MW", "nowhere", "US-S"):
            before = short.shortly
            assert await short.ask(body(region), headers) == await ordinary.ask(body(region), headers)
            assert short.shortly == before + 1
        before = short.shortly
        for wrong in (body("no region at all"), body("US-S", first=-1), body("US-S", first="many"), body("US-NE", x=1)):
            status, told, content = await short.ask(wrong, headers)
            assert (status, told, content) == await ordinary.ask(wrong, headers)
        for first in range(3, 23):  # nothing of these is kept: soon nobody hopes for more
            assert await short.ask(body("US-S", first=first), headers) == await ordinary.ask(
                body("US-S", first=first), headers
            )
        assert short.shortly <= before + 1
        with_the_cookie = _total(ordinary, "gateway_documents") + 1
        assert _total(short, "gateway_documents") == with_the_cookie


def _total(gateway_: Gateway, name: str) -> float:
    """A counter, over all its labels."""
    found = (metric.samples for metric in gateway_.registry.collect() if metric.name == name)
    return sum(sample.value for samples in found for sample in samples if sample.name == f"{name}_total")


def _decided(gateway_: Gateway) -> float:
    found = (metric.samples for metric in gateway_.registry.collect() if metric.name == "gateway_decisions")
    return sum(
        sample.value
        for samples in found
        for sample in samples
        if sample.name == "gateway_decisions_total" and sample.labels["placement"] == "HOME"
    )
