"""The shop in a real browser, against a real gateway: what each persona sees, and what their clicks become."""

import pytest

from personalization.hub.topics import EXPOSURE_EVENTS, JOINED, OUTCOMES
from tests.browser.chromium import Shop
from tests.browser.conftest import JOIN_WINDOW_S, Served
from tests.browser.copies import awaited, events, rewrite

EVERYWHERE = {"navigation.v2", "search.v1", "shelf.v2"}


@pytest.mark.parametrize(
    ("persona", "kind", "heading"),
    [
        ("VISITOR", "onboarding", "Everyday care, chosen well"),
        ("DIRECT_CUSTOMER", "hero", "Good to see you again"),
        ("CONSULTANT", "quick-reorder", "Who are you shopping for?"),
        ("SHOP_OWNER", "bulk-pad", "Fill your shelves"),
        ("BUILDER", "team-page", "Your team, this period"),
    ],
)
def test_each_persona_has_a_home_of_its_own(shop: Shop, persona: str, kind: str, heading: str) -> None:
    shop.open()
    if persona != "VISITOR":
        shop.become(persona)
    shop.shelved()
    assert shop.page.inner_text("main h1") == heading
    pieces = shop.pieces()
    assert pieces >= EVERYWHERE
    first = shop.page.get_attribute("main [data-piece]", "data-piece")
    assert first is not None
    assert first.partition(".")[0] == (kind if persona != "VISITOR" else "hero")
    others = {"onboarding", "quick-reorder", "bulk-pad", "team-page"} - {kind}
    here = {each.partition(".")[0] for each in pieces}
    assert here & others <= ({"quick-reorder"} if persona == "SHOP_OWNER" else set())


def test_a_click_becomes_a_reward_in_the_trace_of_its_page(shop: Shop, served: Served) -> None:
    shop.open()
    shop.become("CONSULTANT")
    shop.page.click(".bar-toggle")
    shop.page.wait_for_selector(".bar-behind tr.is-shelf")
    shop.page.click(".bar-toggle")
    shop.shelved()
    shop.page.hover(".shelf-place")  # scrolls it into view; tries again where it has just been put anew
    trace = shop.page.text_content(".bar-facts div:last-child dd")
    shop.page.click(".shelf-place .tile-title a")
    shop.page.wait_for_selector(".detail")
    joined = awaited(
        served.data,
        JOINED,
        lambda event: event["decision"]["trace_id"] == trace and event["reward"] == 1.0,
        20 + JOIN_WINDOW_S,
    )
    assert joined["decision"]["context"]["placement"] == "HOME"
    assert trace in joined["traceparent"]
    told = [event for event in events(served.data, OUTCOMES) if event["decision_id"] == joined["id"]]
    (detail,) = (event for event in told if event["kind"] == "DETAIL_DISPLAYED")
    assert trace in detail["traceparent"], "told by beacon and tag, taken once"


def test_a_purchase(shop: Shop, served: Served) -> None:
    shop.open()
    shop.shelved()
    shop.page.click(".shelf-place .tile-title a")
    shop.page.wait_for_selector(".detail")
    shop.page.fill("#quantity", "2")
    shop.page.click(".buy button")
    shop.page.wait_for_selector(".said:not(:empty)")
    assert shop.page.inner_text("#basket-count").startswith("2")
    shop.open("/basket")
    shop.page.click("button[aria-label^='One less']")
    shop.page.wait_for_selector('.stepper span:text-is("1")')
    shop.page.click(".sums .button")
    shop.page.wait_for_selector("text=Thank you")
    assert shop.page.inner_text("#basket-count").startswith("0")
    bought = awaited(served.data, OUTCOMES, lambda event: event["kind"] == "PURCHASED", 10)
    added = [event for event in events(served.data, OUTCOMES) if event["kind"] == "ADDED_TO_BASKET"]
    assert bought["decision_id"] in {event["decision_id"] for event in added}
    assert bought["quantity"] == 1


def test_what_is_seen_for_a_second_is_told_and_how_long(shop: Shop, served: Served) -> None:
    shop.open()
    with shop.page.expect_request(lambda request: "/events?" in request.url and '"seen"' in (request.post_data or "")):
        pass
    shop.page.wait_for_timeout(1200)
    shop.page.click(".brand")
    seen = awaited(served.data, EXPOSURE_EVENTS, lambda event: event["kind"] == "SEEN", 10)
    told = events(served.data, EXPOSURE_EVENTS)
    assert seen["exposure_id"] in {event["exposure_id"] for event in told if event["kind"] == "RENDERED"}
    timed = awaited(served.data, OUTCOMES, lambda event: (event.get("duration_s") or 0) > 0, 10)
    assert timed["kind"] == "DISPLAYED"
    assert timed["duration_s"] >= 1


