"""The process that writes journals into the hub's file: `python -m personalization.journal --file PATH`.

It is started by whoever has journals (process.py), reads what to write from its standard input, and answers on its
standard output. It ends when its input does, and not by a signal that is meant for whoever started it.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from personalization.clock import SystemClock
from personalization.errors import HubUnavailable
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import DECISIONS
from personalization.ids import new_id
from personalization.journal.frames import Answer, Verdict, frames
from personalization.journal.writing import HubWriter, JournalWriter


def main() -> None:
    """Write until the input ends."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    options = _options()
    file = HubFile(options.file, partitions=options.partitions, busy=options.busy, max_bytes=options.max_bytes)
    hub = SqliteHub(file, SystemClock(), new_id)
    writer = HubWriter(hub)
    with asyncio.Runner() as runner:
        _say(runner.run(_answer(writer, DECISIONS, ())))  # opens the file
        if options.idle:
            _wait_for_idle_time()
        for topic, parcels in frames(sys.stdin.buffer):
            _say(runner.run(_answer(writer, topic, parcels)))
        runner.run(hub.aclose())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, required=True, help="the hub's file")
    parser.add_argument("--partitions", type=int, required=True, help="partitions of a new file")
    parser.add_argument("--busy", type=float, required=True, help="seconds to wait for another process's write")
    parser.add_argument("--max-bytes", type=int, help="size from which on nothing more is written")
    parser.add_argument("--idle", action="store_true", help="take only the time that no other process wants")
    return parser.parse_args()


def _wait_for_idle_time() -> None:
    """From now on give way to whoever wants this processor, where the system can be asked for that.

    Linux lets a process go on for milliseconds before another of the same kind that has just woken up, be it one that
    answers a request; one of this kind it interrupts at once.
    """
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


async def _answer(writer: JournalWriter, topic: str, parcels: Sequence[bytes]) -> Answer:
    try:
        await writer.write(topic, parcels)
    except HubUnavailable as error:
        return Answer(Verdict.UNAVAILABLE, str(error))
    except Exception as error:  # whatever it is, the next parcels may be better
        return Answer(Verdict.REFUSED, f"{type(error).__name__}: {error}")
    return Answer(Verdict.WRITTEN)


def _say(answer: Answer) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
