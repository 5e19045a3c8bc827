"""A lake, a hub and events for it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from personalization.clock import ManualClock
from personalization.hub.memory import MemoryHub
from personalization.ids import new_id
from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.layout import Lake
from tests.join.histories import START


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def hub(clock: ManualClock) -> AsyncIterator[MemoryHub]:
    hub = MemoryHub(clock, new_id)
    yield hub
    await hub.aclose()


@pytest.fixture
def runner() -> Iterator[DuckDbRunner]:
    with DuckDbRunner() as runner:
        yield runner
