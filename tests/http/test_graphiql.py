"""GraphiQL is served whole from here."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from graphql import build_schema, parse, validate
from starlette.applications import Starlette

from gateway.graphiql import graphiql_routes


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=graphiql_routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example", follow_redirects=True) as client:
        yield client


async def test_the_page_loads_only_what_is_served_beside_it(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/graphiql/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) >= 6
    for link in links:
        if link != "data:,":
            asset = await browser.get(f"/graphiql/{link}")
            assert asset.status_code == 200, link
            assert asset.headers["content-type"].startswith(("text/javascript", "text/css"))
            assert len(asset.content) > 50


async def test_a_strict_policy_goes_with_the_page(browser: httpx.AsyncClient) -> None:
    policy = (await browser.get("/graphiql/")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_the_page_is_found_without_the_slash(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/graphiql")).url.path == "/graphiql/"


async def test_files_are_sent_as_the_browser_takes_them(browser: httpx.AsyncClient) -> None:
    packed = await browser.get("/graphiql/graphiql.min.js")
    plain = await browser.get("/graphiql/graphiql.min.js", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content


@pytest.mark.parametrize("name", ["nothing.js", "page.html.gz", "NOTICE.md", "..%2Fsettings.py"])
async def test_nothing_else_is_served(browser: httpx.AsyncClient, name: str) -> None:
    assert (await browser.get(f"/graphiql/{name}")).status_code == 404


async def test_the_queries_it_opens_with_fit_the_schema(browser: httpx.AsyncClient) -> None:
    home = (await browser.get("/graphiql/home.graphql")).text
    script = (await browser.get("/graphiql/start.js")).text
    [plain] = re.findall(r"const plain = `([^`]+)`", script)
    schema = build_schema((Path(__file__).parents[2] / "schema.graphql").read_text())
    for query in (plain, home):
        assert validate(schema, parse(query)) == []
    assert "query Home(" in home, "the script renames it"
