"""What changes while somebody looks: flags in a file, and a shop behind the gateway that goes away."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser

from bench.processes import free_port
from tests.browser.chromium import Shop, visiting
from tests.browser.conftest import Served
from tests.browser.copies import rewrite
from tests.gateway.server import ROOT, gateway_process

FLAGS_CHANGE = True
KEY = "a key of this test alone, long enough to sign with"


def test_the_page_follows_a_flag_in_a_file(shop: Shop, served: Served) -> None:
    shop.open()
    shop.shelved()
    shop.page.wait_for_selector("#announcement:not(:empty)")
    shop.page.wait_for_timeout(500)  # the stream of notices opens after the first flags are there

    def change(content: dict[str, Any]) -> None:
        content["flags"]["shop.announcement"]["variants"]["everyone"] = "Closed for stocktaking on Friday"

    rewrite(served.flags / "50-shop.json", change)
    shop.page.wait_for_selector("text=Closed for stocktaking on Friday")


def test_the_page_follows_the_version_of_a_component(shop: Shop, served: Served) -> None:
    shop.open()
    shop.shelved()
    assert "shelf.v2" in shop.pieces()
    shop.page.wait_for_selector("#announcement:not(:empty)")
    shop.page.wait_for_timeout(500)
    shop.page.evaluate("window.sameDocument = true")

    def older(content: dict[str, Any]) -> None:
        content["flags"]["component.shelf"]["targeting"] = {"if": [True, "v1", None]}

    def newer(content: dict[str, Any]) -> None:
        content["flags"]["component.shelf"]["targeting"] = {"if": [True, "v2", None]}

    rewrite(served.flags / "10-storefront.json", older)
    shop.page.wait_for_selector('[data-piece="shelf.v1"] .tile')
    rewrite(served.flags / "10-storefront.json", newer)
    shop.page.wait_for_selector('[data-piece="shelf.v2"] .tile')
    assert shop.page.evaluate("window.sameDocument")


def test_the_page_says_so_when_the_gateway_is_away_and_comes_back(shop: Shop) -> None:
    shop.open()
    shop.shelved()
    shop.page.route("**/graphql", lambda route: route.abort())
    shop.page.click(".menu-row a")
    shop.page.wait_for_selector("[role=alert] h1")
    assert shop.page.inner_text("main h1") == "The shop does not answer"
    shop.page.unroute("**/graphql")
    shop.page.click("text=Try again")
    shop.page.wait_for_selector(".tiles")
    shop.complaints.clear()  # the browser names the requests that failed


@contextmanager
def _upstream(data: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The embedded shop as a process of its own: its address, and the process to kill."""
    port = free_port()
    environment = {**os.environ, "GATEWAY_DATA_DIR": str(data)}
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "upstream", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait(20)


@pytest.fixture
def remote(catalogue: Path, tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A gateway before a shop that can be killed: the gateway's address, and the shop's process."""
    shop, own = tmp_path / "shop", tmp_path / "gateway"
    shop.mkdir()
    own.mkdir()
    (shop / catalogue.name).hardlink_to(catalogue)
    settings = {"source": "http", "token_key": KEY, "cookie_key": KEY, "request_timeout_ms": "4000"}
    with _upstream(shop) as (address, process), gateway_process(own, upstream_url=address, **settings) as url:
        yield url, process


def test_the_page_stands_while_the_shop_behind_is_away(
    chrome: Browser, remote: tuple[str, "subprocess.Popen[bytes]"]
) -> None:
    url, upstream = remote
    with visiting(chrome, url) as shop:
        shop.open()
        shop.shelved()
        assert shop.page.locator("#bar *").count() == 0, "without a development key there is no demo"
        upstream.kill()
        upstream.wait(20)
        shop.open()
        shop.shelved()
        assert shop.page.inner_text("main h1") == "Everyday care, chosen well"
        shop.open("/product/1128271")
        assert shop.page.locator("main h1").count() == 1
        assert urlopen(f"{url}/live", timeout=5).status == 200
