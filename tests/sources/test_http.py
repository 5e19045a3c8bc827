"""The http source: the common contract over a real server, and what only a network can do to it."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from resolvers.errors import SourceUnavailable
from resolvers.sources.embedded import EmbeddedSource
from resolvers.sources.http import HttpSource
from resolvers.sources.rest_contract import ContractBroken
from resolvers.sources.source import CatalogQuery, CommerceSource, ShelfKind, ShelfQuery
from tests.sources.clients import Telling, connected, soon
from tests.sources.faulty_server import FaultyServer, hang, says
from tests.sources.served_shop import facts_of, http_source, open_store, served, until_healthy, upstream_process
from tests.sources.suite import Facts, SourceContract

Call = Callable[[CommerceSource], Awaitable[object]]

PRODUCT = {
    "id": "p",
    "name": "Soap",
    "category_id": "c",
    "brand": None,
    "description": None,
    "size": None,
    "popularity": 3,
}
PRICE = {"amount": "1.50", "list_amount": "2.00", "currency": "USD"}
STOCK = {"available": True, "units": 3}
CATEGORY: dict[str, Any] = {"id": "c", "name": "Soaps", "parent_id": None, "child_ids": [], "product_count": 1}
COUPON = {"id": "k", "campaign": "1", "valid_from": "2017-10-30T00:00:00+00:00", "valid_until": "2017-12-24T00:00:00Z"}
CUSTOMER = {"id": "u", "persona": "BUILDER", "region": None, "sponsors": [], "top_categories": ["c"]}
ORDER = {"id": "o", "customer_id": "u", "placed_at": "2017-10-30T00:00:00Z", "lines": []}
BASKET = {"id": "b", "owner": "visitor:1", "lines": [], "currency": "USD"}
LINE = {"product_id": "p", "quantity": 1, "amount": "1.50"}


def of(call: Call, *answers: Any) -> list[Any]:
    """One case for each answer that breaks the contract of the call."""
    return [pytest.param(call, answer, id=orjson.dumps(answer).decode()[:60]) for answer in answers]


def items(*values: Any) -> dict[str, Any]:
    return {"items": list(values)}


BROKEN = [
    *of(
        lambda s: s.products(["p"], soon()),
        None,
        [],
        "text",
        7,
        {},
        {"items": None},
        {"items": {"p": PRODUCT}},
        items(),
        items(PRODUCT, PRODUCT),
        items("p"),
        items([]),
        items({**PRODUCT, "id": "another"}),
        items({**PRODUCT, "id": 1}),
        items({**PRODUCT, "name": None}),
        items({**PRODUCT, "popularity": True}),
        items({**PRODUCT, "popularity": 1.5}),
        items({name: value for name, value in PRODUCT.items() if name != "size"}),
    ),
    *of(
        lambda s: s.prices(["p"], soon()),
        items({**PRICE, "amount": 1.5}),
        items({**PRICE, "amount": "cheap"}),
        items({**PRICE, "amount": "NaN"}),
        items({**PRICE, "amount": "Infinity"}),
        items({**PRICE, "currency": None}),
    ),
    *of(lambda s: s.stock(["p"], soon()), items({**STOCK, "available": 1}), items({**STOCK, "units": "3"})),
    *of(
        lambda s: s.coupons(["p"], soon()),
        items(COUPON),
        items([{**COUPON, "valid_from": "2017-10-30T00:00:00"}]),
        items([{**COUPON, "valid_from": "yesterday"}]),
    ),
    *of(lambda s: s.categories(["c"], soon()), items({**CATEGORY, "child_ids": "c"}), items({**CATEGORY, "id": "d"})),
    *of(lambda s: s.category_tree(soon()), items(None), {"items": "tree"}),
    *of(
        lambda s: s.catalog(CatalogQuery(first=1), soon()),
        {"products": [PRODUCT], "cursors": [], "has_next": False},
        {"products": [PRODUCT] * 2, "cursors": ["1", "2"], "has_next": False},
        {"products": [None], "cursors": ["1"], "has_next": False},
        {"products": [PRODUCT], "cursors": ["1"], "has_next": "no"},
    ),
    *of(lambda s: s.catalog_count(CatalogQuery(), soon()), {"count": "7"}, {"count": None}),
    *of(lambda s: s.shelves([ShelfQuery(ShelfKind.TRENDING)], soon()), items(), items(None), items([None])),
    *of(lambda s: s.customers(["u"], soon()), items({**CUSTOMER, "persona": "KING"}), items({**CUSTOMER, "id": "v"})),
    *of(
        lambda s: s.orders(["u"], 3, soon()),
        items(ORDER),
        items([{**ORDER, "lines": [{**LINE, "quantity": None}]}]),
        items([{**ORDER, "lines": [None]}]),
    ),
    *of(lambda s: s.persona_categories(soon()), {"personas": []}, {"personas": {"KING": []}}, {"personas": None}),
    *of(lambda s: s.basket("b", "visitor:1", soon()), {}, {"basket": []}, {"basket": {**BASKET, "lines": None}}),
    *of(
        lambda s: s.add_to_basket("b", "visitor:1", "p", 1, soon()),
        {"basket": None},
        {"basket": {**BASKET, "id": None}},
    ),
]


@pytest.fixture(scope="module")
def url(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(open_store(store, tmp_path_factory.mktemp("served"))) as address:
        yield address


@pytest.fixture(scope="module")
def facts(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    async def read() -> Facts:
        shop = open_store(store, tmp_path_factory.mktemp("facts"))
        try:
            return await facts_of(shop)
        finally:
            await shop.aclose()

    return asyncio.run(read())


@pytest.fixture
def data_dir(store: Path, tmp_path: Path) -> Path:
    """A folder of its own for a process, with the store in it."""
    shutil.copy(store, tmp_path)
    return tmp_path


@pytest.fixture
async def source(url: str) -> AsyncIterator[HttpSource]:
    async with http_source(url) as asking:
        yield asking


@pytest.fixture
async def second(url: str) -> AsyncIterator[HttpSource]:
    async with http_source(url) as asking:
        yield asking


@pytest.fixture
async def shop(store: Path, tmp_path: Path) -> AsyncIterator[EmbeddedSource]:
    """The same shop without HTTP between."""
    opened = open_store(store, tmp_path)
    yield opened
    await opened.aclose()


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyServer]:
    async with FaultyServer() as running:
        yield running


class TestHttp(SourceContract):
    """All that is promised of a source."""


async def test_nothing_is_lost_on_the_way(source: HttpSource, shop: EmbeddedSource, facts: Facts) -> None:
    page = await shop.catalog(CatalogQuery(first=100), soon())
    ids = [product.id for product in page.products]
    assert await source.catalog(CatalogQuery(first=100), soon()) == page
    for read in ("products", "prices", "stock", "coupons"):
        assert list(await getattr(source, read)(ids, soon())) == list(await getattr(shop, read)(ids, soon()))
    queries = [ShelfQuery(kind, None, facts.region) for kind in ShelfKind]
    assert list(await source.shelves(queries, soon())) == list(await shop.shelves(queries, soon()))
    assert list(await source.category_tree(soon())) == list(await shop.category_tree(soon()))
    assert await source.persona_categories(soon()) == await shop.persona_categories(soon())
    people = [facts.customer_id or ""]
    assert list(await source.customers(people, soon())) == list(await shop.customers(people, soon()))
    assert list(await source.orders(people, 9, soon())) == list(await shop.orders(people, 9, soon()))


@pytest.mark.parametrize(("call", "wrong"), BROKEN)
async def test_answers_out_of_contract_are_unavailable(faulty: FaultyServer, call: Call, wrong: Any) -> None:
    faulty.plays(says(wrong))
    async with http_source(faulty.url) as source:
        with pytest.raises(ContractBroken) as raised:
            await call(source)
    assert raised.value.__cause__ is not None


async def test_members_that_come_later_are_ignored(faulty: FaultyServer) -> None:
    faulty.plays(says({"items": [{**PRODUCT, "colour": "red"}, None], "took_ms": 3}))
    async with http_source(faulty.url) as source:
        first, nothing = await source.products(["p", "q"], soon())
    assert first is not None
    assert nothing is None


async def test_long_batches_go_in_bodies_and_in_parts(faulty: FaultyServer) -> None:
    faulty.plays(says(items(*[STOCK] * 3)), says(items(*[STOCK] * 1000)), says(items(*[None] * 500)))
    async with http_source(faulty.url) as source:
        assert len(await source.stock(["a,b", "a&ids=b", ""], soon())) == 3
        stock = await source.stock([str(number) for number in range(1500)], soon())
    assert [found is not None for found in stock] == [True] * 1000 + [False] * 500
    assert [(r.method, r.path) for r in faulty.received] == [
        ("GET", "/stock"),
        ("POST", "/stock/batch"),
        ("POST", "/stock/batch"),
    ]
    assert faulty.received[0].params == {"ids": ["a,b", "a&ids=b", ""]}
    assert orjson.loads(faulty.received[2].body) == {"ids": [str(number) for number in range(1000, 1500)]}


async def test_pseudonyms_stay_out_of_addresses(faulty: FaultyServer) -> None:
    faulty.plays(says(items(None)), says(items(None)), says({"basket": None}), says({"basket": BASKET}))
    async with http_source(faulty.url) as source:
        assert list(await source.customers(["pseudonym"], soon())) == [None]
        assert list(await source.orders(["pseudonym"], 3, soon())) == [()]
        assert await source.basket("pseudonym", "pseudonym", soon()) is None
        await source.add_to_basket("pseudonym", "pseudonym", "p", 1, soon())
    assert len(faulty.received) == 4
    assert not any("pseudonym" in request.target for request in faulty.received)


async def test_what_is_empty_is_not_asked(faulty: FaultyServer) -> None:
    async with http_source(faulty.url) as source:
        assert list(await source.products([], soon())) == []
        assert list(await source.prices(["\ud800"], soon())) == [None]
        assert list(await source.shelves([], soon())) == []
    assert faulty.received == []


async def test_adding_to_a_basket_is_never_tried_again(faulty: FaultyServer) -> None:
    faulty.plays(hang)
    async with connected(faulty.url, timeout=0.3) as client:
        with pytest.raises(SourceUnavailable):
            await HttpSource(client).add_to_basket(None, "visitor:1", "p", 1, soon())
    assert len(faulty.received) <= 1


async def test_an_upstream_process_killed_and_started_again(data_dir: Path) -> None:
    telling = Telling()
    with upstream_process(data_dir) as (process, url):
        await until_healthy(url)
        async with connected(url, telling, retries=0, breaker_threshold=4, breaker_recovery=0.2) as client:
            source = HttpSource(client)
            await source.catalog(CatalogQuery(), soon())
            load = [asyncio.create_task(source.catalog(CatalogQuery(first=1 + n % 100), soon())) for n in range(60)]
            await load[0]
            process.kill()
            process.wait()
            ends = await asyncio.gather(*load, return_exceptions=True)
            assert all(not isinstance(end, BaseException) or isinstance(end, SourceUnavailable) for end in ends)
            for _ in range(4):
                with pytest.raises(SourceUnavailable):
                    await source.catalog(CatalogQuery(), soon())
            assert telling.circuit_open() == 1
            with upstream_process(data_dir, urlsplit(url).port or 0):
                await until_healthy(url)
                await asyncio.sleep(0.2)
                page = await source.catalog(CatalogQuery(), soon())
            assert page.products
            assert telling.circuit_open() == 0


async def test_an_upstream_process_finishes_what_it_began(data_dir: Path) -> None:
    with upstream_process(data_dir) as (process, url):
        await until_healthy(url)
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        body = b'{"ids": ["x"]}'
        writer.write(b"POST /stock/batch HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:4])
        await writer.drain()
        async with http_source(url) as source:
            await source.stock(["x"], soon())
            process.send_signal(signal.SIGTERM)
            while True:
                try:
                    await source.stock(["x"], soon())
                except SourceUnavailable:
                    break
        writer.write(body[4:])
        head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        assert head.startswith(b"HTTP/1.1 200")
        assert answer == b'{"items":[null]}'
        assert await asyncio.to_thread(process.wait) == 0
