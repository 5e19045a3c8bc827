"""The live policy follows the registry while decisions go on; what is damaged is refused and the old policy stays."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from personalization.assembly import load_policy
from personalization.bandit.policy import Policy
from personalization.clock import SystemClock
from personalization.decision.conduct import AGREEING, Conduct
from personalization.decision.live_policy import LivePolicies, Load
from personalization.errors import InvalidModel
from personalization.events import DecisionMode
from personalization.registry import ModelRegistry, StoredModel
from tests.personalization.lessons import ACTIONS, context_of, snapshot_of
from tests.personalization.test_decisions import Setup


class Setting:
    """A registry with two sound models of `shelf`, and the policies that follow it."""

    def __init__(self, folder: Path, load: Load = load_policy, *, every: float = 60.0) -> None:
        self.folder = folder
        self.metrics = CollectorRegistry()
        self.registry = ModelRegistry(folder, SystemClock())
        self.live = LivePolicies.over(self.registry, load, self.metrics, every=every)
        for lessons in (200, 400):
            self.add(lessons)

    def add(self, lessons: int, name: str = "shelf", cut: int | None = None) -> int:
        """The version that is a model after so many lessons, with its last `cut` bytes missing."""
        snapshot = snapshot_of(lessons)
        model = snapshot.model[: None if cut is None else -cut]
        return self.registry.add(name, model, canaries=snapshot.canaries).version

    def swaps(self, result: str, model: str = "shelf") -> float:
        return self.metrics.get_sample_value("gateway_policy_swaps_total", {"model": model, "result": result}) or 0.0


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path / "registry")


async def test_nothing_live_is_no_policy(setting: Setting) -> None:
    await setting.live.start()
    assert (setting.live.shelf.current, setting.live.shelf.version, setting.live.shelf.graduated) == (None, None, False)
    await setting.live.aclose()
    await setting.live.aclose()


async def test_what_is_promoted_takes_over_and_listeners_are_told(setting: Setting) -> None:
    told: list[str] = []
    shelf = setting.live.shelf
    unsubscribe = shelf.subscribe(told.append)
    setting.registry.promote("shelf", 1, {})
    assert await shelf.refresh()
    assert not await shelf.refresh()
    setting.registry.promote("shelf", 2, {})
    assert await shelf.refresh()
    unsubscribe()
    unsubscribe()
    setting.registry.rollback("shelf", {})
    assert await shelf.refresh()
    assert (told, shelf.version) == (["shelf@1", "shelf@2"], "shelf@1")
    assert setting.swaps("swapped") == 3
    assert setting.metrics.get_sample_value("gateway_policy_version", {"model": "shelf"}) == 1


async def test_a_listener_that_fails_holds_nobody_up(setting: Setting) -> None:
    told: list[str] = []

    def fail(version: str) -> None:
        raise ZeroDivisionError(version)

    setting.live.shelf.subscribe(fail)
    setting.live.shelf.subscribe(told.append)
    setting.registry.promote("shelf", 1, {})
    assert await setting.live.shelf.refresh()
    assert told == ["shelf@1"]


async def test_the_registry_is_followed(tmp_path: Path) -> None:
    setting = Setting(tmp_path, every=0.005)
    setting.registry.promote("shelf", 1, {})
    await setting.live.start()
    assert setting.live.shelf.version == "shelf@1"
    swapped = asyncio.Event()
    setting.live.shelf.subscribe(lambda _version: swapped.set())
    setting.registry.promote("shelf", 2, {})
    async with asyncio.timeout(20):
        await swapped.wait()
    assert setting.live.shelf.version == "shelf@2"
    await setting.live.aclose()


async def test_each_placement_has_its_model(setting: Setting) -> None:
    setting.add(200, "component")
    setting.registry.promote("component", 1, {})
    await setting.live.start()
    assert setting.live.at("component:hero").version == "component@1"
    assert setting.live.at("HOME").version is None
    await setting.live.aclose()


@pytest.mark.parametrize("cut", [40, 700])
async def test_a_model_that_was_stored_cut_off_is_refused_by_its_canaries(setting: Setting, cut: int) -> None:
    """Its checksum fits, and VW loads it without a word."""
    setting.registry.promote("shelf", 1, {})
    await setting.live.shelf.refresh()
    damaged = setting.add(400, cut=cut)
    setting.registry.promote("shelf", damaged, {})
    assert not await setting.live.shelf.refresh()
    assert not await setting.live.shelf.refresh()
    assert (setting.live.shelf.version, setting.swaps("refused")) == ("shelf@1", 1)
    setting.registry.rollback("shelf", {})
    assert not await setting.live.shelf.refresh()
    setting.registry.promote("shelf", 2, {})
    assert await setting.live.shelf.refresh()


async def test_a_file_that_was_damaged_after_it_went_live_is_refused_by_its_checksum(setting: Setting) -> None:
    setting.registry.promote("shelf", 1, {})
    file = setting.folder / "shelf" / "versions" / "1" / "model.bin"
    file.write_bytes(file.read_bytes()[:-1])
    assert not await setting.live.shelf.refresh()
    assert (setting.live.shelf.current, setting.swaps("refused")) == (None, 1)


@pytest.mark.parametrize("error", [InvalidModel("not mine"), RuntimeError("from a library"), MemoryError()])
async def test_whatever_loading_raises_the_old_policy_goes_on(tmp_path: Path, error: Exception) -> None:
    def load(stored: StoredModel) -> Policy:
        if stored.manifest.version == 2:
            raise error
        return load_policy(stored)

    setting = Setting(tmp_path, load)
    setting.registry.promote("shelf", 1, {})
    assert await setting.live.shelf.refresh()
    setting.registry.promote("shelf", 2, {})
    assert not await setting.live.shelf.refresh()
    assert (setting.live.shelf.version, setting.swaps("refused")) == ("shelf@1", 1)


async def test_a_registry_that_is_away_is_looked_at_again(tmp_path: Path) -> None:
    setting = Setting(tmp_path / "registry")
    setting.registry.promote("shelf", 1, {})
    pointer = tmp_path / "registry" / "shelf" / "pointer.json"
    pointer.rename(tmp_path / "aside")
    pointer.mkdir()
    assert not await setting.live.shelf.refresh()
    assert setting.swaps("unavailable") == 1
    pointer.rmdir()
    (tmp_path / "aside").rename(pointer)
    assert await setting.live.shelf.refresh()


async def test_a_hundred_swaps_under_load_fail_no_decision(setting: Setting) -> None:
    setting.registry.promote("shelf", 1, {})
    await setting.live.shelf.refresh()
    setup = Setup(live=setting.live, capacity=1_000_000)
    expected = {
        f"shelf@{version}": load_policy(setting.registry.load("shelf", version)).distribution(context_of(1), ACTIONS)
        for version in (1, 2)
    }
    swapping = asyncio.create_task(swap(setting, 100))
    decided: Counter[str] = Counter()
    async with asyncio.timeout(120):
        while not swapping.done():
            for decision in [setup.service.decide(context_of(1), ACTIONS, subject="visitor:1") for _ in range(10)]:
                assert decision.mode is DecisionMode.ONLINE
                assert close(decision.distribution, expected[decision.policy])
                decided[decision.policy] += 1
            await asyncio.sleep(0.001)  # gives the interpreter to the thread that loads
        await swapping
    assert setting.swaps("swapped") == 101
    assert min(decided["shelf@1"], decided["shelf@2"]) > 100


def close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(abs(a - b) < 1e-12 for a, b in zip(one, other, strict=True))


async def swap(setting: Setting, times: int) -> None:
    for number in range(times):
        await asyncio.to_thread(setting.registry.promote, "shelf", 2 - number % 2, {})
        assert await setting.live.shelf.refresh()


async def test_an_apprentice_graduates_once_it_agrees_and_stays_so(setting: Setting) -> None:
    shelf = setting.live.shelf
    graduated = []
    for observations in (AGREEING - 1, 1):
        for _ in range(observations):
            shelf.observe_agreement(0.81)
        await shelf.refresh()
        graduated.append(shelf.graduated)
    assert graduated == [False, True]
    other = LivePolicies.over(setting.registry, load_policy, CollectorRegistry())
    await other.shelf.refresh()
    assert other.shelf.graduated


async def test_an_apprentice_that_only_agreed_long_ago_does_not_graduate(setting: Setting) -> None:
    shelf = setting.live.shelf
    for probability in [1.0] * AGREEING + [0.5] * 300:
        shelf.observe_agreement(probability)
    await shelf.refresh()
    assert not shelf.graduated


async def test_an_apprentice_without_any_model_is_left_alone(tmp_path: Path) -> None:
    live = LivePolicies.over(ModelRegistry(tmp_path / "registry", SystemClock()), load_policy, CollectorRegistry())
    for _ in range(AGREEING):
        live.component.observe_agreement(1.0)
    assert not await live.component.refresh()
    assert not live.component.graduated


async def test_apprentice_then_online_in_the_service(setting: Setting) -> None:
    """It serves the default until the model agrees, and then what the model draws."""
    setting.registry.promote("shelf", 2, {})
    await setting.live.shelf.refresh()
    setup = Setup(live=setting.live, conduct=Conduct(DecisionMode.APPRENTICE), capacity=10_000)
    number = next(each for each in range(60) if setting_likes(setting, each) > 0.8)
    context, default = context_of(number), favourite(setting, number)
    for _ in range(AGREEING):
        decision = setup.service.decide(context, ACTIONS, default_action=default)
        assert (decision.mode, decision.action, decision.probability) == (DecisionMode.APPRENTICE, default, 1.0)
        assert (decision.reason, decision.policy) == ("IMITATED", "default@1")
    await setting.live.shelf.refresh()
    decision = setup.service.decide(context, ACTIONS, default_action=default)
    assert (decision.mode, decision.policy) == (DecisionMode.ONLINE, "shelf@2")


def favourite(setting: Setting, number: int) -> str:
    assert setting.live.shelf.current is not None
    distribution = setting.live.shelf.current.distribution(context_of(number), ACTIONS)
    return ACTIONS[distribution.index(max(distribution))]


def setting_likes(setting: Setting, number: int) -> float:
    assert setting.live.shelf.current is not None
    return max(setting.live.shelf.current.distribution(context_of(number), ACTIONS))
