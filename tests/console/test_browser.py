"""The console in a real browser, over a gateway that decides, joins and learns: it shows what was done."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from personalization.clock import SystemClock
from personalization.hub.topics import JOINED, NewEvent
from personalization.registry import REGISTRY_FOLDER, ModelRegistry
from tests.browser.chromium import browser as running_browser
from tests.console.browsing import ticketed, violations
from tests.console.rows import hub_of
from tests.console.visiting import Visits
from tests.gateway.server import gateway_process

SOON_MS = 30_000
DESKTOP, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway of its own process that has been visited."""

    url: str
    data_dir: Path
    visits: Visits

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.data_dir / REGISTRY_FOLDER, SystemClock())

    def learned(self) -> int:
        """Decisions of shelves that the live version has learned from."""
        live = self.registry.pointer("shelf").live
        data = None if live is None else self.registry.manifest("shelf", live).data
        return 0 if data is None else data.events


@pytest.fixture(scope="module")
def served(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data_dir = tmp_path_factory.mktemp("console")
    (data_dir / catalogue.name).hardlink_to(catalogue)
    settings = {"learning": "true", "join_window_s": "1", "join_lateness_s": "0.2", "holdback": "0", "workers": "2"}
    with gateway_process(data_dir, **settings) as url:
        served = Served(url, data_dir, Visits(url, data_dir))
        for learned in (30, 60):
            served.visits.come(30)
            wait_for(lambda all_of_them=learned: served.learned() == all_of_them)  # type: ignore[misc]
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
    context.set_default_timeout(SOON_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, served: Served) -> Page:
    """The console, signed in by the address that the command prints, with everything drawn once."""
    page = context.new_page()
    page.goto(ticketed(served.url, served.data_dir, "alice"))
    expect(page.locator(".tile")).to_have_count(7, timeout=SOON_MS)
    assert page.url == f"{served.url}/console/"
    return page


def wait_for(holds: Callable[[], bool]) -> None:
    for _ in range(300):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to be within 30 seconds")


def card(page: Page, title: str) -> Locator:
    """The figure of this title."""
    return page.locator("figure.card", has=page.get_by_role("heading", name=title, exact=True))


def test_without_the_right_a_browser_is_told_how_to_get_it(context: BrowserContext, served: Served) -> None:
    page = context.new_page()
    answer = page.goto(f"{served.url}/console/")
    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_text("gateway console", exact=True)).to_be_visible()
    assert violations(page) == []
    page.goto("about:blank")
    page.goto(f"{served.url}/console/#forged")
    expect(page.get_by_role("alert")).to_contain_text("not one of this gateway's")
    page.get_by_label("Token").fill("no.to.ken")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("did not work")
    assert page.locator(".tile").count() == 0


def test_an_address_opens_the_console_once(browser: Browser, served: Served) -> None:
    address = ticketed(served.url, served.data_dir, "alice")
    first, second = browser.new_context(), browser.new_context()
    try:
        opened = first.new_page()
        opened.goto(address)
        expect(opened.locator(".tile")).to_have_count(7, timeout=SOON_MS)
        assert "#" not in opened.url
        late = second.new_page()
        late.goto(address)
        expect(late.get_by_role("alert")).to_contain_text("used already", timeout=SOON_MS)
        opened.get_by_role("button", name="Sign out").click()
        expect(opened.get_by_label("Token")).to_be_visible(timeout=SOON_MS)
    finally:
        first.close()
        second.close()


