"""A real browser: Debian's Chromium, driven over its own protocol, with a new profile each time."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = (1280, 800)
PHONE = (390, 844)
PHONE_AGENT = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Mobile Safari/537.36"
)
PATIENCE_MS = 15_000


def chromium() -> str:
    """Where the browser is. Without one the test is skipped, except where CI should have installed it."""
    found = shutil.which("chromium")
    if found is None:
        assert not os.environ.get("CI"), "there is no chromium on PATH; .ci/run installs it"
        pytest.skip("there is no chromium on PATH")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser, closed at the end."""
    path = chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield running
        finally:
            running.close()


@dataclass(slots=True)
class Shop:
    """A page of the shop in a profile of its own, and what the browser complained of."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> None:
        """Go to an address and wait until the page is drawn."""
        self.page.goto(self.url + path)
        self.drawn()

    def drawn(self) -> None:
        """Wait until what was asked for is on the screen."""
        self.page.wait_for_selector("main h1")
        self.page.wait_for_selector("main:not([aria-busy])")

    def shelved(self) -> None:
        """Wait until the deferred shelf is there."""
        self.page.wait_for_selector(".shelf-place:not([aria-busy]) .tile")

    def become(self, persona: str) -> None:
        """Become somebody of this persona, by the demo's bar."""
        self.page.click(f'#bar [data-persona="{persona}"]')
        self.page.wait_for_selector(f'html[data-persona="{persona}"]')
        self.drawn()

    def pieces(self) -> set[str]:
        """Which versions of components are on the page."""
        found: list[str] = self.page.eval_on_selector_all("[data-piece]", "all => all.map(each => each.dataset.piece)")
        return set(found)


@contextmanager
def visiting(
    running: Browser, url: str, *, phone: bool = False, dark: bool = False, init: str | None = None
) -> Iterator[Shop]:
    """Somebody new who visits the shop at this address."""
    width, height = PHONE if phone else DESKTOP
    context = running.new_context(
        viewport={"width": width, "height": height},
        user_agent=PHONE_AGENT if phone else None,
        has_touch=phone,
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(PATIENCE_MS)
    if init is not None:
        context.add_init_script(init)
    page = context.new_page()
    shop = Shop(page, url)
    page.on("pageerror", lambda error: shop.complaints.append(str(error)))
    page.on("console", lambda said: shop.complaints.append(said.text) if said.type == "error" else None)
    try:
        yield shop
    finally:
        context.close()


def axe() -> str:
    """The source of axe-core, which judges whether a page can be used by everybody."""
    path = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
    assert path.is_file(), f"{path} is missing: run `make test`, or `npm install` in tests/node"
    return path.read_text()
