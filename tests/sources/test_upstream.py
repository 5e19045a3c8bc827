"""The server's side of the REST contract, and whether its document tells the truth."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import NoOpTracer, SpanKind, format_trace_id
from starlette.routing import Route
from structlog.testing import capture_logs

from gateway.upstream import build_upstream
from personalization.clock import Deadline, SystemClock
from resolvers.errors import UnknownCategory
from resolvers.sources.embedded import EmbeddedSource
from resolvers.sources.http import HttpSource
from resolvers.sources.problems import MEDIA_TYPE, PROBLEMS, UNKNOWN_CATEGORY, encode_problem
from resolvers.sources.rest_contract import (
    parse_basket,
    parse_category,
    parse_coupon,
    parse_customer,
    parse_order,
    parse_page,
    parse_price,
    parse_product,
    parse_stock,
)
from resolvers.sources.rest_requests import MAX_BODY_BYTES
from resolvers.sources.source import CatalogQuery, Price
from tests.sources.clients import Telling, connected, soon
from tests.sources.faulty_server import FaultyServer, answer, hang
from tests.sources.served_shop import open_store, served

DOCUMENT = (Path(__file__).parents[2] / "docs" / "upstream.md").read_text()
POSTS = (
    "/products/batch",
    "/prices/batch",
    "/stock/batch",
    "/coupons/batch",
    "/categories/batch",
    "/catalog/query",
    "/catalog/count/query",
    "/shelves",
    "/customers/batch",
    "/orders/batch",
    "/baskets/find",
    "/baskets/lines",
)
GETS = ("/products", "/prices", "/stock", "/coupons", "/categories", "/catalog", "/catalog/count")


@pytest.fixture(scope="module")
def telling() -> Telling:
    return Telling()


@pytest.fixture(scope="module")
def url(store: Path, tmp_path_factory: pytest.TempPathFactory, telling: Telling) -> Iterator[str]:
    with served(open_store(store, tmp_path_factory.mktemp("upstream")), telling.tracer) as address:
        yield address


@pytest.fixture
async def browser(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        yield client


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and name of a problem answer; fails for any other."""
    assert response.headers["content-type"] == MEDIA_TYPE
    body = response.json()
    assert body["status"] == response.status_code
    assert body["title"]
    return response.status_code, body["type"].removeprefix("urn:persona-gateway:problem:")


@pytest.mark.parametrize(
    "target",
    [
        "/products",
        "/products?ids=a&limit=3",
        "/products?" + "ids=a&" * 1001,
        "/catalog?first=0",
        "/catalog?first=101",
        "/catalog?first=many",
        "/catalog?first=-1",
        "/catalog?first=1.0",
        "/catalog?first=%C2%B2",
        "/catalog?sort=CHEAPEST",
        "/catalog?categroy=soap",
        "/catalog/count?ids=a",
        "/categories/tree?depth=2",
        "/persona-categories?x=",
        "/health?x=",
    ],
)
async def test_wrong_addresses_are_invalid_requests(browser: httpx.AsyncClient, target: str) -> None:
    assert problem(await browser.get(target)) == (400, "invalid-request")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/products/batch", b""),
        ("/products/batch", b"ids=a"),
        ("/products/batch", b'{"ids": "a"}'),
        ("/products/batch", b'{"ids": [1]}'),
        ("/products/batch", b'{"ids": ["\\ud800"]}'),
        ("/products/batch", b'["a"]'),
        ("/products/batch", b'{"ids": [], "limit": 3}'),
        ("/products/batch", orjson.dumps({"ids": ["a"] * 1001})),
        ("/catalog/query", b'{"first": 1e3}'),
        ("/catalog/query", b'{"first": true}'),
        ("/catalog/query", b'{"search": 7}'),
        ("/catalog/query", b'{"sort": null}'),
        ("/shelves", b"{}"),
        ("/shelves", b'{"shelves": [{}]}'),
        ("/shelves", b'{"shelves": [{"kind": "dusty"}]}'),
        ("/shelves", b'{"shelves": [{"kind": "trending", "limit": 0}]}'),
        ("/shelves", b'{"shelves": [{"kind": "trending", "limit": 1001}]}'),
        ("/shelves", b'{"shelves": [{"kind": "trending", "colour": "red"}]}'),
        ("/shelves", orjson.dumps({"shelves": [{"kind": "trending"}] * 101})),
        ("/orders/batch", b'{"ids": [], "limit": 101}'),
        ("/baskets/find", b'{"id": "b"}'),
        ("/baskets/lines", b'{"owner": "o", "product_id": "p"}'),
        ("/baskets/lines", b'{"owner": "o", "product_id": "p", "quantity": 1.5}'),
        ("/baskets/lines", b'{"id": 1, "owner": "o", "product_id": "p", "quantity": 1}'),
    ],
)
async def test_wrong_bodies_are_invalid_requests(browser: httpx.AsyncClient, path: str, body: bytes) -> None:
    assert problem(await browser.post(path, content=body)) == (400, "invalid-request")


