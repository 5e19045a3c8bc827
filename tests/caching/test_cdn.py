"""A real nginx as the CDN, by docs/cdn.nginx.conf: what is shared is kept for each audience, and nothing else."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest

from bench.processes import free_port
from gateway.settings import Settings
from tests.gateway.client import signed
from tests.gateway.server import gateway_process

ROOT = Path(__file__).parents[2]
SHARED = '{ components(page: "home", context: {}) { name version enabled reason mode } categories { id name } }'
PLAIN = "{ categories { id name } }"
OWN = "{ recommendations(placement: HOME, first: 3, context: {}) { decision { id } products { id } } }"
CUSTOMER = "7"


@contextmanager
def nginx(folder: Path, gateway: str) -> Iterator[str]:
    """The address of an nginx before the gateway; stopped at the end."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("nginx is not on PATH")
        pytest.skip("nginx is not on PATH: apt-get install nginx-light")
    port = free_port()
    config = (ROOT / "docs" / "cdn.nginx.conf").read_text()
    for written, here in {
        "listen 8080": f"listen 127.0.0.1:{port}",
        "http://127.0.0.1:8000": gateway,
        "/var/cache/nginx/gateway": str(folder / "cache"),
    }.items():
        assert written in config
        config = config.replace(written, here)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n{config} }}\n"
    )
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    try:
        for _ in range(500):
            assert process.poll() is None, (folder / "error.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)


@dataclass(frozen=True, slots=True)
class Site:
    """A CDN and the gateway behind it."""

    url: str
    settings: Settings

    @asynccontextmanager
    async def browser(self, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        """A browser of its own, with cookies of its own."""
        agent = {"User-Agent": "Mozilla/5.0", "Apollo-Require-Preflight": "1", **headers}
        async with httpx.AsyncClient(base_url=self.url, timeout=30, headers=agent) as client:
            yield client

    def token(self, customer: str, **claims: object) -> str:
        """The header of who is signed in."""
        return f"Bearer {signed(self.settings, customer, **claims)}"


@pytest.fixture(scope="module")
def site(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, data_dir = tmp_path_factory.mktemp("cdn"), tmp_path_factory.mktemp("data")
    (data_dir / catalogue.name).hardlink_to(catalogue)
    with gateway_process(data_dir, audience_cookie="true") as gateway, nginx(folder, gateway) as url:
        yield Site(url, Settings(data_dir=data_dir))


async def get(client: httpx.AsyncClient, query: str) -> httpx.Response:
    response = await client.get("/graphql", params={"query": query})
    assert response.status_code == 200
    assert "errors" not in response.json(), response.text
    return response


def cdn(response: httpx.Response) -> str:
    return response.headers["cdn-cache"]


async def test_who_shares_an_audience_shares_what_is_kept(site: Site) -> None:
    async with site.browser() as first, site.browser() as second:
        own = await get(first, SHARED)
        assert own.headers["cache-control"].startswith("private, max-age=")
        assert set(first.cookies) == {"visitor", "audience"}
        shared = await get(first, SHARED)
        assert (cdn(shared), shared.headers["vary"]) == ("MISS", "Accept, Graphql-Audience, Origin")
        assert shared.headers["cache-control"].startswith("public, max-age=")
        assert cdn(await get(first, SHARED)) == "HIT"
        assert "set-cookie" not in shared.headers
        await get(second, SHARED)
        assert second.cookies["audience"] == first.cookies["audience"] != ""
        assert second.cookies["visitor"] != first.cookies["visitor"]
        again = await get(second, SHARED)
        assert (cdn(again), again.content) == ("HIT", shared.content)
        revalidated = await second.get(
            "/graphql", params={"query": SHARED}, headers={"If-None-Match": again.headers["etag"]}
        )
        assert revalidated.status_code == 304


async def test_another_audience_gets_its_own(site: Site) -> None:
    token = site.token(CUSTOMER, persona="CONSULTANT")
    async with site.browser() as visitor, site.browser(Authorization=token) as consultant:
        for client in (visitor, consultant):
            await get(client, SHARED)
        theirs = [(await get(client, SHARED)).json()["data"] for client in (visitor, consultant)]
        assert theirs[0] != theirs[1]
        kept = [await get(client, SHARED) for client in (visitor, consultant)]
        assert [cdn(each) for each in kept] == ["HIT", "HIT"]
        assert [each.json()["data"] for each in kept] == theirs
        assert visitor.cookies["audience"] != consultant.cookies["audience"]


async def test_a_phone_is_another_audience(site: Site) -> None:
    async with site.browser() as desk, site.browser(**{"Sec-CH-UA-Mobile": "?1"}) as phone:
        for client in (desk, phone):
            await get(client, SHARED)
        assert desk.cookies["audience"] != phone.cookies["audience"]


async def test_what_is_ones_own_is_never_kept(site: Site) -> None:
    async with site.browser() as client:
        await get(client, SHARED)
        answers = [await get(client, OWN) for _ in range(3)]
        assert {cdn(each) for each in answers} <= {"MISS", "EXPIRED", "BYPASS"}
        assert all(each.headers["cache-control"] == "private, no-store" for each in answers)
        assert len({each.json()["data"]["recommendations"]["decision"]["id"] for each in answers}) == 3


async def test_what_everyone_gets_is_kept_without_a_cookie(site: Site) -> None:
    async with site.browser() as client, site.browser() as other:
        first = await get(client, PLAIN)
        assert first.headers["cache-control"].startswith("public")
        assert not client.cookies
        assert cdn(await get(other, PLAIN)) == "HIT"


async def test_a_forged_cookie_gets_ones_own(site: Site) -> None:
    async with site.browser() as client, site.browser() as forger:
        await get(client, SHARED)
        token = client.cookies["audience"]
        forger.cookies.set("audience", token[:-6] + "AAAAAA", domain="127.0.0.1")
        for _ in range(2):
            answer = await get(forger, SHARED)
            assert answer.headers["cache-control"].startswith("private")
            forger.cookies.set("audience", token[:-6] + "AAAAAA", domain="127.0.0.1")


async def test_a_header_of_the_client_counts_for_nothing(site: Site) -> None:
    async with site.browser(Authorization=site.token(CUSTOMER, persona="CONSULTANT")) as consultant:
        await get(consultant, SHARED)
        token = consultant.cookies["audience"]
    async with site.browser(**{"Graphql-Audience": token}) as visitor:
        assert (await get(visitor, SHARED)).headers["cache-control"].startswith("private")


async def test_a_preview_is_neither_given_what_is_kept_nor_kept(site: Site) -> None:
    async with site.browser() as client:
        for _ in range(2):
            await get(client, SHARED)
        assert cdn(await get(client, SHARED)) == "HIT"
        client.cookies.set("preview", "any", domain="127.0.0.1")
        answer = await get(client, SHARED)
        assert cdn(answer) == "BYPASS"
        assert answer.headers["cache-control"].startswith("private")


async def test_no_answer_to_all_says_anything_of_one(site: Site) -> None:
    query = '{ components(page: "home", context: {}) { name exposure { id } } }'
    async with site.browser() as client:
        own, shared = [await get(client, query) for _ in range(2)]
        assert any(each["exposure"]["id"] for each in own.json()["data"]["components"])
        assert not any(each["exposure"]["id"] for each in shared.json()["data"]["components"])
        assert orjson.dumps(shared.json()["extensions"]).find(b'customerId":null') > 0
