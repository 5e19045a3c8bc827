"""A process that appends until it is killed, and prints each id once it was acknowledged."""

import asyncio
import sys
from pathlib import Path

from personalization.clock import SystemClock
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import OUTCOMES, NewEvent
from personalization.ids import new_id

_MOST = 200_000
_WRITERS = 20


async def append_for_ever(path: Path, source: str) -> None:
    hub = SqliteHub(HubFile(path, busy=30.0), SystemClock(), new_id)

    async def one_after_the_other(writer: int) -> None:
        for number in range(_MOST):
            event_id = f"{source}-{writer}-{number}"
            await hub.append(OUTCOMES, [NewEvent(event_id, f"{source}-{writer}", event_id.encode())])
            sys.stdout.write(event_id + "\n")
            sys.stdout.flush()

    await asyncio.gather(*(one_after_the_other(writer) for writer in range(_WRITERS)))


if __name__ == "__main__":
    asyncio.run(append_for_ever(Path(sys.argv[1]), sys.argv[2]))