def test_a_consultant_shops_for_a_customer(shop: Shop) -> None:
    shop.open()
    shop.become("CONSULTANT")
    own = shop.page.evaluate("sessionStorage.getItem('customer')")
    people = shop.page.evaluate("id => fetch(`/demo/people?under=${id}`).then(answer => answer.json())", own)["people"]
    shop.open("/reorder")
    shop.page.fill("#shops-for", people[0]["id"])
    shop.page.click(".picker button[type=submit]")
    shop.page.wait_for_selector(f"text=Again for customer {people[0]['id']}")
    shop.page.click("text=Myself again")
    shop.page.wait_for_selector("text=Now for yourself")


def test_addresses_and_the_back_button(shop: Shop) -> None:
    shop.open("/category/drug-gm.oral-hygiene-products")
    assert shop.page.inner_text("main h1") == "Oral Hygiene"
    shop.page.click(".tiles .tile-title a")
    shop.page.wait_for_selector(".detail")
    assert "/product/" in shop.page.url
    shop.page.go_back()
    shop.page.wait_for_selector(".tiles")
    assert shop.page.inner_text("main h1") == "Oral Hygiene"
    shown = shop.page.locator(".tiles > li").count()
    shop.page.click("text=Show more")
    shop.page.wait_for_selector(f".tiles > li:nth-child({shown + 1})")


def test_a_page_that_is_not_there(shop: Shop) -> None:
    answer = shop.page.goto(f"{shop.url}/nowhere")
    assert answer is not None
    assert answer.status == 404
    assert shop.page.inner_text("h1") == "There is no such page"
    shop.complaints.clear()  # the browser names the 404 itself


def test_search_by_the_keyboard_alone(shop: Shop) -> None:
    shop.open()
    shop.page.keyboard.press("Tab")
    assert shop.page.evaluate("document.activeElement.className") == "skip"
    shop.page.focus("#words")
    shop.page.keyboard.type("shampoo")
    shop.page.wait_for_selector("#results li")
    shop.page.keyboard.press("ArrowDown")
    assert shop.page.get_attribute("#words", "aria-activedescendant") == "result-0"
    shop.page.keyboard.press("Enter")
    shop.page.wait_for_selector(".detail")
    assert shop.page.evaluate("document.activeElement.id") == "main"


def test_search_over_the_screen_of_a_phone(phone: Shop) -> None:
    phone.open()
    phone.page.click(".screen-open")
    phone.page.fill(".screen input", "soap")
    phone.page.wait_for_selector(".screen-found li")
    phone.page.keyboard.press("Enter")
    phone.page.wait_for_selector("text=Results for")


def test_the_basket_beside_the_page(shop: Shop) -> None:
    shop.open("/product/1128271")
    shop.page.click(".buy button")
    shop.page.wait_for_selector(".said:not(:empty)")
    shop.page.click(".basket-link")
    shop.page.wait_for_selector("dialog.drawer[open] .drawer-lines li")
    shop.page.keyboard.press("Escape")
    assert shop.page.locator("dialog.drawer[open]").count() == 0


def test_the_pad_takes_many_at_once(shop: Shop) -> None:
    shop.open()
    shop.become("SHOP_OWNER")
    shop.open("/bulk")
    boxes = shop.page.locator(".pad tbody input:enabled")
    boxes.nth(0).fill("3")
    boxes.nth(1).fill("2")
    shop.page.click(".pad-foot .button")
    shop.page.wait_for_selector("text=5 units added")
    assert shop.page.inner_text("#basket-count").startswith("5")


def test_versions_that_no_trusted_document_foresaw_leave_a_page_that_stands(shop: Shop, served: Served) -> None:
    path = served.flags / "10-storefront.json"
    before = path.read_text()
    shop.open()
    shop.page.wait_for_selector("#announcement:not(:empty)")
    shop.page.wait_for_timeout(500)
    try:
        rewrite(path, lambda content: content["flags"]["component.navigation"].update(state="DISABLED"))
        shop.page.wait_for_selector("#navigation:empty", state="attached")
        assert shop.page.inner_text("main h1") == "Everyday care, chosen well"
        shop.open("/product/1128271")
        assert shop.page.inner_text("main h1") == "Toothpaste"
        shop.page.click(".buy button")
        shop.page.wait_for_selector(".said:not(:empty)")
    finally:
        path.write_text(before)
    shop.complaints.clear()  # the browser names the answers of 403 itself
