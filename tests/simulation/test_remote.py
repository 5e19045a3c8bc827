"""Shoppers against a running gateway, with its join and its learner: what it serves moves towards what they like."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.processes import free_port
from personalization.clock import SystemClock
from personalization.errors import StorefrontFailed
from personalization.events import HOLDBACK, OutcomeKind
from personalization.registry import REGISTRY_FOLDER, SHELF_MODEL, ModelRegistry
from personalization.simulation.preferences import ACTIONS, CATEGORIES
from personalization.simulation.remote import MOST_FAILURES, RemoteSimulation, Traffic
from personalization.simulation.shoppers import Shopping
from personalization.simulation.storefront import Shown
from tests.gateway.server import ROOT, gateway_process

SHORT = {"join_window_s": "1.5", "join_lateness_s": "0.5", "events_per_minute": "6000"}
BRISK = Traffic(seed=1, decisions=60, rate=500.0, speed=100.0)


def simulate(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["-m", "gateway", "simulate", "--url", url, "--out", str(folder / "run.html"), *arguments]
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "GATEWAY_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_running_gateway_learns_from_shoppers(tmp_path: Path) -> None:
    with gateway_process(tmp_path, learning="true", **SHORT) as url:
        ran = simulate(tmp_path, url, "--decisions", "1000", "--rate", "60", "--speed", "12")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.search(r"closed -?\d\.\d\d of the gap", ran.stdout)
    assert "<svg" in (tmp_path / "run.html").read_text()
    registry = ModelRegistry(tmp_path / REGISTRY_FOLDER, SystemClock())
    live = registry.pointer(SHELF_MODEL).live
    assert live is not None
    data = registry.manifest(SHELF_MODEL, live).data
    assert data is not None
    assert data.events > 200
    assert any(each.manifest.metrics["mean_reward"] > 0 for each in registry.listing(SHELF_MODEL))


def test_a_gateway_that_is_not_there_is_told(tmp_path: Path) -> None:
    ran = simulate(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert ran.returncode == 1
    assert "does not answer" in ran.stderr
    ran = simulate(tmp_path, "ftp://here")
    assert ran.returncode == 1
    assert "is no address of a gateway" in ran.stderr


class Window:
    """A storefront in this process: it shows actions in turn, and hears what is reported."""

    def __init__(self, *, categories: int = 5, failing: bool = False, held_back: bool = False) -> None:
        self.reported: list[tuple[str, OutcomeKind]] = []
        self.visits: list[tuple[Shopping, str]] = []
        self._categories = categories
        self._failing = failing
        self._reason = HOLDBACK if held_back else "DRAWN"

    async def categories(self) -> Sequence[str]:
        return [f"id-{number}" for number in range(self._categories)]

    async def visit(self, shopping: Shopping, category: str) -> Shown:
        await asyncio.sleep(0)
        if self._failing:
            raise StorefrontFailed("closed")
        self.visits.append((shopping, category))
        number = len(self.visits)
        return Shown(f"d{number}", ACTIONS[number % 4], "window@1", "ONLINE", self._reason)

    async def report(self, shopping: Shopping, decision_id: str, kind: OutcomeKind) -> None:
        self.reported.append((decision_id, kind))


async def test_every_visit_is_made_and_all_that_follows_is_reported_in_order() -> None:
    window = Window()
    simulation = RemoteSimulation(BRISK, window)
    told: list[int] = []
    record = await simulation.run(lambda made, _: told.append(made))
    assert len(record) == len(window.visits) == told[-1] == 60
    assert simulation.policy == "window@1"
    known = dict(zip(CATEGORIES, await window.categories(), strict=False))
    assert all(known[shopping.context.category or ""] == category for shopping, category in window.visits)
    order = (OutcomeKind.DISPLAYED, OutcomeKind.DETAIL_DISPLAYED, OutcomeKind.ADDED_TO_BASKET)
    for number in range(1, 61):
        kinds = tuple(kind for decision, kind in window.reported if decision == f"d{number}")
        assert kinds == order[: len(kinds)]
        assert kinds
    assert len({kind for _, kind in window.reported}) == 3


async def test_a_gateway_that_holds_everyone_back_is_told() -> None:
    simulation = RemoteSimulation(BRISK, Window(held_back=True))
    told: list[int] = []
    with pytest.raises(StorefrontFailed, match="GATEWAY_HOLDBACK has to be below 1"):
        await simulation.run(lambda made, _: told.append(made))
    assert told == []
    assert len(simulation.record) == 0


async def test_a_gateway_that_fails_all_the_time_ends_it() -> None:
    simulation = RemoteSimulation(BRISK, Window(failing=True))
    with pytest.raises(StorefrontFailed, match=f"more than {MOST_FAILURES}"):
        await simulation.run()
    few = RemoteSimulation(Traffic(decisions=10, rate=500.0, speed=100.0), Window(failing=True))
    with pytest.raises(StorefrontFailed, match="of 10 visits none got a decision: 10 failed"):
        await few.run()
    assert few.failures == 10


async def test_a_shop_with_too_few_categories_is_told() -> None:
    with pytest.raises(StorefrontFailed, match="3 categories"):
        await RemoteSimulation(BRISK, Window(categories=3)).run()
