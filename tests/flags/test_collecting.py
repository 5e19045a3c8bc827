"""The garbage collector pauses for a change of sets, and is what it was afterwards."""

import gc
from collections.abc import Iterator

import pytest

from flags.collecting import CollectorPause


@pytest.fixture(autouse=True)
def _collector_as_it_was() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.enable()


async def test_nothing_is_collected_within_a_pause_nor_what_came_from_it_until_its_end() -> None:
    collector = CollectorPause()
    with collector.pause():
        assert not gc.isenabled()
        made = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(made)
    collector.end()
    assert gc.get_freeze_count() == 0
    collector.end()


async def test_a_pause_ends_with_what_was_done_in_it() -> None:
    collector = CollectorPause()
    with pytest.raises(LookupError), collector.pause():
        raise LookupError
    assert gc.isenabled()
    collector.end()
    assert gc.get_freeze_count() == 0


async def test_pauses_may_follow_and_contain_one_another() -> None:
    collector, other = CollectorPause(), CollectorPause()
    for _ in range(2):
        with collector.pause(), other.pause():
            assert not gc.isenabled()
        assert gc.isenabled()
    other.end()
    assert gc.get_freeze_count() > 0
    collector.end()
    assert gc.get_freeze_count() == 0


async def test_a_heap_that_was_frozen_for_good_stays_frozen() -> None:
    gc.freeze()
    collector = CollectorPause()
    with collector.pause():
        pass
    collector.end()
    assert gc.get_freeze_count() > 0


async def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    with CollectorPause().pause():
        pass
    assert not gc.isenabled()
    assert gc.get_freeze_count() == 0
