"""A gateway that serves, joins and learns: what a page reports is in the policy that decides next."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.join_rules import join_rules
from gateway.loop import lake_root
from gateway.settings import Settings
from personalization.clock import SystemClock
from personalization.codec import decode_joined
from personalization.events import JoinedDecision
from personalization.hub.lookup import HubLookup
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import JOINED
from personalization.ids import new_id
from personalization.join.offline import JoinSpan, join_offline
from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.layout import Lake
from personalization.lake.reader import LakeReader
from personalization.registry import COMPONENT_MODEL, REGISTRY_FOLDER, ModelRegistry
from tests.gateway.server import gateway_process
from tests.lake.filling import writer

PATIENCE_S = 60.0
SHELF = "{ recommendations(placement: HOME, first: 1, context: {}) { decision { id policy } } }"
HERO = '{ components(names: ["hero"], context: {}) { decision { id policy } } }'
WORTH = {"reward.display_s": 1.5, "reward.display_value": 0.75, "reward.window_s": 2}


def write_flags(folder: Path, **metadata: object) -> None:
    folder.mkdir(exist_ok=True)
    about = {"component": "hero", "personalized": True, **WORTH, **metadata}
    hero = {"state": "ENABLED", "variants": {"v1": "v1", "v2": "v2"}, "defaultVariant": "v1", "metadata": about}
    (folder / "flags.json").write_text(json.dumps({"flags": {"component.hero": hero}}))


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    write_flags(data_dir / "flags")
    members = {"flags_dir": data_dir / "flags", "join_window_s": 1, "join_lateness_s": 0.5, "holdback": 0}
    return Settings.model_validate({"data_dir": data_dir, **members})


@contextmanager
def serving(settings: Settings) -> Iterator[httpx.Client]:
    """A page's way to a gateway that serves, joins and learns."""
    names = ("flags_dir", "join_window_s", "join_lateness_s", "holdback")
    chosen = {name: str(getattr(settings, name)) for name in names}
    with gateway_process(settings.data_dir, learning="true", **chosen) as url, httpx.Client(base_url=url) as client:
        yield client


def decision(page: httpx.Client, query: str) -> dict[str, str]:
    """The decision that a new visitor is given."""
    page.cookies.clear()
    data: dict[str, Any] = page.post("/graphql", json={"query": query}).json()["data"]
    found: dict[str, str] = (data.get("recommendations") or data["components"][0])["decision"]
    return found


def report(page: httpx.Client, decision_id: str, kind: str, **members: object) -> None:
    answer = page.post("/events", json=[{"type": kind, "decisionId": decision_id, **members}])
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


def version_of(policy: str) -> int:
    """Of a model; 0 of what decides before there is one."""
    name, _, version = policy.partition("@")
    return int(version) if name in {"shelf", "component"} else 0


def served(page: httpx.Client, query: str, least: int) -> str:
    """The policy that decides once one of at least this version does."""
    until = time.monotonic() + PATIENCE_S
    while version_of(policy := decision(page, query)["policy"]) < least:
        assert time.monotonic() < until, f"it is still {policy}"
        time.sleep(0.05)
    return policy


def test_an_outcome_leads_to_a_newer_policy(settings: Settings) -> None:
    with serving(settings) as page:
        first = decision(page, SHELF)
        assert first["policy"] == "uniform@1"
        report(page, first["id"], "added_to_basket")
        learned = version_of(served(page, SHELF, 1))
        report(page, decision(page, SHELF)["id"], "detail_displayed")
        assert version_of(served(page, SHELF, learned + 1)) > learned


def until_learned(page: httpx.Client, registry: ModelRegistry, events: int) -> int:
    """The version that has learned so much, once it decides."""
    until = time.monotonic() + PATIENCE_S
    version = 1
    while True:
        version = version_of(served(page, HERO, version))
        data = registry.manifest(COMPONENT_MODEL, version).data
        if data is not None and data.events >= events:
            return version
        assert time.monotonic() < until, f"component@{version} has learned from {data}"
        version += 1


async def test_display_time_that_a_page_reports_is_joined_with_its_reward_and_learned(settings: Settings) -> None:
    registry = ModelRegistry(settings.data_dir / REGISTRY_FOLDER, SystemClock())
    hub = HubLookup(settings.data_dir / HUB_FILE)
    with serving(settings) as page:
        looks = {decision(page, HERO)["id"]: seconds for seconds in (1.75, 1.5, 0.25)}
        for decision_id, seconds in looks.items():
            report(page, decision_id, "displayed", durationS=seconds, id="look")
        until_learned(page, registry, 3)
        rows = {key: row(hub, key) for key in looks}
        assert [each.reward for each in rows.values()] == [0.75, 0.75, 0.0]
        assert [each.outcomes[0].duration_s for each in rows.values()] == [1.75, 1.5, 0.25]
        means = [each.manifest.metrics["mean_reward"] for each in registry.listing(COMPONENT_MODEL)]
        assert max(means) > 0
        write_flags(settings.data_dir / "flags", **{"reward.display_value": 2})
        assert worth_of_a_look(page, hub) == 2.0
    write_flags(settings.data_dir / "flags")
    assert await offline(settings, rows) == rows


def row(hub: HubLookup, decision_id: str) -> JoinedDecision:
    value = hub.value(JOINED, decision_id)
    assert value is not None
    return decode_joined(value)


async def offline(settings: Settings, rows: dict[str, JoinedDecision]) -> dict[str, JoinedDecision]:
    """The same decisions, joined from the lake by the same settings."""
    lake, hub = Lake(lake_root(settings)), SqliteHub(HubFile(settings.data_dir / HUB_FILE), SystemClock(), new_id)
    await writer(hub, lake).run_once()
    await hub.aclose()
    last = max(each.joined_at for each in rows.values())
    with DuckDbRunner() as runner:
        join_offline(lake, runner, new_id(), join_rules(settings), JoinSpan(last, last - timedelta(days=1), last))
    return {each.decision.id: each for each in LakeReader(lake.root).joined() if each.decision.id in rows}


def worth_of_a_look(page: httpx.Client, hub: HubLookup) -> float:
    """The reward of a long look, once it is another than it was: the join follows the flag by itself."""
    until = time.monotonic() + PATIENCE_S
    while True:
        decision_id = decision(page, HERO)["id"]
        report(page, decision_id, "displayed", durationS=1.75)
        while hub.value(JOINED, decision_id) is None:
            assert time.monotonic() < until, "it was never joined"
            time.sleep(0.05)
        reward = row(hub, decision_id).reward
        if reward != WORTH["reward.display_value"]:
            return reward
        assert time.monotonic() < until, "the join never followed"