async def test_errors_of_the_shop_are_problems(browser: httpx.AsyncClient) -> None:
    line = {"owner": "visitor:1", "product_id": "none", "quantity": 1}
    assert problem(await browser.get("/catalog?category=none")) == (404, "unknown-category")
    assert problem(await browser.get("/catalog?after=none")) == (400, "invalid-cursor")
    assert problem(await browser.post("/baskets/lines", json=line)) == (404, "unknown-product")
    assert problem(await browser.post("/baskets/lines", json={**line, "quantity": 0})) == (409, "refused")
    product_id = (await browser.get("/catalog?first=1")).json()["products"][0]["id"]
    line = {"id": "none", "owner": "visitor:1", "product_id": product_id, "quantity": 1}
    assert problem(await browser.post("/baskets/lines", json=line)) == (404, "unknown-basket")


async def test_routes_that_are_none(browser: httpx.AsyncClient) -> None:
    assert problem(await browser.get("/products/../etc/passwd")) == (404, "no-such-route")
    assert problem(await browser.get("/customers/batch")) == (405, "method-not-allowed")
    refused = await browser.delete("/shelves")
    assert problem(refused) == (405, "method-not-allowed")
    assert refused.headers["allow"] == "POST"


async def test_bodies_are_bounded(browser: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b" " * 1024

    assert problem(await browser.post("/shelves", content=endless())) == (413, "body-too-large")


@pytest.mark.parametrize("path", ["/catalog", "/categories/tree", "/products?ids=a", "/health"])
async def test_a_passed_deadline_is_a_problem(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path, headers={"X-Deadline-Ms": "0"})
    assert problem(answer) == (504, "deadline-exceeded")


@pytest.mark.parametrize("header", ["soon", "-1", "1.5", "", "9" * 40])
async def test_a_deadline_is_milliseconds(browser: httpx.AsyncClient, header: str) -> None:
    assert problem(await browser.get("/catalog", headers={"X-Deadline-Ms": header})) == (400, "invalid-request")


async def test_a_client_that_goes_away_is_forgotten(url: str, browser: httpx.AsyncClient) -> None:
    port = httpx.URL(url).port
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /stock/batch HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await browser.get("/health")).json() == {"status": "ok"}


async def test_a_bug_is_told_without_its_words(store: Path, tmp_path: Path) -> None:
    class Buggy(EmbeddedSource):
        async def prices(self, product_ids: Sequence[str], deadline: Deadline) -> Sequence[Price | None]:
            raise RuntimeError(f"no price of {product_ids[0]}")

    buggy = Buggy.open(store, SystemClock(), NoOpTracer(), baskets=tmp_path / "baskets.sqlite")
    with served(buggy) as url, capture_logs() as logged:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            answer = await client.get("/prices?ids=secret-id")
            assert (await client.get("/stock?ids=a")).status_code == 200
    assert problem(answer) == (500, "internal")
    assert "secret-id" not in answer.text
    assert [(entry["event"], entry["route"], entry["error"]) for entry in logged] == [
        ("upstream_failed", "/prices", "RuntimeError")
    ]


