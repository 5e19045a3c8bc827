"""How fast the shop's home page is in a browser, and whether anything on it moves: `python -m bench.page`.

Times are from the navigation's start, with an empty cache each time: the first paint, all that is above the shelf, the
shelf. The ratios are to the same browser's load of a page of one line from the same server.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser

from resolvers.sources.embedded_build import prepare_store
from tests.browser.chromium import browser, visiting
from tests.gateway.server import gateway_process

ROUNDS = 15
WATCH = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) window.shifted += each.value;
}).observe({ type: "layout-shift", buffered: true });
"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
SHOWN = "performance.getEntriesByName('shown')[0].startTime"
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


@dataclass(frozen=True, slots=True)
class Load:
    """One load: milliseconds to each stage, and the sum of layout shifts."""

    paint: float
    shown: float
    shelf: float
    shifted: float


def load(running: Browser, url: str, *, phone: bool) -> Load:
    """A new visitor's first page."""
    with visiting(running, url, phone=phone, init=WATCH) as shop:
        shop.open()
        shop.shelved()
        shelf = float(shop.page.evaluate("performance.now()"))
        shop.page.wait_for_timeout(400)
        paint, shown, shifted = (shop.page.evaluate(each) for each in (PAINT, SHOWN, "window.shifted"))
        return Load(float(paint), float(shown), shelf, float(shifted))


def bare(running: Browser, url: str) -> float:
    """Milliseconds that a page of one line takes."""
    context = running.new_context()
    try:
        page = context.new_page()
        page.goto(f"{url}/live", wait_until="load")
        return float(page.evaluate(LOADED))
    finally:
        context.close()


def main() -> None:
    """Print what was measured."""
    with TemporaryDirectory() as data:
        prepare_store(Path(data))
        with gateway_process(Path(data)) as url, browser() as running:
            load(running, url, phone=False)
            unit = median(bare(running, url) for _ in range(ROUNDS))
            print(f"a page of one line: {unit:.0f} ms")
            for phone in (False, True):
                loads = [load(running, url, phone=phone) for _ in range(ROUNDS)]
                print("phone" if phone else "desktop")
                for stage in ("paint", "shown", "shelf"):
                    took = median(getattr(each, stage) for each in loads)
                    print(f"  {stage:<6} {took:5.0f} ms, {took / unit:4.1f} times a page of one line")
                print(f"  layout shift, the worst of {ROUNDS}: {max(each.shifted for each in loads):.4f}")


if __name__ == "__main__":
    main()