def test_charts_show_what_was_done(page: Page, served: Served) -> None:
    made = served.visits.rewards
    everything = sum(len(each) for each in made.values())
    decisions = card(page, "Decisions by persona")
    page.locator("select[name=placement]").select_option("HOME")
    expect(decisions.locator(".sentence")).to_have_text(f"{everything} decisions.", timeout=SOON_MS)
    rewards = card(page, "Mean reward by persona")
    for persona, earned in made.items():
        words = persona.lower().replace("_", " ")
        expect(decisions.locator(".key li", has_text=words)).to_have_text(f"{words}{len(earned)}")
        mean = sum(earned.values()) / len(earned)
        expect(rewards.locator(".key li", has_text=words)).to_have_text(f"{words}{mean:.2f} of {len(earned)}")
        assert decisions.locator(f'path.area[data-series="{persona}"]').count() == 1
    sample = page.evaluate("async () => (await (await fetch('/console/api/now')).json()).now")
    assert sample["requests"]["/events|202"] == everything, "both workers' requests are counted"
    requests = card(page, "Cache by field").locator('g[data-row="Product"] .piece')
    assert requests.count() > 0
    behind = card(page, "Events behind, by group")
    for group in ("join", "lake", "learn"):
        expect(behind.locator(f'g[data-series="{group}"]')).to_have_count(1)


def test_flags_show_who_decided(page: Page, served: Served) -> None:
    hero = card(page, "Who decided, by flag").locator('g[data-row="component.hero"]')
    expect(hero.locator('.piece[data-part="BANDIT"]')).to_have_count(1)
    navigation = card(page, "Who decided, by flag").locator('g[data-row="component.navigation"]')
    assert navigation.locator('.piece[data-part="BANDIT"]').count() == 0
    # A customer is exposed once, however often it comes; each visitor is a new one.
    subjects = len(served.visits.rewards["VISITOR"]) + len(served.visits.rewards) - 1
    expect(navigation).to_contain_text(f"{subjects} exposures")


def test_a_persona_is_picked_and_days_come_from_the_lake(page: Page, served: Served) -> None:
    decisions = card(page, "Decisions by persona")
    page.locator("select[name=persona]").select_option("BUILDER")
    page.locator("select[name=placement]").select_option("HOME")
    count = len(served.visits.rewards["BUILDER"])
    expect(decisions.locator(".sentence")).to_have_text(f"{count} decisions.", timeout=SOON_MS)
    assert decisions.locator("path.area").count() == 1
    page.get_by_label("24 hours").check()
    expect(decisions).to_have_attribute("data-from", "lake", timeout=SOON_MS)
    page.get_by_label("15 min").check()
    expect(decisions).to_have_attribute("data-from", "hub", timeout=SOON_MS)


def test_a_chart_is_read_by_keyboard(page: Page) -> None:
    stage = card(page, "Decisions by persona").locator(".stage")
    stage.focus()
    stage.press("ArrowLeft")
    stage.press("ArrowLeft")
    expect(stage.locator("[aria-live]")).to_contain_text("builder")
    expect(stage.locator(".tip")).to_be_visible()
    stage.press("Escape")
    expect(stage.locator(".tip")).to_be_hidden()
    numbers = card(page, "Decisions by persona").locator("details")
    numbers.locator("summary").press("Enter")
    expect(numbers.locator("tbody tr").first).to_be_visible()


def test_a_policy_is_rolled_back_from_the_page_and_decides(page: Page, served: Served) -> None:
    before = served.registry.pointer("shelf")
    assert before.live is not None
    live = card(page, "shelf: the live version")
    expect(live.locator(".sentence")).to_contain_text(f"shelf@{before.live} is live", timeout=SOON_MS)
    live.get_by_role("button", name="Roll shelf back…").click()
    dialog = page.get_by_role("dialog")
    target = before.live - 1
    assert violations(page) == []
    dialog.get_by_role("button", name=f"Make shelf@{target} live").click()  # without a reason nothing is done
    assert served.registry.pointer("shelf") == before
    dialog.get_by_label("Why").fill("baskets fell")
    dialog.get_by_role("button", name=f"Make shelf@{target} live").click()
    expect(page.locator("#toast")).to_have_text(f"shelf@{target} is live in place of shelf@{before.live}.")
    expect(live.locator(".sentence")).to_contain_text(f"shelf@{target} is live, rolled back")
    expect(live.locator(".sentence")).to_contain_text("by gateway console, alice: baskets fell")
    expect(live.locator("circle.ring")).to_have_count(1)
    assert served.registry.pointer("shelf").live == target
    wait_for(lambda: served.visits.policy() == f"shelf@{target}")


