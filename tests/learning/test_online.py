"""The online learner: everything once, in order, whatever is killed, damaged, poisoned or away."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from random import Random

import orjson
import pytest
from prometheus_client import CollectorRegistry

from personalization.assembly import load_policy
from personalization.bandit.lessons import Lesson, Refusal
from personalization.bandit.vw import VwLearner, _learn
from personalization.bandit.vw_examples import lesson_text
from personalization.bandit.vw_settings import VwSettings
from personalization.clock import SystemClock
from personalization.codec import encode_joined
from personalization.decision.live_policy import LivePolicies
from personalization.errors import HubUnavailable
from personalization.events import DecisionContext, JoinedDecision
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import JOINED, NewEvent
from personalization.ids import new_id
from personalization.learning.quarantine import MADE_SICK, UNREADABLE
from personalization.registry import COMPONENT_MODEL, SHELF_MODEL, ModelRegistry
from personalization.registry_records import ModelState
from tests.learning.learning import (
    QUICK,
    event_of,
    eventually,
    fill,
    learned,
    learner_over,
    memory_hub,
    quarantined,
    registry_in,
    running,
    sqlite_hub,
)
from tests.learning.lessons import ACTIONS, context_of, imitated_of, joined_many, joined_of

_ROOT = Path(__file__).parents[2]


def taught(rows: Sequence[JoinedDecision]) -> bytes:
    """The model of who learned these rows in order, without a break."""
    learner = VwLearner(VwSettings())
    for each in rows:
        assert learner.learn(each) is None
    return learner.model()


def newest(registry: ModelRegistry, name: str = SHELF_MODEL) -> bytes:
    return registry.load(name, registry.versions(name)[-1]).data


async def test_it_learns_in_order_and_stores_versions_with_lineage(tmp_path: Path) -> None:
    hub, registry = memory_hub(), registry_in(tmp_path)
    await fill(hub, joined_many(range(500)))
    async with running(learner_over(hub, registry)):
        first = await learned(registry, SHELF_MODEL, 500)
        await fill(hub, joined_many(range(500, 900)))
        last = await learned(registry, SHELF_MODEL, 900)
    assert first < last
    assert newest(registry) == taught(joined_many(range(900)))
    manifest = registry.manifest(SHELF_MODEL, last)
    assert manifest.parents == (f"shelf@{last - 1}",)
    assert manifest.data is not None
    assert (manifest.data.events, manifest.data.offsets) == (900, {"joined/0": 900})
    assert (manifest.data.first, manifest.data.last) == (joined_of(0).decision.at, joined_of(899).decision.at)
    assert manifest.metrics["weights"] > 20
    assert registry.versions(COMPONENT_MODEL) == ()


async def test_components_have_a_model_of_their_own(tmp_path: Path) -> None:
    hub, registry = memory_hub(partitions=4), registry_in(tmp_path)
    await fill(hub, [joined_of(each, "component:hero" if each % 2 else "HOME") for each in range(200)])
    async with running(learner_over(hub, registry)):
        await learned(registry, SHELF_MODEL, 100)
        await learned(registry, COMPONENT_MODEL, 100)


async def test_what_it_stores_is_live_and_policies_swap_to_it(tmp_path: Path) -> None:
    hub, registry = memory_hub(), registry_in(tmp_path)
    live = LivePolicies.over(registry, load_policy, CollectorRegistry())
    async with running(learner_over(hub, registry)):
        await fill(hub, joined_many(range(300)))
        version = await learned(registry, SHELF_MODEL, 300)
    assert await live.shelf.refresh()
    assert live.shelf.version == f"shelf@{version}"


async def test_when_it_is_not_to_publish_versions_are_candidates(tmp_path: Path) -> None:
    hub, registry = memory_hub(), registry_in(tmp_path)
    for last in (200, 400):
        await fill(hub, joined_many(range(last - 200, last)))
        async with running(learner_over(hub, registry, publish=False)):
            await learned(registry, SHELF_MODEL, last)
    assert {each.state for each in registry.listing(SHELF_MODEL)} == {ModelState.CANDIDATE}
    assert newest(registry) == taught(joined_many(range(400)))


async def test_restarts_go_on_and_nothing_new_stores_nothing(tmp_path: Path) -> None:
    hub, registry = memory_hub(), registry_in(tmp_path)
    for last in (150, 300, 450):
        await fill(hub, joined_many(range(last - 150, last)))
        async with running(learner_over(hub, registry)):
            await learned(registry, SHELF_MODEL, last)
    stored = registry.versions(SHELF_MODEL)
    async with running(learner_over(hub, registry)):
        await asyncio.sleep(0.2)
    assert registry.versions(SHELF_MODEL) == stored
    assert newest(registry) == taught(joined_many(range(450)))


async def test_killed_again_and_again_it_learns_everything_once(tmp_path: Path) -> None:
    rows, registry = joined_many(range(6_000)), registry_in(tmp_path)
    hub, chance = sqlite_hub(tmp_path), Random(1)
    await fill(hub, rows[:1_000])
    for life in range(5):
        command = [sys.executable, "-m", "tests.learning.learning", str(tmp_path)]
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=_ROOT)
        try:
            assert process.stdout is not None
            async with asyncio.timeout(60):
                assert await process.stdout.readline() == b"begun\n"
                await fill(hub, rows[1_000 * (life + 1) : 1_000 * (life + 2)])
                await learned(registry, SHELF_MODEL, 400 * (life + 1))
            await asyncio.sleep(chance.random() * 0.3)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
    async with running(learner_over(hub, registry)):
        version = await learned(registry, SHELF_MODEL, 6_000)
    await hub.aclose()
    data = registry.manifest(SHELF_MODEL, version).data
    assert data is not None
    assert data.events == 6_000
    assert newest(registry) == taught(rows)


POISON = {
    Refusal.INVALID_PROBABILITY: replace(joined_of(7).decision, id="zero", probability=0.0),
    Refusal.INVALID_DISTRIBUTION: replace(joined_of(7).decision, id="more", distribution=(0.25, 0.25, 0.25, 9.0)),
    Refusal.INVALID_FEATURE: replace(
        joined_of(7).decision, id="long", context=DecisionContext("HOME", category="x" * 300)
    ),
}


async def test_poison_goes_into_quarantine_and_leaves_no_trace(tmp_path: Path) -> None:
    hub, registry, metrics = memory_hub(), registry_in(tmp_path), CollectorRegistry()
    sound, sick = joined_many(range(300)), joined_of(999)
    poison = [replace(sick, decision=each) for each in POISON.values()]
    await fill(hub, sound[:150])
    events = [event_of(each) for each in poison]
    broken = NewEvent("broken", "broken", b"\x00 no JSON")
    far = NewEvent("far", "far", encode_joined(replace(sick, reward=7.0)))
    await hub.append(JOINED, [*events, broken, far])
    await hub.append(JOINED, [event_of(imitated_of(2_000)), event_of(replace(joined_of(2_001), displayed=False))])
    await fill(hub, sound[150:])
    async with running(learner_over(hub, registry, metrics)):
        await learned(registry, SHELF_MODEL, 301)
    reasons = {each.headers["reason"]: each for each in await quarantined(hub)}
    assert set(reasons) == {*(each.value for each in POISON), UNREADABLE, Refusal.INVALID_REWARD.value}
    assert reasons[UNREADABLE].value == broken.value
    assert reasons[UNREADABLE].headers["from"] == "joined/0/153"
    assert metrics.get_sample_value("gateway_learn_quarantined_total", {"reason": UNREADABLE}) == 1
    labels = {"model": SHELF_MODEL, "result": Refusal.NOT_DISPLAYED.value}
    assert metrics.get_sample_value("gateway_learn_events_total", labels) == 1
    assert newest(registry) == taught([*sound[:150], imitated_of(2_000), *sound[150:]])


@pytest.mark.parametrize("reward", [nan, inf, -1.0])
async def test_rewards_that_json_cannot_hold_are_poison_too(tmp_path: Path, reward: float) -> None:
    hub, registry = memory_hub(), registry_in(tmp_path)
    await fill(hub, [replace(joined_of(1), reward=reward), joined_of(2)])
    async with running(learner_over(hub, registry)):
        await learned(registry, SHELF_MODEL, 1)
    assert len(await quarantined(hub)) == 1


class Infected(VwLearner):
    """Learns an infinite cost, past all checks, wherever the number of a decision ends in 333."""

    def learn(self, joined: JoinedDecision) -> Refusal | None:
        refusal = super().learn(joined)
        if infectious(joined):
            _learn(self._workspace, lesson_text(Lesson(context_of(1), ACTIONS, 0, inf, 0.25)))
        return refusal


def infectious(joined: JoinedDecision) -> bool:
    return int(joined.decision.id[-12:], 16) % 1_000 == 333


async def test_a_sick_model_is_made_again_without_what_made_it_sick(tmp_path: Path) -> None:
    hub, registry, metrics = memory_hub(), registry_in(tmp_path), CollectorRegistry()
    rows = joined_many(range(1_500))
    await fill(hub, rows)
    async with running(learner_over(hub, registry, metrics, make=Infected)):
        await learned(registry, SHELF_MODEL, 1_498)
    assert [each.headers["reason"] for each in await quarantined(hub)] == [MADE_SICK] * 2
    assert newest(registry) == taught([each for each in rows if not infectious(each)])
    assert metrics.get_sample_value("gateway_learn_sick_total", {"model": SHELF_MODEL}) == 2


class Incurable(VwLearner):
    """Sick from its first lesson on."""

    def learn(self, joined: JoinedDecision) -> Refusal | None:
        super().learn(joined)
        _learn(self._workspace, lesson_text(Lesson(context_of(1), ACTIONS, 0, inf, 0.25)))
        return None


async def test_a_model_that_nothing_can_be_learned_with_stores_nothing(tmp_path: Path) -> None:
    hub, registry, metrics = memory_hub(), registry_in(tmp_path), CollectorRegistry()
    await fill(hub, joined_many(range(100)))
    async with running(learner_over(hub, registry, metrics, make=Incurable)):
        await eventually(
            lambda: metrics.get_sample_value("gateway_learn_quarantined_total", {"reason": MADE_SICK}) == 100
        )
    assert registry.versions(SHELF_MODEL) == ()
    assert len(await quarantined(hub)) == 100


@pytest.mark.parametrize("damaged", [1, 2, 99])
async def test_damaged_versions_are_passed_over_and_learned_again(tmp_path: Path, damaged: int) -> None:
    hub, registry = memory_hub(), registry_in(tmp_path)
    for last in (200, 400, 600):
        await fill(hub, joined_many(range(last - 200, last)))
        async with running(learner_over(hub, registry)):
            await learned(registry, SHELF_MODEL, last)
    for version in registry.versions(SHELF_MODEL)[-damaged:]:
        file = tmp_path / "registry" / SHELF_MODEL / "versions" / str(version) / "model.bin"
        file.write_bytes(file.read_bytes()[:-40])
    await fill(hub, joined_many(range(600, 700)))
    async with running(learner_over(hub, registry)):
        await learned(registry, SHELF_MODEL, 700)
    assert newest(registry) == taught(joined_many(range(700)))


async def test_a_lost_registry_is_learned_again_from_the_hub(tmp_path: Path) -> None:
    hub = memory_hub(partitions=4)
    await fill(hub, joined_many(range(300)))
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        async with running(learner_over(hub, registry_in(tmp_path / place))):
            await learned(registry_in(tmp_path / place), SHELF_MODEL, 300)


async def test_after_a_rollback_it_goes_on_from_what_is_live(tmp_path: Path) -> None:
    hub, registry = memory_hub(), registry_in(tmp_path)
    async with running(learner_over(hub, registry)):
        await fill(hub, joined_many(range(100)))
        good = await learned(registry, SHELF_MODEL, 100)
        await fill(hub, joined_many(range(100, 200)))
        bad = await learned(registry, SHELF_MODEL, 200)
        registry.rollback(SHELF_MODEL, {"because": "test"}, to=good)
        await fill(hub, joined_many(range(200, 300)))
        await eventually(lambda: registry.versions(SHELF_MODEL)[-1] > bad and newest_events(registry) == 200)
    assert newest(registry) == taught([*joined_many(range(100)), *joined_many(range(200, 300))])
    assert registry.pointer(SHELF_MODEL).live == registry.versions(SHELF_MODEL)[-1]


def newest_events(registry: ModelRegistry) -> int:
    data = registry.manifest(SHELF_MODEL, registry.versions(SHELF_MODEL)[-1]).data
    assert data is not None
    return data.events


async def test_it_waits_for_a_hub_that_is_away(tmp_path: Path) -> None:
    hub, registry, metrics = memory_hub(), registry_in(tmp_path), CollectorRegistry()
    await fill(hub, joined_many(range(100)))
    async with running(learner_over(hub, registry, metrics)):
        await learned(registry, SHELF_MODEL, 100)
        hub.fail("test")
        await eventually(lambda: bool(metrics.get_sample_value("gateway_learn_waits_total", {"what": "hub"})))
        hub.fail(None)
        await fill(hub, joined_many(range(100, 200)))
        await learned(registry, SHELF_MODEL, 200)
    assert newest(registry) == taught(joined_many(range(200)))


async def test_it_waits_for_a_registry_that_is_away(tmp_path: Path) -> None:
    hub, registry, metrics = memory_hub(), registry_in(tmp_path), CollectorRegistry()
    async with running(learner_over(hub, registry, metrics)):
        await asyncio.sleep(0.1)
        (tmp_path / "registry").write_bytes(b"no folder")
        await fill(hub, joined_many(range(100)))
        await eventually(lambda: bool(metrics.get_sample_value("gateway_learn_waits_total", {"what": "registry"})))
        (tmp_path / "registry").unlink()
        await learned(registry, SHELF_MODEL, 100)
    assert newest(registry) == taught(joined_many(range(100)))


async def test_a_hub_that_is_away_at_the_start_is_told(tmp_path: Path) -> None:
    hub = memory_hub()
    hub.fail("test")
    with pytest.raises(HubUnavailable):
        await learner_over(hub, registry_in(tmp_path)).run(asyncio.Event())


async def test_manifests_can_be_read_by_people(tmp_path: Path) -> None:
    hub, registry = memory_hub(), registry_in(tmp_path)
    await fill(hub, joined_many(range(50)))
    async with running(learner_over(hub, registry, pace=replace(QUICK, lessons=50))):
        version = await learned(registry, SHELF_MODEL, 50)
    manifest = orjson.loads((tmp_path / f"registry/shelf/versions/{version}/manifest.json").read_bytes())
    assert manifest["evidence"] == {"by": "gateway learn", "log": await hub.log_id()}
    assert manifest["metrics"]["lessons"] <= 50


async def test_the_command_learns_until_it_is_told_to_stop_and_one_at_a_time(tmp_path: Path) -> None:
    hub, registry = SqliteHub(HubFile(tmp_path / HUB_FILE, busy=30.0), SystemClock(), new_id), registry_in(tmp_path)
    await fill(hub, joined_many(range(300)))
    async with command(tmp_path) as first:
        await learned(registry, SHELF_MODEL, 300)
        async with command(tmp_path) as second:
            assert second.stderr is not None
            async with asyncio.timeout(60):
                while b"another_process_learns" not in await second.stderr.readline():
                    assert not second.stderr.at_eof()
            first.terminate()
            assert await asyncio.wait_for(first.wait(), 60) == 0
            await fill(hub, joined_many(range(300, 400)))
            await learned(registry, SHELF_MODEL, 400)
            second.terminate()
            assert await asyncio.wait_for(second.wait(), 60) == 0
    await hub.aclose()
    assert registry.pointer(SHELF_MODEL).live == registry.versions(SHELF_MODEL)[-1]


@asynccontextmanager
async def command(folder: Path) -> AsyncIterator[Process]:
    """`gateway learn` on this folder of data, killed at the end at the latest."""
    arguments = ["-m", "gateway", "learn", "--checkpoint", "0.1"]
    environment = {**os.environ, "GATEWAY_DATA_DIR": str(folder)}
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=PIPE, cwd=_ROOT, env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
