"""Flags follow their folder: whole sets, the last good one kept, and no evaluation that waits."""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from flags.errors import DefinitionsUnreadable
from flags.evaluation import FlagSet
from flags.live import Flags
from flags.subject import Subject
from tests.flags.conftest import OpenFlags
from tests.flags.writing import flag, write

PATIENCE = 10.0


async def _next_set(flags: Flags) -> FlagSet:
    """The next set that comes into use."""
    came: asyncio.Future[FlagSet] = asyncio.get_running_loop().create_future()

    def take(fresh: FlagSet) -> None:
        if not came.done():
            came.set_result(fresh)

    unsubscribe = flags.subscribe(take)
    try:
        return await asyncio.wait_for(came, PATIENCE)
    finally:
        unsubscribe()


def _count(registry: CollectorRegistry, result: str) -> float:
    return registry.get_sample_value("gateway_flag_reloads_total", {"result": result}) or 0.0


async def test_a_change_comes_into_use(tmp_path: Path, open_flags: OpenFlags) -> None:
    write(tmp_path, {"a": flag()})
    flags = await open_flags(tmp_path)
    before = flags.snapshot
    waiting = asyncio.create_task(_next_set(flags))
    await asyncio.sleep(0)
    write(tmp_path, {"a": flag(defaultVariant="v2")})
    after = await waiting
    assert flags.snapshot is after
    assert before.evaluate("a", Subject()).variant == "v1"
    assert after.evaluate("a", Subject()).variant == "v2"


async def test_new_and_deleted_files_come_into_use(tmp_path: Path, open_flags: OpenFlags) -> None:
    write(tmp_path, {"a": flag()}, "a.json")
    flags = await open_flags(tmp_path)
    waiting = asyncio.create_task(_next_set(flags))
    await asyncio.sleep(0)
    write(tmp_path, {"b": flag()}, "b.json")
    assert list((await waiting).flags) == ["a", "b"]
    waiting = asyncio.create_task(_next_set(flags))
    await asyncio.sleep(0)
    (tmp_path / "a.json").unlink()
    assert list((await waiting).flags) == ["b"]


async def test_a_bad_change_leaves_the_last_good_flag_and_is_told(
    tmp_path: Path, open_flags: OpenFlags, registry: CollectorRegistry
) -> None:
    write(tmp_path, {"a": flag(), "b": flag()})
    flags = await open_flags(tmp_path)
    version = flags.snapshot.version
    write(tmp_path, {"a": flag(state="?"), "b": flag()})
    with capture_logs() as logs:
        await flags.reload()
    assert flags.snapshot.version == version
    assert flags.snapshot.evaluate("a", Subject()).variant == "v1"
    assert flags.definitions.kept == {"a"}
    (refused,) = [entry for entry in logs if entry["event"] == "flag_refused"]
    assert (refused["file"], refused["flag"]) == ("team.json", "a")
    assert registry.get_sample_value("gateway_flag_refusals") == 1
    assert registry.get_sample_value("gateway_flags") == 2
    assert registry.get_sample_value("gateway_flag_definitions_version") == int(version[:12], 16)
    assert _count(registry, "refused") == 1


async def test_a_folder_that_vanishes_leaves_the_last_set(
    tmp_path: Path, open_flags: OpenFlags, registry: CollectorRegistry
) -> None:
    folder = tmp_path / "flags"
    folder.mkdir()
    write(folder, {"a": flag()})
    flags = await open_flags(folder)
    last = flags.snapshot
    shutil.rmtree(folder)
    with pytest.raises(DefinitionsUnreadable):
        await flags.reload()
    assert flags.snapshot is last
    assert _count(registry, "failed") == 1
    folder.mkdir()
    waiting = asyncio.create_task(_next_set(flags))
    await asyncio.sleep(0)
    write(folder, {"a": flag(defaultVariant="v2")})
    while (await waiting).evaluate("a", Subject()).variant != "v2":
        waiting = asyncio.create_task(_next_set(flags))


async def test_opening_over_no_folder_fails(tmp_path: Path, registry: CollectorRegistry) -> None:
    with pytest.raises(DefinitionsUnreadable):
        await Flags.open(tmp_path / "nowhere", registry)


async def test_closing_twice_is_safe_and_ends_the_watching(tmp_path: Path, open_flags: OpenFlags) -> None:
    write(tmp_path, {"a": flag()})
    flags = await open_flags(tmp_path)
    await flags.aclose()
    await flags.aclose()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "flags-watcher"]
    assert flags.snapshot.evaluate("a", Subject()).variant == "v1"


async def test_no_listener_is_called_after_it_unsubscribed(tmp_path: Path, open_flags: OpenFlags) -> None:
    write(tmp_path, {"a": flag()})
    flags = await open_flags(tmp_path)
    seen: list[str] = []
    unsubscribe = flags.subscribe(lambda fresh: seen.append(fresh.version))
    write(tmp_path, {"a": flag(defaultVariant="v2")})
    await flags.reload()
    unsubscribe()
    unsubscribe()
    told = len(seen)
    write(tmp_path, {"a": flag(defaultVariant="off")})
    await flags.reload()
    assert (told, len(seen)) == (1, 1)


async def test_evaluations_in_a_storm_of_reloads_see_whole_sets_only(tmp_path: Path, open_flags: OpenFlags) -> None:
    """Each state of the folder gives all flags of one file the same variant; threads ask all the while."""
    keys = [f"flag-{number}" for number in range(8)]
    write(tmp_path, dict.fromkeys(keys, flag()))
    flags = await open_flags(tmp_path)
    stop = threading.Event()
    torn: list[set[str | None]] = []
    seen: set[str | None] = set()

    def ask() -> None:
        while not stop.is_set():
            answers = flags.snapshot.evaluate_all(Subject("customer:1"))
            variants = {answer.variant for answer in answers.values()}
            seen.update(variants)
            if len(variants) != 1 or len({answer.definitions for answer in answers.values()}) != 1:
                torn.append(variants)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for turn in range(12):
            default = ("v1", "v2", "off")[turn % 3]
            write(tmp_path, dict.fromkeys(keys, flag(defaultVariant=default)))
            await flags.reload()
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert torn == []
    assert seen == {"v1", "v2", "off"}
