"""`python -m flags.reader`: read and check a folder of definitions for the process that asks on standard input.

Checking thousands of rules takes most of a second of the interpreter, and leaves the garbage collector a heap to go
through. Here that holds nobody up. It reads once and ends.
"""

import gc
import sys
from math import inf
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal
from typing import BinaryIO

from flags.definitions import Definitions, read_definitions
from flags.errors import DefinitionsUnreadable
from flags.files import Pace
from flags.rows import Outcome, Request, definition_of, frame, frames, read_frame, read_rows, row_of


def answer(source: BinaryIO, sink: BinaryIO) -> None:
    """Read the folder that a `Request` names, with the flags served until now in the rows after it.

    The answer is an `Outcome` and the rows of what is to be served; a flag that did not change is its key alone.
    """
    request = Request(**read_frame(source))
    previous = Definitions(tuple(definition_of(row) for row in read_rows(source)))
    try:
        found = read_definitions(Path(request.directory), request.vocabulary, previous, Pace(slice_seconds=inf))
    except DefinitionsUnreadable as error:
        sink.write(frame(Outcome([], [], "", str(error))))
        return
    refused = [(refusal.file, refusal.flag, refusal.reason) for refusal in found.refused]
    sink.write(frame(Outcome(refused, sorted(found.kept), found.version)))
    unchanged = {id(flag) for flag in previous.flags}
    sink.writelines(frames(flag.key if id(flag) in unchanged else row_of(flag) for flag in found.flags))


if __name__ == "__main__":
    signal(SIGINT, SIG_IGN)  # a Ctrl+C is for who asked
    gc.disable()  # it ends before there is enough to collect
    answer(sys.stdin.buffer, sys.stdout.buffer)
