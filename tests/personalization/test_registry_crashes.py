"""A process that dies between any two steps leaves the old state or the new one, and the next one goes on."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from personalization.clock import ManualClock, SystemClock
from personalization.registry import ModelRegistry
from personalization.registry_files import DiskFiles
from tests.personalization.hub_suite import START
from tests.personalization.test_hub_processes import kill, lines, running
from tests.personalization.test_registry import CANARY, registry_with

_KILLS = 12


class Died(BaseException):
    """The process is gone; nothing in it runs any more."""


class MortalFiles:
    """The disk, until so many steps are done; then the process dies before a step, or with a write half done."""

    def __init__(self, steps: int, *, torn: bool) -> None:
        self._disk = DiskFiles()
        self._left = steps
        self._torn = torn

    def make(self, folder: Path) -> None:
        self._step()
        self._disk.make(folder)

    def write(self, file: Path, data: bytes) -> None:
        if self._torn and self._left == 0:
            self._disk.write(file, data[: len(data) // 2])
        self._step()
        self._disk.write(file, data)

    def move(self, source: Path, target: Path) -> None:
        self._step()
        self._disk.move(source, target)

    def remove(self, folder: Path) -> None:
        if self._torn and self._left == 0 and folder.is_dir():
            (folder / "manifest.json").unlink(missing_ok=True)
        self._step()
        self._disk.remove(folder)

    def _step(self) -> None:
        if self._left == 0:
            raise Died
        self._left -= 1


def add(registry: ModelRegistry) -> None:
    registry.add("shelf", b"model 6", canaries=[CANARY])


def promote(registry: ModelRegistry) -> None:
    registry.promote("shelf", 5, {"why": "better"})


def roll_back(registry: ModelRegistry) -> None:
    registry.rollback("shelf", {"why": "worse"})


def graduate(registry: ModelRegistry) -> None:
    registry.graduate("shelf")


def prune(registry: ModelRegistry) -> None:
    registry.prune("shelf", 1)


def state(registry: ModelRegistry) -> tuple[object, ...]:
    """All that can be seen; every version is read whole."""
    listed = registry.listing("shelf")
    for each in listed:
        registry.load("shelf", each.manifest.version)
    return registry.pointer("shelf"), listed


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("change", [add, promote, roll_back, graduate])
def test_dying_between_any_two_steps_leaves_the_old_state_or_the_new(
    tmp_path: Path, change: Callable[[ModelRegistry], None], torn: bool
) -> None:
    before, after = both_states(tmp_path, change)
    seen: set[str] = set()
    for steps in range(100):
        folder = shutil.copytree(tmp_path / "before", tmp_path / f"died-{steps}")
        if survives(folder, change, steps, torn):
            assert state(ModelRegistry(folder, ManualClock(START))) == after
            assert steps > 5
            assert seen >= {repr(before)}
            return
        found = state(ModelRegistry(folder, ManualClock(START)))
        assert found in (before, after)
        seen.add(repr(found))
        if found == before:
            change(ModelRegistry(folder, ManualClock(START)))
            assert state(ModelRegistry(folder, ManualClock(START))) == after
    pytest.fail("the change never came to its end")


@pytest.mark.parametrize("torn", [False, True])
def test_pruning_that_died_is_finished_by_the_next(tmp_path: Path, torn: bool) -> None:
    _, after = both_states(tmp_path, prune)
    for steps in range(100):
        folder = shutil.copytree(tmp_path / "before", tmp_path / f"died-{steps}")
        done = survives(folder, prune, steps, torn)
        pointer, listed = state(ModelRegistry(folder, ManualClock(START)))
        assert pointer == after[0]
        assert {3, 4, 5} <= {each.manifest.version for each in listed}  # type: ignore[attr-defined]
        prune(ModelRegistry(folder, ManualClock(START)))
        assert state(ModelRegistry(folder, ManualClock(START))) == after
        assert sorted(each.name for each in (folder / "shelf").iterdir()) == [
            "lock",
            "pointer.json",
            "promotions",
            "versions",
        ]
        if done:
            return
    pytest.fail("pruning never came to its end")


def both_states(folder: Path, change: Callable[[ModelRegistry], None]) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Five versions of which three were promoted, in `before`; its state, and the one after the change."""
    registry = registry_with(folder / "before", 5)
    for version in (1, 3, 4):
        registry.promote("shelf", version, {"number": version})
    changed = ModelRegistry(shutil.copytree(folder / "before", folder / "after"), ManualClock(START))
    change(changed)
    return state(registry), state(changed)


def survives(folder: Path, change: Callable[[ModelRegistry], None], steps: int, torn: bool) -> bool:
    try:
        change(ModelRegistry(folder, ManualClock(START), MortalFiles(steps, torn=torn)))
    except Died:
        return False
    return True


async def test_processes_that_are_killed_at_random_lose_nothing_acknowledged(tmp_path: Path) -> None:
    random, registry = Random(5), ModelRegistry(tmp_path, SystemClock())
    acknowledged: list[str] = []
    async with running("promoting", str(tmp_path), "0") as steady:
        for seed in range(1, _KILLS + 1):
            async with running("promoting", str(tmp_path), str(seed)) as victim:
                acknowledged += await lines(victim, 1)
                await asyncio.sleep(random.random() * 0.1)
                acknowledged += await kill(victim)
            check(registry, acknowledged)
            acknowledged += await lines(steady, 1)
        acknowledged += await kill(steady)
    check(registry, acknowledged)
    added = [int(line.removeprefix("added ")) for line in acknowledged if line.startswith("added")]
    assert len(added) == len(set(added)) > _KILLS


def check(registry: ModelRegistry, acknowledged: list[str]) -> None:
    """The live version is whole, and no revision or version that was acknowledged is forgotten."""
    revisions = [int(line.removeprefix("revision ")) for line in acknowledged if line.startswith("revision")]
    versions = [int(line.removeprefix("added ")) for line in acknowledged if line.startswith("added")]
    pointer = registry.pointer("shelf")
    assert pointer.revision >= max(revisions, default=0)
    assert max(registry.versions("shelf")) >= max(versions)
    registry.listing("shelf")
    if pointer.live is not None:
        registry.load("shelf", pointer.live)
