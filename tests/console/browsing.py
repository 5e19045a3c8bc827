"""The accessibility checker that runs in a browser's pages, and the address that opens the console in one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser.chromium import axe

ROOT = Path(__file__).parents[2]


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it stands: rules, and where they are broken."""
    page.evaluate(axe())
    found: dict[str, list[dict[str, Any]]] = page.evaluate("async () => await axe.run()")
    assert found["passes"], "axe has looked at nothing"
    return [f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in found["violations"]]


def ticketed(url: str, data_dir: Path, by: str) -> str:
    """The address that `gateway console` prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "console", "--url", url, "--by", by],
        cwd=ROOT,
        env={**environment, "GATEWAY_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()
