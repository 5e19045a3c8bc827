"""Models from the registry to the page: followed while the gateway runs, held back from some, switched off for all."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from personalization.clock import SystemClock
from personalization.hub.topics import DECISIONS
from personalization.registry import REGISTRY_FOLDER, ModelRegistry
from tests.gateway.client import GatewayClient
from tests.gateway.conftest import Open
from tests.personalization.lessons import snapshot_of

SHELF = """
query ($context: Context) {
  recommendations(placement: HOME, first: 2, context: $context) {
    decision { id action probability policy mode reason }
    products { id }
  }
}
"""
ROOT = Path(__file__).parents[2]


def registry_of(client: GatewayClient) -> ModelRegistry:
    return ModelRegistry(client.settings.data_dir / REGISTRY_FOLDER, SystemClock())


def add(client: GatewayClient, name: str = "shelf", lessons: int = 400) -> int:
    snapshot = snapshot_of(lessons)
    return registry_of(client).add(name, snapshot.model, canaries=snapshot.canaries).version


async def decision(client: GatewayClient) -> dict[str, Any]:
    answer = await client.ask(SHELF, {"context": {"persona": "VISITOR", "region": "US-NE"}})
    assert len(answer["data"]["recommendations"]["products"]) == 2
    found: dict[str, Any] = answer["data"]["recommendations"]["decision"]
    return found


async def decided_by(client: GatewayClient, policy: str) -> dict[str, Any]:
    """The first decision that this policy makes."""
    async with asyncio.timeout(30):
        while True:
            found = await decision(client)
            if found["policy"] == policy:
                return found
            await asyncio.sleep(0.05)


async def test_a_running_gateway_follows_promotions_and_rollbacks(open_gateway: Open) -> None:
    async with open_gateway(holdback=0.0) as client:
        assert (await decision(client))["mode"] == "LOG_ONLY"
        registry = registry_of(client)
        for _ in range(2):
            registry.promote("shelf", add(client), {"why": "a test"})
        found = await decided_by(client, "shelf@2")
        assert (found["mode"], found["reason"]) == ("ONLINE", "DRAWN")
        assert found["probability"] >= 0.0125
        registry.rollback("shelf", {"why": "a test"})
        rolled_back = await decided_by(client, "shelf@1")
        await client.http.get("/live")
    logged = {each["id"]: each for each in await client.events(DECISIONS)}
    assert logged[found["id"]]["policy"] == "shelf@2"
    assert logged[rolled_back["id"]]["policy"] == "shelf@1"


async def test_who_is_held_back_gets_the_default(open_gateway: Open) -> None:
    async with open_gateway(holdback=1.0) as client:
        registry_of(client).promote("shelf", add(client), {})
        found = await decided_by(client, "default@1")
    assert (found["mode"], found["reason"], found["action"]) == ("ONLINE", "HOLDBACK", "bestsellers")
    assert found["probability"] == 1.0


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("log_only", ("LOG_ONLY", "DRAWN", "uniform@1")),
        ("apprentice", ("APPRENTICE", "IMITATED", "default@1")),
        ("fallback", ("FALLBACK", "SWITCHED_OFF", "default@1")),
    ],
)
async def test_an_operator_says_how_far_decisions_go(
    open_gateway: Open, mode: str, expected: tuple[str, str, str]
) -> None:
    async with open_gateway(policy_mode=mode) as client:
        registry_of(client).promote("shelf", add(client), {})
        found = await decision(client)
    assert (found["mode"], found["reason"], found["policy"]) == expected


def hero_folder(tmp_path: Path, **metadata: object) -> Path:
    """A folder of definitions with a personalized hero."""
    folder = tmp_path / "flags"
    folder.mkdir()
    about = {"personalized": True, "component": "hero", **metadata}
    flag = {"state": "ENABLED", "variants": {"v1": "v1", "v2": "v2"}, "defaultVariant": "v1", "metadata": about}
    (folder / "flags.json").write_text(json.dumps({"flags": {"component.hero": flag}}))
    return folder


async def test_components_are_decided_by_their_own_model(open_gateway: Open, tmp_path: Path) -> None:
    folder = hero_folder(tmp_path, floor=0.05)
    query = '{ components(names: ["hero"], context: {}) { version decision { policy mode } } }'
    async with open_gateway(flags_dir=folder) as client:
        registry_of(client).promote("component", add(client, "component"), {})
        async with asyncio.timeout(30):
            while True:
                client.http.cookies.clear()
                (hero,) = (await client.ask(query))["data"]["components"]
                if hero["decision"]["policy"] == "component@1":
                    break
                await asyncio.sleep(0.05)
    assert hero["decision"]["mode"] == "ONLINE"


async def test_who_is_held_back_on_a_component_can_report_what_came_of_it(open_gateway: Open, tmp_path: Path) -> None:
    query = '{ components(names: ["hero"], context: {}) { version reason decision { id action probability reason } } }'
    async with open_gateway(flags_dir=hero_folder(tmp_path, holdback=1)) as client:
        (hero,) = (await client.ask(query))["data"]["components"]
        (again,) = (await client.ask(query))["data"]["components"]
        events = [{"type": "added_to_basket", "decisionId": hero["decision"]["id"]}]
        assert (await client.http.post("/events", json=events)).json()["accepted"] == 1
        await client.http.get("/live")
    decision = hero["decision"]
    assert (hero["version"], hero["reason"], decision["reason"]) == ("v1", "HOLDBACK", "HOLDBACK")
    assert (decision["action"], decision["probability"]) == ("v1", 1.0)
    assert again == hero
    assert [each["id"] for each in await client.events(DECISIONS)] == [decision["id"]]


async def test_a_gateway_without_a_model_loads_no_learner_library() -> None:
    code = (
        "import gateway.app, personalization.assembly, sys;"
        "sys.exit(bool({'vowpalwabbit', 'catboost', 'sklearn'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT)
    async with asyncio.timeout(60):
        assert await process.wait() == 0