async def test_an_upstream_may_stand_before_another() -> None:
    async with FaultyServer() as behind, connected(behind.url, timeout=5.0, retries=0) as client:
        with served(HttpSource(client)) as url:
            async with connected(url, retries=0) as asking, httpx.AsyncClient(base_url=url, trust_env=False) as raw:
                source = HttpSource(asking)
                behind.plays(answer(500), answer(404, encode_problem(UNKNOWN_CATEGORY, "no soap")), hang)
                assert problem(await raw.get("/catalog")) == (503, "unavailable")
                with pytest.raises(UnknownCategory, match="no soap"):
                    await source.catalog(CatalogQuery("soap"), soon())
                late = await raw.get("/catalog", headers={"X-Deadline-Ms": "100"})
                assert problem(late) == (504, "deadline-exceeded")


async def test_made_things_are_201(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/catalog?first=1")).json()
    line = {"id": None, "owner": "visitor:1", "product_id": page["products"][0]["id"], "quantity": 1}
    assert (await browser.post("/baskets/lines", json=line)).status_code == 201


async def test_one_trace_from_the_client_to_the_server(url: str, telling: Telling) -> None:
    calling = Telling()
    async with connected(url, calling) as client:
        await HttpSource(client).stock(["pseudonym"], soon())
    (sent,) = calling.spans()
    assert sent.context is not None
    answered = [s for s in telling.spans() if s.context and s.context.trace_id == sent.context.trace_id]
    assert [span.name for span in answered] == ["GET /stock"], format_trace_id(sent.context.trace_id)
    assert answered[0].kind is SpanKind.SERVER
    assert answered[0].parent is not None
    assert answered[0].parent.span_id == sent.context.span_id
    assert "pseudonym" not in answered[0].to_json()


names = st.sampled_from(["ids", "category", "search", "sort", "first", "after", "shelves", "kind", "id", "owner"])
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=junk | st.fixed_dictionaries({"ids": st.lists(st.text(max_size=9), max_size=4)}), raw=st.text(max_size=30))
def test_whatever_is_sent_the_shop_does_not_break(url: str, body: Any, raw: str) -> None:
    async def statuses() -> list[int]:
        content = orjson.dumps(body) if _is_unicode(body) else b"\xff"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            answers = [await client.post(path, content=content) for path in POSTS]
            answers += [await client.get(path, params={"ids": raw, "search": raw}) for path in GETS if _is_unicode(raw)]
            answers += [await client.get(path, params={"search": raw}) for path in GETS[5:] if _is_unicode(raw)]
        return [answer.status_code for answer in answers]

    assert not [status for status in asyncio.run(statuses()) if status >= 500]


def _is_unicode(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


class TestDocument:
    """`docs/upstream.md`."""

    async def test_it_names_every_route_and_no_other(self, store: Path, tmp_path: Path) -> None:
        shop = open_store(store, tmp_path)
        app = build_upstream(shop, clock=SystemClock(), tracer=NoOpTracer())
        routes = [route for route in app.routes if isinstance(route, Route)]
        await shop.aclose()
        served_routes = {f"{method} {r.path}" for r in routes for method in (r.methods or ()) if method != "HEAD"}
        assert set(re.findall(r"`((?:GET|POST|PUT|DELETE|PATCH) /[a-z/-]+)`", DOCUMENT)) == served_routes

    def test_it_names_every_problem_with_its_status(self) -> None:
        rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", DOCUMENT, re.MULTILINE)
        assert {(name, int(status)) for name, status in rows} == {(p.name, p.status) for p in PROBLEMS}
        (prefix,) = {p.type.removesuffix(p.name) for p in PROBLEMS}
        assert f"`{prefix}`" in DOCUMENT

    def test_its_examples_are_what_the_client_reads(self) -> None:
        block = re.search(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
        assert block
        examples = orjson.loads(block.group(1))
        parsers: dict[str, Callable[[Any], object]] = {
            "product": parse_product,
            "price": parse_price,
            "stock": parse_stock,
            "coupon": parse_coupon,
            "category": parse_category,
            "customer": parse_customer,
            "order": parse_order,
            "basket": parse_basket,
            "page": lambda page: parse_page(page, 24),
        }
        assert examples.keys() == parsers.keys()
        assert all(parse(examples[name]) for name, parse in parsers.items())
