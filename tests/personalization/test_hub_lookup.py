"""Single events are found in the file of a hub that others use, and nothing is made by looking."""

from pathlib import Path

import pytest

from personalization.clock import SystemClock
from personalization.errors import HubUnavailable
from personalization.hub.lookup import HubLookup
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import DECISIONS, OUTCOMES, NewEvent
from personalization.ids import new_id


async def test_events_are_found_by_id_and_by_key_while_the_hub_is_used(tmp_path: Path) -> None:
    file = tmp_path / "a folder?" / "hub.sqlite3"
    hub = SqliteHub(HubFile(file), SystemClock(), new_id)
    lookup = HubLookup(file)
    await hub.append(DECISIONS, [NewEvent("d1", "d1", b"one"), NewEvent("d2", "d2", b"two")])
    await hub.append(
        OUTCOMES, [NewEvent("o1", "d1", b"first"), NewEvent("o2", "d2", b"-"), NewEvent("o3", "d1", b"second")]
    )
    assert (lookup.value(DECISIONS, "d1"), lookup.value(DECISIONS, "o1")) == (b"one", None)
    assert lookup.values_of(OUTCOMES, "d1") == (b"first", b"second")
    assert lookup.values_of(OUTCOMES, "d3") == ()
    await hub.aclose()


def test_a_hub_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(HubUnavailable, match=r"hub\.sqlite3 cannot be read"):
        HubLookup(tmp_path / "hub.sqlite3").value(DECISIONS, "d1")
    assert list(tmp_path.iterdir()) == []
