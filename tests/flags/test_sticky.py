"""Remembered decisions: one suite for all that remember."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from flags.errors import StickyUnavailable
from flags.sticky import Keep, MemoryStickyDecisions, StickyDecisions, sticky_key
from flags.sticky_sqlite import SqliteStickyDecisions
from personalization.clock import ManualClock
from personalization.events import Decision, DecisionContext, DecisionMode
from personalization.ids import new_id
from tests.personalization.hub_suite import START

LASTS = timedelta(minutes=30)


def decision(action: str = "v1", clock: ManualClock | None = None) -> Decision:
    return Decision(
        id=new_id(),
        at=clock.now() if clock else START,
        context=DecisionContext("component:hero", persona="VISITOR"),
        actions=("v1", "v2"),
        distribution=(0.25, 0.75),
        action=action,
        probability=0.25 if action == "v1" else 0.75,
        policy="uniform@1",
        mode=DecisionMode.LOG_ONLY,
        reason="DRAWN",
        subject="visitor:1",
        session="s",
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture(params=["memory", "sqlite"])
async def sticky(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[StickyDecisions]:
    made: StickyDecisions = (
        MemoryStickyDecisions(clock, LASTS)
        if request.param == "memory"
        else SqliteStickyDecisions(tmp_path / "sticky.sqlite3", clock, LASTS)
    )
    yield made
    await made.aclose()
    await made.aclose()


async def test_the_first_decision_wins_for_all(sticky: StickyDecisions) -> None:
    first, second = decision("v1"), decision("v2")
    assert await sticky.remembered(["a", "b"]) == [None, None]
    assert await sticky.remember([Keep("a", first)]) == [first]
    assert await sticky.remember([Keep("a", second), Keep("b", second)]) == [first, second]
    assert await sticky.remembered(["b", "a", "c"]) == [second, first, None]
    assert sticky.at_hand(["b", "a", "c"]) == [second, first, None]


async def test_of_two_in_one_batch_the_first_wins(sticky: StickyDecisions) -> None:
    first, second = decision("v1"), decision("v2")
    assert await sticky.remember([Keep("a", first), Keep("a", second)]) == [first, first]


async def test_one_that_no_longer_fits_is_replaced_by_the_first_that_says_so(sticky: StickyDecisions) -> None:
    old, new, late = decision("v1"), decision("v2"), decision("v2")
    await sticky.remember([Keep("a", old)])
    assert await sticky.remember([Keep("a", new, instead_of=old.id)]) == [new]
    assert await sticky.remember([Keep("a", late, instead_of=old.id)]) == [new]
    assert await sticky.remembered(["a"]) == [new]


async def test_it_holds_as_long_as_the_setting_says(sticky: StickyDecisions, clock: ManualClock) -> None:
    first = decision("v1", clock)
    await sticky.remember([Keep("a", first)])
    clock.at += LASTS - timedelta(seconds=1)
    assert await sticky.remembered(["a"]) == [first]
    clock.at += timedelta(seconds=1)
    assert await sticky.remembered(["a"]) == [None]
    assert sticky.at_hand(["a"]) == [None]
    second = decision("v2", clock)
    assert await sticky.remember([Keep("a", second)]) == [second]


async def test_what_is_forgotten_is_decided_anew(sticky: StickyDecisions) -> None:
    await sticky.remember([Keep("a", decision()), Keep("b", decision())])
    await sticky.forget(["a", "never-there"])
    assert (await sticky.remembered(["a"]), sticky.at_hand(["a"])) == ([None], [None])
    assert (await sticky.remembered(["b"])) != [None]


async def test_many_that_decide_at_once_agree(sticky: StickyDecisions) -> None:
    candidates = [decision() for _ in range(50)]
    holding = await asyncio.gather(*(sticky.remember([Keep("a", each)]) for each in candidates))
    assert len({held.id for (held,) in holding}) == 1


async def test_memory_is_bounded(clock: ManualClock) -> None:
    sticky = MemoryStickyDecisions(clock, most=3)
    await sticky.remember([Keep(key, decision()) for key in "abcd"])
    assert [each is not None for each in sticky.at_hand("abcd")] == [False, True, True, True]


async def test_workers_share_a_file_and_it_outlives_them(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "folder" / "sticky.sqlite3"
    workers = [SqliteStickyDecisions(path, clock, LASTS) for _ in range(4)]
    holding = await asyncio.gather(*(worker.remember([Keep("a", decision())]) for worker in workers * 20))
    for worker in workers:
        await worker.aclose()
    anew = SqliteStickyDecisions(path, clock, LASTS)
    kept = await anew.remembered(["a"])
    await anew.aclose()
    assert {held.id for (held,) in holding} == {each.id for each in kept if each is not None}


async def test_what_has_expired_leaves_the_file(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "sticky.sqlite3"
    sticky = SqliteStickyDecisions(path, clock, LASTS)
    await sticky.remember([Keep(f"{n}", decision()) for n in range(10)])
    clock.at += LASTS + timedelta(minutes=2)
    await sticky.remember([Keep("new", decision())])
    await sticky.aclose()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT key FROM sticky").fetchall() == [("new",)]


async def test_neither_subject_nor_session_is_in_the_key(tmp_path: Path) -> None:
    key = sticky_key("component.hero", "session-1", "customer:7")
    assert len(key) == 32
    assert key != sticky_key("component.hero", "session-2", "customer:7")
    assert key != sticky_key("component.hero", "session-1", "customer:8")
    assert key != sticky_key("component.shelf", "session-1", "customer:7")


def _folder(path: Path) -> None:
    path.mkdir()


def _no_database(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def _no_decision(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute(
            "CREATE TABLE sticky (key TEXT PRIMARY KEY, decision_id TEXT, until_us INTEGER, decision BLOB) STRICT"
        )
        file.execute("INSERT INTO sticky VALUES ('a', '1', ?, X'7B7D')", (2**60,))
        file.commit()


@pytest.mark.parametrize("spoil", [_folder, _no_database, _no_decision])
async def test_a_file_that_cannot_be_used_is_said_to_be(
    tmp_path: Path, clock: ManualClock, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "sticky.sqlite3"
    spoil(path)
    sticky = SqliteStickyDecisions(path, clock)
    with pytest.raises(StickyUnavailable, match=r"sticky\.sqlite3"):
        await sticky.remembered(["a"])
    await sticky.aclose()
    with pytest.raises(StickyUnavailable, match="closed"):
        await sticky.remember([Keep("a", replace(decision(), id="x"))])
