"""Builds the console of one process."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from starlette.requests import Request

from flags.live import Flags
from gateway.companion import read_companion
from gateway.console.answers import Answers
from gateway.console.door import Console, Shown
from gateway.console.flag_shares import FlagShares
from gateway.console.pages import Pages
from gateway.console.policies import Policies
from gateway.console.rewards import Rewards
from gateway.console.samples import History, Sampler
from gateway.console.segments import Segments
from gateway.console.sign_in import Sessions, Tickets
from gateway.health import collecting_registry
from gateway.settings import Settings
from gateway.telemetry import MULTIPROCESS_DIR
from personalization.clock import Clock
from personalization.hub.sqlite_file import HUB_FILE
from personalization.hub.survey import HubSurvey
from personalization.lake.layout import Lake
from resolvers.viewer import Viewer

USED_FOLDER: Final = "console"
"""Folder in the data folder that remembers which tickets were used."""


def tickets_of(settings: Settings, key: bytes, clock: Clock) -> Tickets:
    """Tickets for the gateway with these settings and this key of cookies."""
    return Tickets(key, clock, settings.data_dir / USED_FOLDER)


async def open_console(
    settings: Settings,
    key: bytes,
    clock: Clock,
    registry: CollectorRegistry,
    flags: Flags,
    viewer: Callable[[Request], Awaitable[Viewer]],
) -> Console:
    """The console, taking samples; close it by `aclose`."""
    survey = HubSurvey(settings.data_dir / HUB_FILE, clock)
    sampler = Sampler(collecting_registry(registry), survey, clock)
    lake = Lake(settings.lake_dir or settings.data_dir / "lake")
    shown = Shown(
        sampler=sampler,
        history=History(sampler.sample),
        rewards=Rewards(survey, lake, clock),
        policies=Policies(settings.data_dir, clock),
        flags=FlagShares(survey, clock, lambda: flags.definitions),
        segments=Segments(settings.data_dir, clock),
        survey=survey,
        companion=_companion,
    )
    await shown.history.start()
    sessions = Sessions(key, clock, secure=settings.cookie_secure)
    return Console(shown, Answers(), Answers(), tickets_of(settings, key, clock), sessions, viewer, settings, Pages())


def _companion() -> Mapping[str, object] | None:
    """How the process beside the workers is; None where there is none."""
    folder = os.environ.get(MULTIPROCESS_DIR)
    found = read_companion(Path(folder)) if folder else None
    return None if found is None else asdict(found)
