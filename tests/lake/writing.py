"""A process that writes the lake until it is killed."""

import asyncio
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry

from personalization.clock import SystemClock
from personalization.hub.consumer import Pace
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.ids import new_id
from personalization.lake.layout import Lake
from personalization.lake.writer import LakeMetrics, LakePace, LakeWriter

LEASE = 0.6


async def write_for_ever(folder: Path) -> None:
    hub = SqliteHub(HubFile(folder / "hub.sqlite3", busy=30.0), SystemClock(), new_id, pace=Pace(lease=LEASE))
    pace = LakePace(linger=0.02, events=50, batch=20, wait=0.02)
    await LakeWriter(hub, Lake(folder / "lake"), LakeMetrics(CollectorRegistry()), pace=pace).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(write_for_ever(Path(sys.argv[1])))
