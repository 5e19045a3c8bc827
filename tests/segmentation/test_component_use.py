"""Which components customers use is a feature, from the exposures in the lake and in the hub, each counted once."""

from datetime import UTC, datetime

from personalization.clock import SystemClock
from personalization.hub.memory import MemoryHub
from personalization.ids import new_id
from personalization.lake.shop_exposures import Given, exposure_rows, exposures_in_hub

AT = datetime(2017, 5, 1, 12, tzinfo=UTC)


def test_an_exposure_in_both_counts_once_and_visitors_are_no_customers() -> None:
    twice = Given("e1", "customer:7", "component.hero", AT)
    rows = exposure_rows([twice, Given("e2", "visitor:x", "component.hero", AT), twice])
    assert rows == [("7", "component.hero", AT.replace(tzinfo=None))]


async def test_an_empty_hub_has_none() -> None:
    hub = MemoryHub(SystemClock(), new_id)
    assert await exposures_in_hub(hub) == []
