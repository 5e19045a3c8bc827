"""The shop's files over HTTP: what is served, how it is kept, and that nothing else can be reached."""

import re
from pathlib import Path

import httpx
import orjson
import pytest

from flags.registry import SHIPPED_DIRECTORY, read_registry
from gateway.storefront import FOLDER, PAGES
from tests.gateway.client import GatewayClient
from tests.gateway.conftest import Open

PAGE = {"accept": "text/html"}
SECRET = "a key of this test alone, long enough to sign with"


async def assets(gateway: GatewayClient) -> str:
    """Where the page says that its files are."""
    page = await gateway.http.get("/", headers=PAGE)
    found = re.search(r'"(/assets/[0-9a-f]+/)shop/app.js"', page.text)
    assert found
    return found[1]


async def test_every_address_of_the_shop_is_the_page(gateway: GatewayClient) -> None:
    for path in PAGES:
        answer = await gateway.http.get(path.replace("{id}", "1128271"), headers=PAGE)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert answer.headers["cache-control"] == "no-cache"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<script>" not in answer.text
        assert "style=" not in answer.text


async def test_who_opens_a_page_has_a_cookie_before_it_asks(gateway: GatewayClient) -> None:
    first = await gateway.http.get("/", headers=PAGE)
    assert first.headers["set-cookie"].startswith("visitor=")
    again = await gateway.http.get("/", headers={**PAGE, "if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_all_that_the_page_names_is_there_and_kept_for_good(gateway: GatewayClient) -> None:
    page = (await gateway.http.get("/", headers=PAGE)).text
    named = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page)
    assert len(named) > 10
    for path in named:
        answer = await gateway.http.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await gateway.http.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304


async def test_modules_import_only_what_is_there(gateway: GatewayClient) -> None:
    base = httpx.URL(f"http://shop{await assets(gateway)}")
    modules = [path for path in FOLDER.rglob("*.js") if path.parent.name == "shop" or ".v" in path.parent.name]
    assert len(modules) > 40
    for module in modules:
        here = base.join(module.relative_to(FOLDER).as_posix())
        for wanted in re.findall(r'^import .*? from "(\.[^"]+)";$', module.read_text(), re.MULTILINE):
            answer = await gateway.http.get(here.join(wanted).path)
            assert answer.status_code == 200, (module.name, wanted)


async def test_every_version_has_a_module_and_a_style(gateway: GatewayClient) -> None:
    base = await assets(gateway)
    told = orjson.loads((await gateway.http.get(f"{base}components.json")).content)["versions"]
    registry = read_registry(SHIPPED_DIRECTORY).versions
    assert {(each["name"], each["version"]) for each in told} == {
        (version.manifest.name, f"v{version.manifest.number}") for version in registry
    }
    for each in told:
        for path in (each["module"], each["style"]):
            assert (await gateway.http.get(base + path)).status_code == 200


async def test_a_file_under_another_version_is_asked_for_again(gateway: GatewayClient) -> None:
    answer = await gateway.http.get("/assets/0000000000000000/shop/app.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    "name",
    [
        "../gateway/app.py",
        "shop/../../pyproject.toml",
        "shop/..%2f..%2fpyproject.toml",
        "shop/%2e%2e/%2e%2e/pyproject.toml",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "shop/.hidden.js",
        "vendor/node_modules/esbuild/package.json",
        "vendor/NOTICE.md",
        "shop",
        "",
        "shop/app.js%00.html",
    ],
)
async def test_nothing_else_can_be_reached(gateway: GatewayClient, name: str) -> None:
    base = await assets(gateway)
    answer = await gateway.http.get(
        httpx.URL(f"http://gateway{base}").copy_with(raw_path=f"{base}{name}".encode()), follow_redirects=True
    )
    assert answer.status_code == 404


async def test_what_is_not_there_is_a_page_to_browsers_and_a_line_to_others(gateway: GatewayClient) -> None:
    page = await gateway.http.get("/nowhere", headers=PAGE)
    assert page.status_code == 404
    assert "There is no such page" in page.text
    assert page.headers["content-security-policy"]
    line = await gateway.http.get("/nowhere")
    assert (line.status_code, line.text) == (404, "Not Found")


async def test_a_saved_file_is_served(open_gateway: Open, tmp_path: Path) -> None:
    version = tmp_path / "components" / "hero.v1"
    version.mkdir(parents=True)
    for name in ("manifest.json", "fragment.graphql"):
        (version / name).write_bytes((SHIPPED_DIRECTORY / "hero.v1" / name).read_bytes())
    components = tmp_path / "components"
    async with open_gateway(components_dir=components) as gateway:
        before = await assets(gateway)
        assert orjson.loads((await gateway.http.get(f"{before}components.json")).content)["versions"] == []
    (version / "hero.js").write_text("export const render = () => null;\n")
    async with open_gateway(components_dir=components) as gateway:
        after = await assets(gateway)
        assert after != before
        (told,) = orjson.loads((await gateway.http.get(f"{after}components.json")).content)["versions"]
        assert (told["name"], told["version"], told["style"]) == ("hero", "v1", None)


async def test_the_demo_signs_in_as_any_customer(gateway: GatewayClient) -> None:
    builders = (await gateway.http.get("/demo/people", params={"persona": "BUILDER"})).json()
    assert builders["total"] == 56
    below = (await gateway.http.get("/demo/people", params={"under": builders["people"][0]["id"]})).json()
    assert below["total"] > 0
    answer = await gateway.http.post("/demo/sign-in", json={"customerId": "2"})
    assert answer.json()["customer"] == {"id": "2", "persona": "CONSULTANT", "region": "US-S"}
    told = await gateway.ask("{ segment(context: {}) { persona } }", token=answer.json()["token"])
    assert told["data"]["segment"]["persona"] == "CONSULTANT"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"customerId": "nobody"}', {"content-type": "application/json"}, 404),
        (b'{"customerId": 2}', {"content-type": "application/json"}, 400),
        (b"[]", {"content-type": "application/json"}, 400),
        (b"{", {"content-type": "application/json"}, 400),
        (b'{"customerId": "2"}', {"content-type": "text/plain"}, 400),
    ],
)
async def test_the_demo_refuses_what_makes_no_sense(
    gateway: GatewayClient, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await gateway.http.post("/demo/sign-in", content=body, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize("settings", [{"token_key": SECRET}, {"host": "0.0.0.0"}])
async def test_there_is_no_demo_with_a_key_of_ones_own_or_for_other_machines(
    open_gateway: Open, settings: dict[str, str]
) -> None:
    async with open_gateway(**settings) as gateway:
        assert (await gateway.http.get("/demo/people")).status_code == 404
        assert (await gateway.http.post("/demo/sign-in", json={"customerId": "2"})).status_code == 404
        assert '<meta name="demo" content="closed">' in (await gateway.http.get("/", headers=PAGE)).text


async def test_the_page_says_that_there_is_a_demo(gateway: GatewayClient) -> None:
    assert '<meta name="demo" content="open">' in (await gateway.http.get("/", headers=PAGE)).text
