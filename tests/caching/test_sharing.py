"""Reads that visits share: one asks the shop, and the others have it until that one has ended."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from personalization.clock import Deadline, ManualClock, SystemClock
from personalization.errors import DeadlineExceeded
from resolvers.errors import SourceUnavailable
from resolvers.sharing import Hold, SharedRead
from tests.caching.shop import BEGINNING


def later() -> Deadline:
    """Of the test that runs, not of the file that was read."""
    return Deadline.after(60.0, SystemClock())


async def begun() -> None:
    """Enough turns of the loop for a read to be begun."""
    for _ in range(5):
        await asyncio.sleep(0)


@dataclass(slots=True)
class Shelf:
    """Says how often a key was asked for; waits for its door, fails when told to."""

    asked: list[str] = field(default_factory=list)
    door: asyncio.Event = field(default_factory=asyncio.Event)
    failing: bool = False

    async def read(self, keys: Sequence[str], deadline: Deadline) -> Sequence[str]:
        self.asked += keys
        deadline.check("reading")
        await self.door.wait()
        if self.failing:
            raise SourceUnavailable("told to")
        return [f"{key} {self.asked.count(key)}" for key in keys]


@pytest.fixture
def shelf() -> Shelf:
    made = Shelf()
    made.door.set()
    return made


@pytest.fixture
def read(shelf: Shelf) -> SharedRead[str, str]:
    return SharedRead(shelf.read)


async def test_what_came_is_shared_until_the_visit_that_read_it_has_ended(read: SharedRead[str, str]) -> None:
    ours, theirs = Hold(later()), Hold(later())
    assert await read(["a", "b"], later(), ours) == ["a 1", "b 1"]
    assert await read(["c", "b"], later(), theirs) == ["c 1", "b 1"]
    ours.end()
    assert await read(["b", "c", "b"], later(), Hold(later())) == ["b 2", "c 1", "b 2"], "who joined prolongs nothing"


async def test_no_visit_shares_for_longer_than_it_may_take(shelf: Shelf, read: SharedRead[str, str]) -> None:
    clock = ManualClock(BEGINNING)
    forgotten = Hold(Deadline.after(1.0, clock))
    await read(["a"], later(), forgotten)
    clock.ticks += 0.9
    assert await read(["a"], later(), Hold(later())) == ["a 1"]
    clock.ticks += 0.2
    assert await read(["a"], later(), Hold(later())) == ["a 2"]


async def test_who_leaves_leaves_the_read_to_those_who_wait(shelf: Shelf, read: SharedRead[str, str]) -> None:
    shelf.door.clear()
    ours = Hold(later())
    leaving = asyncio.create_task(read(["a"], later(), ours))
    waiting = asyncio.create_task(read(["a"], later(), Hold(later())))
    await begun()
    leaving.cancel()
    ours.end()
    shelf.door.set()
    assert await waiting == ["a 1"]
    assert await read(["a"], later(), Hold(later())) == ["a 2"], "the visit that began it was over when it came"


async def test_a_failure_is_shared_by_those_who_wait_and_by_nobody_else(
    shelf: Shelf, read: SharedRead[str, str]
) -> None:
    shelf.door.clear()
    shelf.failing = True
    waiting = [asyncio.create_task(read(["a"], later(), Hold(later()))) for _ in range(3)]
    await begun()
    shelf.door.set()
    failed = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in failed] == [SourceUnavailable] * 3
    assert shelf.asked == ["a"]
    shelf.failing = False
    assert await read(["a"], later(), Hold(later())) == ["a 2"]


async def test_the_deadline_of_another_visit_is_not_ones_own(shelf: Shelf, read: SharedRead[str, str]) -> None:
    over = Deadline.after(0.0, SystemClock())
    first = asyncio.create_task(read(["a"], over, Hold(later())))
    second = asyncio.create_task(read(["a"], later(), Hold(later())))
    with pytest.raises(DeadlineExceeded):
        await first
    assert await second == ["a 2"]


async def test_who_has_no_time_left_waits_for_nobody(shelf: Shelf, read: SharedRead[str, str]) -> None:
    shelf.door.clear()
    first = asyncio.create_task(read(["a"], later(), Hold(later())))
    await begun()
    with pytest.raises(DeadlineExceeded):
        await read(["a"], Deadline.after(0.01, SystemClock()), Hold(later()))
    shelf.door.set()
    assert await first == ["a 1"]


async def test_what_was_begun_before_a_change_is_joined_by_nobody_after_it(
    shelf: Shelf, read: SharedRead[str, str]
) -> None:
    shelf.door.clear()
    before = asyncio.create_task(read(["a"], later(), Hold(later())))
    await begun()
    read.forget()
    after = asyncio.create_task(read(["a"], later(), Hold(later())))
    await begun()
    assert shelf.asked == ["a", "a"]
    shelf.door.set()
    await asyncio.gather(before, after)
