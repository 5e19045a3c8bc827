"""Runs closings by a calendar, in a process of its own. The only importer of APScheduler."""

import logging
import signal
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from gateway.errors import StartRefused
from personalization.classification.dataset import LOOK_BACK, Period
from personalization.classification.deploy import Closed
from personalization.clock import Clock
from personalization.errors import PersonaError

Close = Callable[[Period], Closed]
"""Runs the closing of a period.

Raises:
    PersonaError: it cannot be run.
"""

_LATE_S = 86_400
"""A time that was missed by so much, because the machine slept, is made up for."""

_log = structlog.get_logger()


def due(now: datetime, closed: Iterable[Period]) -> tuple[Period, ...]:
    """The months that are over and come after the last one closed, oldest first; the last six of them at most.

    When none was ever closed, only the last month that is over.
    """
    over = Period(now.year, now.month).shifted(-1)
    done = max(closed, default=None)
    if done is None:
        return (over,)
    recent = (over.shifted(-months) for months in range(LOOK_BACK - 1, -1, -1))
    return tuple(each for each in recent if each > done)


def trigger_of(cron: str) -> CronTrigger:
    """The times (UTC) of a cron line of five fields.

    Raises:
        StartRefused: it is none.
    """
    try:
        return CronTrigger.from_crontab(cron, timezone=UTC)
    except ValueError as error:
        raise StartRefused(f"{cron!r} is no cron line, give five fields such as '0 3 1 * *': {error}") from error


def run_calendar(times: CronTrigger, close: Close, closed: Callable[[], Iterable[Period]], clock: Clock) -> None:
    """Close what is due now, then again at each of the times, until SIGTERM or Ctrl+C; blocks.

    A closing that cannot be run is logged and tried again the next time. What has begun is finished.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())

    def tick() -> None:
        for period in due(clock.now(), closed()):
            if not stop.is_set():
                close_logged(period, close)

    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # what it does is logged here, in our words
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_job(tick, times, max_instances=1, coalesce=True, misfire_grace_time=_LATE_S, id="closing")
    tick()
    scheduler.start()
    _log.info("closings_scheduled", next=str(scheduler.get_job("closing").next_run_time))
    stop.wait()
    scheduler.shutdown(wait=True)


def close_logged(period: Period, close: Close) -> None:
    """Close a period, and log what came of it; one that cannot be closed does not end the calendar."""
    try:
        done = close(period)
    except PersonaError as error:
        _log.error("closing_failed", period=str(period), reason=str(error))
    else:
        _log.info("closing_done", period=done.period, model=done.model, deployed=done.deployed, refusal=done.refusal)
