"""A process that reads as one of a group, and prints each event once its offset was committed."""

import asyncio
import sys
from pathlib import Path

from personalization.clock import SystemClock
from personalization.errors import PartitionLost
from personalization.hub.consumer import Pace
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import OUTCOMES
from personalization.ids import new_id

_LONGEST = 120.0


async def read_for_ever(path: Path, lease: float) -> None:
    hub = SqliteHub(HubFile(path, busy=30.0), SystemClock(), new_id, pace=Pace(lease=lease))
    async with asyncio.timeout(_LONGEST), hub.consumer("readers", [OUTCOMES]) as consumer:
        while True:
            batch = await consumer.poll_batch(20, 1.0)
            if not batch:
                continue
            try:
                await consumer.commit({(each.topic, each.partition): each.offset + 1 for each in batch})
            except PartitionLost:  # on a machine that is busy elsewhere; another member reads the batch then
                continue
            for each in batch:
                sys.stdout.write(f"{each.partition} {each.offset} {each.event.id}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(read_for_ever(Path(sys.argv[1]), float(sys.argv[2])))