def test_poison_shows_in_quarantine_without_what_it_holds(page: Page, served: Served) -> None:
    async def poison() -> None:
        hub = hub_of(served.data_dir, SystemClock())
        await hub.append(JOINED, [NewEvent("poison", "customer:7", b'{"name": "Ann Example"}')])
        await hub.aclose()

    with ThreadPoolExecutor(1) as thread:  # the browser has an event loop running in this one
        thread.submit(asyncio.run, poison()).result(20)
    quarantine = card(page, "Quarantine")
    expect(quarantine.locator(".latest li")).to_have_count(1, timeout=SOON_MS)
    expect(quarantine).to_contain_text("UNREADABLE")
    assert "Ann" not in page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everybody_can_use_it(page: Page, scheme: str, size: dict[str, int]) -> None:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for each in page.locator("details summary").all()[:3]:
        each.click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_a_gateway_that_is_away_is_told_and_found_again(page: Page, context: BrowserContext) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text("cannot be asked", timeout=SOON_MS)
    context.set_offline(False)
    expect(page.locator("#banner")).to_be_hidden(timeout=SOON_MS)
    assert errors == []


def test_samples_become_rates_and_quantiles(page: Page) -> None:
    found = page.evaluate(
        """async () => {
          const { Samples, growth, quantile, sum } = await import("/console/files/samples.js");
          const { smoothed } = await import("/console/files/panels/decisions.js");
          const at = (second, count, buckets) => ({
            at: second * 1000, requests: { "/graphql|200": count, "/events|202": 1 },
            seconds: Object.fromEntries(buckets.map(([bound, much]) => [`/graphql|${bound}`, much])),
          });
          const buckets = (a, b, c) => [["0.01", a], ["0.1", b], ["+Inf", c]];
          const samples = new Samples();
          // Of 1020 to 1029 there is none; at 1040 the counter has begun anew.
          samples.add([at(1000, 10, []), at(1010, 30, []), at(1030, 70, []), at(1040, 5, [])]);
          const rate = samples.series(50, (a, b, s) => sum(growth(a, b, "requests")) / s);
          return {
            begin: rate.begin, values: rate.values,
            p50: quantile(at(0, 0, buckets(1, 1, 1)), at(1, 0, buckets(11, 21, 21)), "/graphql", 0.5),
            p75: quantile(at(0, 0, buckets(1, 1, 1)), at(1, 0, buckets(11, 21, 21)), null, 0.75),
            beyond: quantile(at(0, 0, []), at(1, 0, buckets(0, 0, 4)), "/graphql", 0.9),
            none: quantile(at(0, 0, buckets(1, 1, 1)), at(1, 0, buckets(1, 1, 1)), "/graphql", 0.5),
            before: samples.before(15).at,
            smooth: smoothed({ displayed: [1, 0, 1, 2], rewards: [3, 0, 1, 2] }),
          };
        }"""
    )
    assert (found["begin"], found["values"]) == (1000, [None, 2.0, 2.0, 2.0, 0.5])
    # Half of the 20 took at most 0.01 s; of the others, spread evenly up to 0.1 s, half of that.
    assert found["p50"] == pytest.approx(0.01)
    assert found["p75"] == pytest.approx(0.055)
    assert (found["beyond"], found["none"]) == (0.1, None)
    assert found["before"] == 1010 * 1000
    assert found["smooth"] == [3, None, 2, 1.5]


def test_what_comes_from_data_is_never_markup(browser: Browser, served: Served) -> None:
    registry = served.registry
    other = next(each for each in registry.versions("shelf") if each != registry.pointer("shelf").live)
    registry.rollback("shelf", {"because": "<img src=x onerror=document.title='hacked'>", "by": "<b>bo</b>"}, to=other)
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(ticketed(served.url, served.data_dir, "alice"))
        sentence = card(page, "shelf: the live version").locator(".sentence")
        expect(sentence).to_contain_text("by <b>bo</b>: <img src=x", timeout=SOON_MS)
        assert page.locator("main img").count() == 0
        assert "Console" in page.title()
    finally:
        context.close()
