"""Whatever appends, polls, departures and deaths are interleaved, each event is committed once a group, in order."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization.clock import ManualClock
from personalization.errors import PartitionLost
from personalization.hub.consumer import GroupConsumer, Pace
from personalization.hub.groups import Ownership, partition_of, shift_of
from personalization.hub.memory import MemoryHub
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import DECISIONS, NewEvent, StoredEvent
from personalization.ids import new_id
from tests.personalization.hub_suite import LEASE, PARTITIONS, START, done, drain

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
MEMBERS = 3
Step = tuple[Literal["append"], list[int]] | tuple[Literal["poll", "leave", "die"], int]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.integers(0, 6), min_size=1, max_size=9)),
        st.tuples(st.sampled_from(["poll", "poll", "poll", "leave", "die"]), st.integers(0, MEMBERS - 1)),
    ),
    max_size=40,
)


class History:
    """A group of readers over a hub, driven step by step."""

    def __init__(self, hub: MemoryHub | SqliteHub, clock: ManualClock) -> None:
        self.appended: list[NewEvent] = []
        self.committed: list[StoredEvent] = []
        self._hub = hub
        self._clock = clock
        self._members: dict[int, GroupConsumer] = {}
        self._dead: list[GroupConsumer] = []

    async def play(self, steps: list[Step]) -> None:
        for step in steps:
            if step[0] == "append":
                await self._append(step[1])
            else:
                await {"poll": self._poll, "leave": self._leave, "die": self._die}[step[0]](step[1])
        self._clock.at += timedelta(seconds=LEASE + 1)
        async with self._hub.consumer("g", [DECISIONS]) as last:
            self.committed.extend(await drain(last))
        for member in [*self._members.values(), *self._dead]:
            await member.__aexit__(None, None, None)

    async def _append(self, keys: list[int]) -> None:
        events = [NewEvent(f"e{len(self.appended) + each}", f"k{key}", b"") for each, key in enumerate(keys)]
        self.appended.extend(events)
        repeated = self.appended[:1]
        assert (await self._hub.append(DECISIONS, [*events, *repeated])).written == len(events)

    async def _poll(self, number: int) -> None:
        if number not in self._members:
            self._members[number] = self._hub.consumer("g", [DECISIONS])
            await self._members[number].__aenter__()
        batch = await self._members[number].poll_batch(5, 0)
        try:
            await self._members[number].commit(done(batch))
        except PartitionLost:
            return
        self.committed.extend(batch)

    async def _leave(self, number: int) -> None:
        if number in self._members:
            await self._members.pop(number).__aexit__(None, None, None)

    async def _die(self, number: int) -> None:
        """Read without committing, then fall silent until the lease is over."""
        if number in self._members:
            member = self._members.pop(number)
            await member.poll_batch(5, 0)
            self._dead.append(member)
            self._clock.at += timedelta(seconds=LEASE + 1)


Kept = Callable[[ManualClock, str], MemoryHub | SqliteHub]


def in_memory(clock: ManualClock, folder: str) -> MemoryHub:
    numbers = count()
    return MemoryHub(clock, lambda: f"m{next(numbers):04}", partitions=PARTITIONS, pace=Pace(lease=LEASE))


def in_a_file(clock: ManualClock, folder: str) -> SqliteHub:
    file = HubFile(Path(folder) / "hub.sqlite3", partitions=PARTITIONS)
    return SqliteHub(file, clock, new_id, pace=Pace(lease=LEASE))


async def played(kept: Kept, steps: list[Step]) -> History:
    clock = ManualClock(START)
    with TemporaryDirectory() as folder:
        hub = kept(clock, folder)
        history = History(hub, clock)
        await history.play(steps)
        await hub.aclose()
    return history


def check(history: History) -> None:
    committed = [each.event.id for each in history.committed]
    assert sorted(committed) == sorted(each.id for each in history.appended)
    for key in {each.key for each in history.appended}:
        in_order = [each.id for each in history.appended if each.key == key]
        assert [each.event.id for each in history.committed if each.event.key == key] == in_order


def run(history: Awaitable[History]) -> None:
    async def main() -> History:
        return await history

    check(asyncio.run(main()))


@given(STEPS)
@settings(UNHURRIED, max_examples=150)
def test_each_event_is_committed_once_in_order_in_memory(steps: list[Step]) -> None:
    run(played(in_memory, steps))


@given(STEPS)
@settings(UNHURRIED, max_examples=40)
def test_each_event_is_committed_once_in_order_in_a_file(steps: list[Step]) -> None:
    run(played(in_a_file, steps))


@given(
    st.integers(1, 9),
    st.dictionaries(st.integers(0, 8), st.sampled_from(["a", "b", "c", "d", "gone"])),
    st.sets(st.sampled_from(["a", "b", "c", "d"]), min_size=1),
    st.randoms(use_true_random=False),
)
@UNHURRIED
def test_steps_in_any_order_end_in_even_shares(
    partitions: int, owners: dict[int, str], live: set[str], order: Random
) -> None:
    owned = {partition: owner for partition, owner in owners.items() if partition < partitions}
    for _ in range(3):
        members = sorted(live)
        order.shuffle(members)
        for member in members:
            shift = shift_of(member, Ownership(frozenset(live), owned), partitions)
            assert all(owned[each] == member for each in shift.release)
            assert all(owned.get(each) not in live for each in shift.claim)
            owned = {each: owner for each, owner in owned.items() if each not in shift.release}
            owned |= dict.fromkeys(shift.claim, member)
    counts = [list(owned.values()).count(member) for member in live]
    assert sum(counts) == partitions
    assert max(counts) - min(counts) <= 1
    ownership = Ownership(frozenset(live), owned)
    assert all(not shift_of(each, ownership, partitions).release for each in live)


@pytest.mark.parametrize("partitions", [1, 4, 7])
def test_keys_spread_over_the_partitions(partitions: int) -> None:
    places = {partition_of(f"key {each}", partitions) for each in range(100)}
    assert places == set(range(partitions))
