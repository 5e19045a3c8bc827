"""Flags follow their folder: whole sets, the last good one kept, and no evaluation that waits."""

import asyncio
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from flags.definitions import Definitions, read_definitions
from flags.errors import DefinitionsUnreadable, ReaderFailed
from flags.evaluation import FlagSet
from flags.live import Flags
from flags.subject import Subject
from flags.vocabulary import Vocabulary
from tests.flags.conftest import OpenFlags
from tests.flags.writing import flag, read, write

PATIENCE = 10.0
RELOADS = 50


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


async def test_where_no_reader_is_to_be_had_the_folder_is_read_here(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    async def broken(_directory: Path, _vocabulary: Vocabulary, _previous: Definitions) -> Definitions:
        raise ReaderFailed("no process to be had")

    write(tmp_path, {"a": flag()})
    flags = await Flags.open(tmp_path, registry, poll_seconds=PATIENCE, reader=broken)
    try:
        write(tmp_path, {"a": flag(defaultVariant="v2")})
        with capture_logs() as logs:
            await flags.reload()
        assert flags.snapshot.evaluate("a", Subject()).variant == "v2"
        assert [entry["reason"] for entry in logs if entry["event"] == "flags_reader_failed"] == [
            "no process to be had"
        ]
    finally:
        await flags.aclose()


async def test_files_that_change_together_are_read_together(tmp_path: Path, registry: CollectorRegistry) -> None:
    """The folder changes at each look until it rests; nothing is read before that, or not before five looks."""
    read_at: list[int] = []
    files = 0

    async def noting(directory: Path, vocabulary: Vocabulary, previous: Definitions) -> Definitions:
        read_at.append(files)
        return await asyncio.to_thread(read_definitions, directory, vocabulary, previous)

    write(tmp_path, {"a": flag()}, "0.json")
    flags = await Flags.open(tmp_path, registry, poll_seconds=PATIENCE, reader=noting)
    try:
        for files, rests in (
            (1, False),
            (2, False),
            (2, True),
            (3, False),
            (4, False),
            (5, False),
            (6, False),
            (7, True),
        ):
            if not (tmp_path / f"{files}.json").exists():
                write(tmp_path, {f"f{files}": flag()}, f"{files}.json")
            assert await flags.look() is rests
            if rests:
                await flags.reload()
        assert await flags.look() is False
    finally:
        await flags.aclose()
    assert read_at == [2, 7]


async def test_replaced_sets_are_let_go(tmp_path: Path, open_flags: OpenFlags) -> None:
    write(tmp_path, {"a": flag(), "b": flag()})
    flags = await open_flags(tmp_path)
    first = flags.snapshot
    let_go = asyncio.Event()
    last = ref(first.flags["a"], lambda _gone: let_go.set())
    write(tmp_path, {"a": flag(defaultVariant="v2"), "b": flag(defaultVariant="v2")})
    await flags.reload()
    await asyncio.sleep(0.1)
    assert last() is not None
    assert first.evaluate("a", Subject()).variant == "v1"
    del first
    await asyncio.wait_for(let_go.wait(), PATIENCE)


@dataclass
class _Asker:
    """Asks for all flags again and again, and notes the sets that answered and what was wrong with an answer."""

    flags: Flags
    versions: list[str] = field(default_factory=list)
    wrong: list[object] = field(default_factory=list)
    answers: int = 0

    def ask(self, expected: Mapping[str, str]) -> None:
        """`expected` has the variant that every flag has in a set, by the version of the set."""
        found = self.flags.snapshot.evaluate_all(Subject("customer:1")).values()
        version = next(iter(found)).definitions
        if not self.versions or self.versions[-1] != version:
            self.versions.append(version)
        for answer in found:
            if (answer.definitions, answer.variant, answer.error_code) != (version, expected[version], None):
                self.wrong.append(answer)
        self.answers += 1


def _contents(state: int) -> list[dict[str, Any]]:
    variant = ("v1", "v2", "off")[state % 3]
    rule = {"if": [{"==": [{"var": "targetingKey"}, "customer:1"]}, variant, f"v{state + 3}"]}
    variants = {name: name for name in ("v1", "v2", "off", f"v{state + 3}")}
    base = {f"base-{n}": flag(rule, variants=variants) for n in range(4)}
    needs = {"requires": ",".join(f"{key}={variant}" for key in base)}
    return [{f"first-{n}": flag(rule, variants=variants, metadata=needs) for n in range(4)}, base]


def _put(folder: Path, state: int) -> None:
    for number, content in enumerate(_contents(state)):
        write(folder, content, f"{number}.json")


async def test_a_storm_of_reloads_fails_delays_or_tears_no_answer(tmp_path: Path) -> None:
    """In each state of the folder all flags of two files give one variant; some require the others to give it too.

    Threads and the loop ask all the while: every answer is whole, of a set no older than the one before; questions
    are answered during every reload; and none that is asked after a reload is of an older set.
    """

    expected: dict[str, str] = {}
    for state in range(RELOADS + 1):
        folder = tmp_path / f"state-{state}"
        folder.mkdir()
        _put(folder, state)
        expected[read(folder).version] = ("v1", "v2", "off")[state % 3]
    (tmp_path / "live").mkdir()
    _put(tmp_path / "live", 0)
    flags = await Flags.open(tmp_path / "live", CollectorRegistry(), poll_seconds=PATIENCE * 100)
    stop = threading.Event()
    askers = [_Asker(flags) for _ in range(3)]

    def in_thread(asker: _Asker) -> None:
        # Not without a pause: two threads that never wait keep the interpreter from the loop for most of the time.
        while not stop.wait(0.0005):
            asker.ask(expected)

    async def on_loop(asker: _Asker) -> None:
        while not stop.is_set():
            asker.ask(expected)
            await asyncio.sleep(0)

    threads = [threading.Thread(target=in_thread, args=(asker,)) for asker in askers[1:]]
    for thread in threads:
        thread.start()
    task = asyncio.create_task(on_loop(askers[0]))
    try:
        for state in range(1, RELOADS + 1):
            _put(tmp_path / "live", state)
            before = [asker.answers for asker in askers]
            fresh = await flags.reload()
            assert fresh.version == list(expected)[state]
            assert all(asker.answers > count for asker, count in zip(askers, before, strict=True))
    finally:
        stop.set()
        await task
        for thread in threads:
            thread.join(20)
        await flags.aclose()
    order = {version: state for state, version in enumerate(expected)}
    for asker in askers:
        assert asker.wrong == []
        states = [order[version] for version in asker.versions]
        assert states == sorted(set(states))
        assert len(states) > RELOADS // 2
