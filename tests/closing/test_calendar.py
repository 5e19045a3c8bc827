"""Closings by a calendar: what is due, and the process that runs it."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGTERM
from threading import Timer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.closing_calendar import due, trigger_of
from gateway.errors import StartRefused
from personalization.classification.dataset import LOOK_BACK, Period

months = st.builds(Period, st.integers(2000, 2040), st.integers(1, 12))


@given(
    now=st.datetimes(datetime(2001, 1, 1), datetime(2041, 1, 1), timezones=st.just(UTC)),
    closed=st.lists(months, max_size=5),
)
def test_what_is_due_is_over_and_follows_what_was_closed(now: datetime, closed: list[Period]) -> None:
    found = due(now, closed)
    assert all(each.end <= now for each in found)
    assert all(found[place].shifted(1) == found[place + 1] for place in range(len(found) - 1))
    assert len(found) <= LOOK_BACK
    if closed:
        assert all(each > max(closed) for each in found)
    # The last month that is over is due, unless it or a later one was closed.
    last = Period(now.year, now.month).shifted(-1)
    assert (last in found) == (not closed or last > max(closed))


def test_a_calendar_is_a_cron_line_in_utc() -> None:
    fires = trigger_of("0 3 1 * *").get_next_fire_time(None, datetime(2017, 10, 31, 12, tzinfo=UTC))
    assert fires == datetime(2017, 11, 1, 3, tzinfo=UTC)
    with pytest.raises(StartRefused, match="five fields"):
        trigger_of("61 3 1 * *")


def test_the_process_survives_a_closing_that_cannot_be_run_and_ends_when_told(tmp_path: Path) -> None:
    environment = {**os.environ, "GATEWAY_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "gateway", "closing", "schedule", "--cron", "0 3 1 1 *"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    watch = Timer(60, process.kill)
    watch.start()
    try:
        assert process.stderr is not None
        seen = []
        for said in process.stderr:
            seen.append(said)
            if "closings_scheduled" in said:
                break
        process.send_signal(SIGTERM)
        assert process.wait(30) == 0
    finally:
        watch.cancel()
        process.kill()
        process.communicate(timeout=30)
    # The embedded shop's orders are of 2017.
    assert any("closing_failed" in said and "there are orders of 2017-01 to 2018-01" in said for said in seen), seen
