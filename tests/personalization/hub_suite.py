"""What every hub does. A hub's own test module subclasses `HubSuite` and says how hubs on one store are opened."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from personalization.clock import ManualClock
from personalization.errors import GroupMismatch, PartitionLost
from personalization.hub.groups import Place
from personalization.hub.retention import Prunable, Retention
from personalization.hub.tail import MOST_BEHIND
from personalization.hub.topics import DECISIONS, OUTCOMES, Consumer, Hub, NewEvent, News, StoredEvent

LEASE = 10.0
PARTITIONS = 4
START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

OpenHub = Callable[[], "PrunableHub"]
"""Another hub on the same store, as another process would have it."""


class PrunableHub(Hub, Prunable, Protocol):
    """A hub that keeps its own retention."""


def numbered(first: int, last: int, key: str | None = None) -> list[NewEvent]:
    """Events with ids and values from `first` up to `last`, each of its own key unless one is given."""
    return [NewEvent(f"e{each}", key or f"k{each}", str(each).encode()) for each in range(first, last)]


async def settle(*consumers: Consumer) -> None:
    """Let members take and give up partitions until all is shared; they must have nothing to read."""
    for _ in range(2 * PARTITIONS):
        for consumer in consumers:
            assert await consumer.poll_batch(1, 0) == ()


async def drain(*consumers: Consumer, commit: bool = True) -> list[StoredEvent]:
    """Everything the consumers get until a whole round of rebalancing brings nothing more."""
    events: list[StoredEvent] = []
    quiet = 0
    while quiet < 2 * PARTITIONS:
        quiet += 1
        for consumer in consumers:
            batch = await consumer.poll_batch(7, 0)
            events.extend(batch)
            if batch:
                quiet = 0
            if commit and batch:
                await consumer.commit(done(batch))
    return events


def done(batch: Sequence[StoredEvent]) -> dict[Place, int]:
    """Offsets that say that a batch is processed."""
    return {(event.topic, event.partition): event.offset + 1 for event in batch}


def ids(events: Sequence[StoredEvent]) -> list[str]:
    return [each.event.id for each in events]


class HubSuite:
    """The promises of the port, one test each. A subclass adds the fixture `open_hub: OpenHub`."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(START)

    @pytest.fixture
    def hub(self, open_hub: OpenHub) -> PrunableHub:
        return open_hub()

    async def test_what_is_appended_is_read_back_whole(self, hub: Hub) -> None:
        event = NewEvent("id-1", "key ü", b"\x00\xffvalue", {"traceparent": "00-a-b-01"})
        appended = await hub.append(DECISIONS, [event])
        assert (appended.written, appended.duplicates) == (1, ())
        async with hub.consumer("g", [DECISIONS]) as consumer:
            (stored,) = await consumer.poll_batch(10, 0)
        assert stored.event == event
        assert (stored.topic, stored.offset, stored.appended_at) == (DECISIONS, 0, START)

    @pytest.mark.parametrize(
        "text", ["", "\0", "a\0b", "\\u0000", '"quoted", {and} [more]', "é\U0001f600\u2028", "x" * 70_000]
    )
    async def test_texts_of_any_kind_come_back(self, hub: Hub, text: str) -> None:
        events = [
            NewEvent("first", text, b"1"),
            NewEvent(text, "k", text.encode(), {text: text}),
            NewEvent(f"{text}.", text, b"", {"": ""}),
        ]
        assert (await hub.append(DECISIONS, events)).written == 3
        assert (await hub.append(DECISIONS, events)).duplicates == ("first", text, f"{text}.")
        async with hub.consumer("g", [DECISIONS]) as consumer:
            stored = {each.event.id: each.event for each in await drain(consumer)}
        assert stored == {event.id: event for event in events}

    async def test_an_id_is_written_once_within_its_topic(self, hub: Hub) -> None:
        await hub.append(DECISIONS, numbered(0, 3))
        again = await hub.append(DECISIONS, [*numbered(2, 5), *numbered(4, 5)])
        assert (again.written, again.duplicates) == (2, ("e2", "e4"))
        elsewhere = await hub.append(OUTCOMES, numbered(0, 1))
        assert elsewhere.written == 1
        async with hub.consumer("g", [DECISIONS]) as consumer:
            assert sorted(ids(await drain(consumer))) == ["e0", "e1", "e2", "e3", "e4"]

    async def test_many_events_are_written_whole_and_in_order(self, hub: Hub) -> None:
        events = [replace(each, headers={"traceparent": each.id}) for each in numbered(0, 777)]
        events[500] = replace(events[500], headers={})
        appended = await hub.append(DECISIONS, [*events, events[3], events[600]])
        assert (appended.written, appended.duplicates) == (777, ("e3", "e600"))
        again = await hub.append(DECISIONS, events)
        assert (again.written, len(again.duplicates)) == (0, 777)
        async with hub.consumer("g", [DECISIONS]) as consumer:
            stored = await drain(consumer)
        assert sorted(each.event.id for each in stored) == sorted(each.id for each in events)
        by_id = {each.id: each for each in events}
        assert all(each.event == by_id[each.event.id] for each in stored)
        for partition in {each.partition for each in stored}:
            there = [int(each.event.value) for each in stored if each.partition == partition]
            assert there == sorted(there)

    async def test_an_empty_append_is_fine(self, hub: Hub) -> None:
        appended = await hub.append(DECISIONS, [])
        assert (appended.written, appended.duplicates) == (0, ())

    async def test_offsets_of_a_partition_are_dense_and_rise_in_order_of_appends(self, hub: Hub) -> None:
        await asyncio.gather(*(hub.append(DECISIONS, numbered(10 * each, 10 * each + 10)) for each in range(20)))
        async with hub.consumer("g", [DECISIONS]) as consumer:
            events = await drain(consumer)
        places = {(each.topic, each.partition) for each in events}
        assert len(places) == PARTITIONS
        for place in places:
            offsets = [each.offset for each in events if (each.topic, each.partition) == place]
            assert offsets == list(range(len(offsets)))

    async def test_one_key_stays_in_one_partition_of_every_topic_in_order(self, hub: Hub) -> None:
        await hub.append(DECISIONS, numbered(0, 20, key="same"))
        await hub.append(OUTCOMES, numbered(0, 20, key="same"))
        async with hub.consumer("g", [DECISIONS, OUTCOMES]) as consumer:
            events = await drain(consumer)
        assert len({each.partition for each in events}) == 1
        for topic in (DECISIONS, OUTCOMES):
            assert ids([each for each in events if each.topic == topic]) == [f"e{each}" for each in range(20)]

    async def test_a_batch_holds_at_most_its_limit_and_no_place_waits_for_another(self, hub: Hub) -> None:
        await hub.append(DECISIONS, numbered(0, 500, key="a"))
        await hub.append(OUTCOMES, numbered(0, 5, key="a"))
        async with hub.consumer("g", [DECISIONS, OUTCOMES]) as consumer:
            sizes = [await consumer.poll_batch(40, 0) for _ in range(3)]
        assert all(len(batch) <= 40 for batch in sizes)
        assert {each.topic for batch in sizes for each in batch} == {DECISIONS, OUTCOMES}

    async def test_a_batch_below_its_limit_has_some_of_every_place(self, hub: Hub) -> None:
        for key in range(20):
            await hub.append(DECISIONS, numbered(100 * key, 100 * key + 100, key=f"k{key}"))
            await hub.append(OUTCOMES, numbered(100 * key, 100 * key + key, key=f"k{key}"))
        left = {(topic, each): 0 for topic in (DECISIONS, OUTCOMES) for each in range(PARTITIONS)}
        async with hub.consumer("counting", [DECISIONS, OUTCOMES]) as consumer:
            for event in await drain(consumer, commit=False):
                left[event.topic, event.partition] += 1
        async with hub.consumer("g", [DECISIONS, OUTCOMES]) as consumer:
            while batch := await consumer.poll_batch(90, 0):
                read = {(each.topic, each.partition) for each in batch}
                assert len(batch) == 90 or read == {place for place, count in left.items() if count}
                for each in batch:
                    left[each.topic, each.partition] -= 1
        assert not any(left.values())

    async def test_a_log_has_a_name(self, open_hub: OpenHub) -> None:
        name = await open_hub().log_id()
        assert name == await open_hub().log_id()
        assert re.fullmatch(r"[0-9a-z]{8,}", name)

    async def test_a_poll_waits_for_the_first_event(self, hub: Hub) -> None:
        async with hub.consumer("g", [DECISIONS]) as consumer:
            assert await consumer.poll_batch(10, 0) == ()
            waiting = asyncio.create_task(consumer.poll_batch(10, 30))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await hub.append(DECISIONS, numbered(0, 1))
            assert ids(await waiting) == ["e0"]

    async def test_a_group_goes_on_where_it_committed(self, open_hub: OpenHub) -> None:
        hub = open_hub()
        await hub.append(DECISIONS, numbered(0, 10, key="a"))
        async with hub.consumer("g", [DECISIONS]) as consumer:
            first = await consumer.poll_batch(4, 0)
            await consumer.commit(done(first))
            seen = await drain(consumer, commit=False)
        assert len(first) + len(seen) == 10
        await hub.aclose()
        async with open_hub().consumer("g", [DECISIONS]) as consumer:
            assert ids(await drain(consumer)) == ids(seen)

    async def test_groups_do_not_disturb_each_other(self, hub: Hub) -> None:
        await hub.append(DECISIONS, numbered(0, 10))
        async with hub.consumer("one", [DECISIONS]) as one, hub.consumer("two", [DECISIONS]) as two:
            assert sorted(ids(await drain(one))) == sorted(ids(await drain(two)))

    async def test_members_share_the_partitions_evenly(self, open_hub: OpenHub) -> None:
        told: list[tuple[str, str, tuple[Place, ...]]] = []

        def note(member: str, what: str) -> Callable[[Sequence[Place]], "asyncio.Future[None]"]:
            async def reassigned(places: Sequence[Place]) -> None:
                told.append((member, what, tuple(places)))

            return lambda places: asyncio.ensure_future(reassigned(places))

        one = open_hub().consumer("g", [DECISIONS], note("one", "assign"), note("one", "revoke"))
        two = open_hub().consumer("g", [DECISIONS], note("two", "assign"), note("two", "revoke"))
        async with one:
            await settle(one)
            assert told == [("one", "assign", tuple((DECISIONS, each) for each in range(PARTITIONS)))]
            async with two:
                await settle(one, two)
                assert [(who, what, len(places)) for who, what, places in told[1:]] == [
                    ("one", "revoke", 2),
                    ("two", "assign", 2),
                ]
                assert set(told[1][2]) == set(told[2][2])
            await settle(one)
            assert [(who, what, len(places)) for who, what, places in told[3:]] == [
                ("two", "revoke", 2),
                ("one", "assign", 2),
            ]
        assert told[-1][:2] == ("one", "revoke")
        assert len(told[-1][2]) == PARTITIONS

    async def test_offsets_can_be_committed_while_partitions_are_revoked(self, open_hub: OpenHub) -> None:
        await open_hub().append(DECISIONS, numbered(0, 12))
        read: list[StoredEvent] = []

        async def save(places: Sequence[Place]) -> None:
            await one.commit({place: offset for place, offset in done(read).items() if place in places})

        one = open_hub().consumer("g", [DECISIONS], on_revoke=save)
        async with one:
            read.extend(await drain(one, commit=False))
        async with open_hub().consumer("g", [DECISIONS]) as two:
            assert await drain(two) == []
        assert len(read) == 12

    async def test_partitions_of_a_dead_member_move_after_its_lease(
        self, open_hub: OpenHub, clock: ManualClock
    ) -> None:
        hub = open_hub()
        await hub.append(DECISIONS, numbered(0, 12))
        async with hub.consumer("g", [DECISIONS]) as dead:
            read = await dead.poll_batch(100, 0)
            async with open_hub().consumer("g", [DECISIONS]) as heir:
                assert await drain(heir) == []
                clock.at += timedelta(seconds=LEASE + 1)
                assert sorted(ids(await drain(heir))) == sorted(ids(read))
                with pytest.raises(PartitionLost):
                    await dead.commit(done(read))

    async def test_a_member_that_overslept_learns_it_and_comes_back(
        self, open_hub: OpenHub, clock: ManualClock
    ) -> None:
        hub = open_hub()
        lost: list[Place] = []

        async def note(places: Sequence[Place]) -> None:
            lost.extend(places)

        async with hub.consumer("g", [DECISIONS], on_revoke=note) as sleeper:
            await settle(sleeper)
            async with open_hub().consumer("g", [DECISIONS]) as heir:
                clock.at += timedelta(seconds=LEASE + 1)
                await settle(heir)
                await settle(sleeper, heir)
                assert len(lost) == PARTITIONS
                await hub.append(DECISIONS, numbered(0, 40))
                mine = await drain(sleeper)
                others = await drain(heir)
        assert mine
        assert others
        assert sorted(ids(mine) + ids(others)) == sorted(f"e{each}" for each in range(40))

    async def test_more_members_than_partitions_leave_some_idle(self, hub: Hub) -> None:
        consumers = [hub.consumer("g", [DECISIONS]) for _ in range(PARTITIONS + 2)]
        for consumer in consumers:
            await consumer.__aenter__()
        await settle(*consumers)
        await hub.append(DECISIONS, numbered(0, 60))
        counts = [len(await drain(consumer)) for consumer in consumers]
        for consumer in consumers:
            await consumer.__aexit__(None, None, None)
        assert sum(counts) == 60
        assert sum(1 for each in counts if each == 0) == 2

    async def test_a_cancelled_poll_loses_nothing(self, hub: Hub) -> None:
        await hub.append(DECISIONS, numbered(0, 30))
        async with hub.consumer("g", [DECISIONS]) as consumer:
            for steps in range(12):
                poll = asyncio.create_task(consumer.poll_batch(30, 0))
                for _ in range(steps):
                    await asyncio.sleep(0)
                if poll.done():
                    break
                poll.cancel()
                await asyncio.wait({poll})
            read = [] if not poll.done() or poll.cancelled() else list(poll.result())
            read += await drain(consumer)
        assert sorted(ids(read)) == sorted(f"e{each}" for each in range(30))

    async def test_a_member_of_other_topics_is_refused(self, hub: Hub) -> None:
        async with hub.consumer("g", [DECISIONS]):
            with pytest.raises(GroupMismatch, match="outcomes"):
                await hub.consumer("g", [OUTCOMES]).__aenter__()

    async def test_retention_drops_old_events_and_groups_go_on_behind_them(
        self, hub: PrunableHub, clock: ManualClock
    ) -> None:
        await hub.append(DECISIONS, numbered(0, 20))
        clock.at += timedelta(days=2)
        await hub.append(DECISIONS, numbered(20, 30))
        assert await hub.prune(Retention(age=timedelta(days=1))) == 20
        assert await hub.prune(Retention(age=timedelta(days=1))) == 0
        async with hub.consumer("g", [DECISIONS]) as consumer:
            assert sorted(ids(await drain(consumer))) == [f"e{each}" for each in range(20, 30)]
        assert (await hub.append(DECISIONS, numbered(0, 1))).written == 1
        async with hub.consumer("g", [DECISIONS]) as consumer:
            assert ids(await drain(consumer)) == ["e0"]

    async def test_retention_bounds_the_number_of_events(self, hub: PrunableHub) -> None:
        await hub.append(DECISIONS, numbered(0, 5_000, key="a"))
        assert await hub.prune(Retention(most_events=40)) == 4_990
        async with hub.consumer("g", [DECISIONS]) as consumer:
            assert ids(await drain(consumer)) == [f"e{each}" for each in range(4_990, 5_000)]

    async def test_closing_twice_is_fine(self, hub: Hub) -> None:
        await hub.append(DECISIONS, numbered(0, 1))
        await hub.aclose()
        await hub.aclose()

    async def test_all_who_follow_read_everything_from_then_on(self, open_hub: OpenHub) -> None:
        one, other = open_hub(), open_hub()
        await one.append(DECISIONS, numbered(0, 3))
        tails = [one.tail(DECISIONS), other.tail(DECISIONS)]
        for tail in tails:
            await tail.start()
        await one.append(OUTCOMES, numbered(0, 3))
        await other.append(DECISIONS, numbered(3, 6, "same"))
        await one.append(DECISIONS, numbered(6, 8, "same"))
        for tail in tails:
            news = [await tail.poll(1.0), await tail.poll(0.0)]
            assert [each.event.id for batch in news for each in batch.events] == ["e3", "e4", "e5", "e6", "e7"]
            assert all(batch.whole for batch in news)

    async def test_who_is_far_behind_is_told_and_goes_on_at_the_end(self, open_hub: OpenHub) -> None:
        hub = open_hub()
        tail = hub.tail(DECISIONS)
        await tail.start()
        await hub.append(DECISIONS, numbered(0, MOST_BEHIND + 5, "same"))
        assert not (await tail.poll(1.0)).whole
        assert await tail.poll(0.0) == News(())
        await hub.append(DECISIONS, numbered(MOST_BEHIND + 5, MOST_BEHIND + 6, "same"))
        last = await tail.poll(1.0)
        assert (last.whole, [each.event.value for each in last.events]) == (True, [b"%d" % (MOST_BEHIND + 5)])

    async def test_what_was_dropped_before_it_was_read_is_missing(self, open_hub: OpenHub) -> None:
        hub = open_hub()
        tail = hub.tail(DECISIONS)
        await tail.start()
        await hub.append(DECISIONS, numbered(0, 10, "same"))
        await hub.prune(Retention(timedelta(days=1), 2 * PARTITIONS))
        news = await tail.poll(1.0)
        assert (news.whole, len(news.events)) == (False, 2)
        assert await tail.poll(0.0) == News(())
