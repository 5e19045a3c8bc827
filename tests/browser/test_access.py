"""Whether everybody can use the shop: axe-core finds nothing, nothing moves, and it holds on a phone."""

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import Shop, axe, visiting
from tests.browser.conftest import Served

PAGES = ("/", "/category/drug-gm.hair-care-products", "/search?q=soap", "/product/1128271", "/basket")
DESKS = {"CONSULTANT": "/reorder", "SHOP_OWNER": "/bulk", "BUILDER": "/team"}
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) window.shifts.push(each.value);
}).observe({ type: "layout-shift", buffered: true });
"""


def _violations(shop: Shop) -> list[str]:
    """What axe-core has against the page as it is now: rule, and the first element that breaks it."""
    shop.page.evaluate(axe())
    found = shop.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in found]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_every_page_can_be_used_by_everybody(chrome: Browser, served: Served, path: str, width: str) -> None:
    with visiting(chrome, served.url, phone=width == "phone") as shop:
        if path == "/basket":
            shop.open("/product/1128271")
            shop.page.click(".buy button")
            shop.page.wait_for_selector(".said:not(:empty)")
        shop.open(path)
        if "search" not in path:
            shop.shelved()
        assert _violations(shop) == []


@pytest.mark.parametrize(("persona", "path"), DESKS.items())
def test_every_desk_can_be_used_by_everybody(shop: Shop, persona: str, path: str) -> None:
    shop.open()
    shop.become(persona)
    shop.shelved()
    shop.page.click(".bar-toggle")
    shop.page.wait_for_selector(".bar-behind tr.is-shelf")
    assert _violations(shop) == []
    shop.open(path)
    assert _violations(shop) == []


def test_what_opens_over_a_page_can_be_used_by_everybody(shop: Shop) -> None:
    shop.open("/product/1128271")
    shop.shelved()
    shop.page.click(".menu-all")
    assert _violations(shop) == []
    shop.page.keyboard.press("Escape")
    shop.page.fill("#words", "soap")
    shop.page.wait_for_selector("#results li")
    assert _violations(shop) == []
    shop.page.keyboard.press("Escape")
    shop.page.click(".buy button")
    shop.page.wait_for_selector(".said:not(:empty)")
    shop.page.click(".basket-link")
    shop.page.wait_for_selector("dialog.drawer[open] .drawer-lines li")
    assert _violations(shop) == []


@pytest.mark.parametrize("persona", ["VISITOR", *DESKS])
def test_the_shop_can_be_read_in_the_dark(chrome: Browser, served: Served, persona: str) -> None:
    with visiting(chrome, served.url, dark=True) as shop:
        shop.open()
        if persona != "VISITOR":
            shop.become(persona)
        shop.shelved()
        assert _violations(shop) == []


def test_the_page_of_what_is_not_there_can_be_used_by_everybody(shop: Shop) -> None:
    shop.page.goto(f"{shop.url}/nowhere")
    assert _violations(shop) == []
    shop.complaints.clear()  # the browser names the 404 itself


@pytest.mark.parametrize("width", ["desktop", "phone"])
@pytest.mark.parametrize("path", ["/", "/product/1128271", "/category/drug-gm.hair-care-products"])
def test_nothing_moves_when_the_shelf_arrives(chrome: Browser, served: Served, path: str, width: str) -> None:
    with visiting(chrome, served.url, phone=width == "phone", init=SHIFTS) as shop:
        shop.open(path)
        shop.page.locator(".shelf-place").scroll_into_view_if_needed()
        shop.shelved()
        shop.page.wait_for_timeout(300)
        assert shop.page.evaluate("window.shifts") == []


def test_no_page_is_wider_than_a_phone(phone: Shop) -> None:
    phone.open()
    for persona in (None, "CONSULTANT", "SHOP_OWNER", "BUILDER"):
        if persona is not None:
            phone.become(persona)
        for path in ("/", DESKS.get(persona or "", "/search")):
            phone.open(path)
            assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390, (persona, path)
