"""The fake keeps every promise of the port, and can be made to fail."""

import asyncio
from itertools import count

import pytest
from structlog.testing import capture_logs

from personalization.clock import ManualClock
from personalization.errors import HubUnavailable
from personalization.hub.consumer import Pace
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import DECISIONS
from tests.personalization.hub_suite import LEASE, PARTITIONS, START, HubSuite, OpenHub, drain, numbered


class TestMemoryHub(HubSuite):
    @pytest.fixture
    def open_hub(self, clock: ManualClock) -> OpenHub:
        numbers = count()
        hub = MemoryHub(clock, lambda: f"m{next(numbers)}", partitions=PARTITIONS, pace=Pace(lease=LEASE))
        return lambda: hub


async def test_it_fails_when_told_to_and_recovers() -> None:
    hub = MemoryHub(ManualClock(START), lambda: "m", pace=Pace(lease=LEASE))
    async with hub.consumer("g", [DECISIONS]) as consumer:
        hub.fail("no space left")
        with pytest.raises(HubUnavailable, match="no space left"):
            await hub.append(DECISIONS, numbered(0, 1))
        with pytest.raises(HubUnavailable):
            await consumer.poll_batch(1, 0)
        hub.fail(None)
        await hub.append(DECISIONS, numbered(0, 1))
        assert len(await drain(consumer)) == 1


async def test_a_lease_that_cannot_be_renewed_is_tried_again() -> None:
    hub = MemoryHub(ManualClock(START), lambda: "m", pace=Pace(lease=0.01))
    with capture_logs() as logs:
        async with hub.consumer("g", [DECISIONS]) as consumer:
            hub.fail("no space left")
            async with asyncio.timeout(20):
                while True:
                    if len(logs) >= 2:
                        break
                    await asyncio.sleep(0.001)
            hub.fail(None)
            await hub.append(DECISIONS, numbered(0, 1))
            assert len(await drain(consumer)) == 1
    assert {each["event"] for each in logs} == {"lease_not_renewed"}


async def test_leaving_while_the_hub_is_away_is_fine() -> None:
    hub = MemoryHub(ManualClock(START), lambda: "m")
    async with hub.consumer("g", [DECISIONS]):
        hub.fail("no space left")
