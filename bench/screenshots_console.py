"""Takes the console's pictures: a gateway of its own is visited by simulated shoppers for some minutes, then looked at.

python -m bench.screenshots_console [--minutes 4] [--out docs/pictures]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from playwright.sync_api import Browser

from bench.processes import answering, free_port
from bench.screenshots import FOLDER, in_few_colours
from tests.browser.chromium import browser

ROOT: Final = Path(__file__).parents[1]
SPEED: Final = 5.0
RATE: Final = 20
ROLES: Final = (None, "BUILDER", "CONSULTANT", "SHOP_OWNER", "DIRECT_CUSTOMER")
PAGE: Final = """
query ($context: Context) {
  categories { id name }
  components(page: "home", context: $context) { name version decision { id } exposure { id } }
}
"""
PICTURES: Final = (
    ("console-desktop", 1440, 1110, "light", "main"),
    ("console-dark", 1440, 1100, "dark", "policies"),
    ("console-phone", 390, 1300, "light", "main"),
)


def main() -> None:
    """Visit, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0, help="for how long shoppers visit")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the pictures")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        gateway = _Gateway(folder)
        gateway.run("segments", "define", "--k", "6", *_named("Regulars", "Newcomers", "Team leaders"))
        stack.enter_context(answering(gateway.serve(), gateway.port))
        shoppers = gateway.shoppers(asked.minutes)
        stack.callback(shoppers.kill)
        _visit(gateway, time.monotonic() + asked.minutes * 60)
        gateway.run("learn", "offline", "--days", "1", "--out", str(folder / "offline.html"))
        running = stack.enter_context(browser())
        for name, width, height, scheme, part in PICTURES:
            _take(running, gateway.address(), asked.out / f"{name}.png", (width, height), scheme, part)


class _Gateway:
    """A gateway over a folder of its own, and its commands."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "PYTHONPATH": str(ROOT),
            "GATEWAY_DATA_DIR": str(folder),
            "GATEWAY_JOIN_WINDOW_S": str(20 / SPEED),
            "GATEWAY_LOG_LEVEL": "WARNING",
        }

    def run(self, *arguments: str) -> str:
        """What a command prints."""
        command = [sys.executable, "-m", "gateway", *arguments]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, stdout=subprocess.PIPE, text=True, timeout=300, check=True
        )
        return done.stdout.strip()

    def serve(self) -> subprocess.Popen[bytes]:
        """The gateway; the caller ends it."""
        return self._begun("serve", "--port", str(self.port))

    def shoppers(self, minutes: float) -> subprocess.Popen[bytes]:
        """Shoppers who visit for so long; the caller ends them."""
        visits = str(int(minutes * 60 * RATE))
        speed = str(SPEED)
        return self._begun("simulate", "--url", self.url, "--decisions", visits, "--rate", str(RATE), "--speed", speed)

    def address(self) -> str:
        """What opens the console, once."""
        return self.run("console", "--url", self.url, "--by", "alice")

    def _begun(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gateway", *arguments]
        return subprocess.Popen(command, cwd=self._folder, env=self._environment, stdout=subprocess.DEVNULL)


def _visit(gateway: _Gateway, until: float) -> None:
    """Pages that ask for their components, and report what was seen of them."""
    chance = random.Random(5)
    tokens = [None if each is None else gateway.run("token", "--customer", "7", "--role", each) for each in ROLES]
    while time.monotonic() < until:
        token = chance.choice(tokens)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=gateway.url, headers=headers, timeout=10) as client:
            answer = client.post("/graphql", json={"query": PAGE, "variables": {"context": {}}})
            seen = [each["decision"]["id"] for each in answer.json()["data"]["components"] if each["decision"]]
            events = [{"type": "displayed", "decisionId": each} for each in seen]
            events += [{"type": "added_to_basket", "decisionId": each} for each in seen if chance.random() < 0.2]
            if events:
                client.post("/events", content=json.dumps(events), headers={"Content-Type": "text/plain"})
        time.sleep(chance.expovariate(4))


def _take(running: Browser, address: str, file: Path, size: tuple[int, int], scheme: str, part: str) -> None:
    context = running.new_context(viewport={"width": size[0], "height": size[1]})
    try:
        page = context.new_page()
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.goto(address)
        page.wait_for_selector(".tile", timeout=30_000)
        page.wait_for_timeout(5_000)
        page.evaluate(f"document.getElementById('{part}').scrollIntoView()")
        if part == "main":
            page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(500)
        file.write_bytes(in_few_colours(page.screenshot()))
    finally:
        context.close()
    sys.stdout.write(f"{file}\n")


def _named(*names: str) -> list[str]:
    return [word for name in names for word in ("--name", f"{name.lower().replace(' ', '-')}={name}")]


if __name__ == "__main__":
    main()
