"""A folder of definitions read in a process of its own, and taken over without holding up the event loop."""

import asyncio
import os
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter

from flags.definitions import Definitions
from flags.errors import DefinitionsUnreadable, ReaderFailed
from flags.rows import Outcome, Request, definition_of, frame, frames, read_frame, read_rows, row_of
from flags.spawning import run
from flags.vocabulary import Vocabulary

READ_SECONDS = 30.0


class Turns:
    """Work on the event loop in turns of a quarter of a millisecond, so that nothing else waits for longer."""

    def __init__(self, turn_seconds: float = 0.00025) -> None:
        self._turn_seconds = turn_seconds
        self._since = perf_counter()

    async def step(self) -> None:
        """Let others run if the turn is over."""
        if perf_counter() - self._since > self._turn_seconds:
            await asyncio.sleep(0)
            self._since = perf_counter()


async def read_apart(
    directory: Path,
    vocabulary: Vocabulary,
    previous: Definitions,
    *,
    seconds: float = READ_SECONDS,
    python: str = sys.executable,
) -> Definitions:
    """What `read_definitions` gives, read in another process, which lives no longer than the call.

    Flags that did not change are the objects in `previous`.

    Raises:
        DefinitionsUnreadable: the folder cannot be read.
        ReaderFailed: there is no process to be had, it broke, or it took more than `seconds`.
    """
    turns = Turns()
    asked = [frame(Request.of(str(directory), vocabulary))]
    for piece in frames(row_of(flag) for flag in previous.flags):
        asked.append(piece)
        await turns.step()
    source = BytesIO(await asyncio.to_thread(_run, python, asked, seconds))
    outcome = Outcome(**read_frame(source))
    if outcome.failed is not None:
        raise DefinitionsUnreadable(outcome.failed)
    served = {flag.key: flag for flag in previous.flags}
    flags = []
    for row in read_rows(source):
        flags.append(served[row] if isinstance(row, str) else definition_of(row))
        await turns.step()
    return Definitions(tuple(flags), outcome.refusals, frozenset(outcome.kept), outcome.version)


def _run(python: str, asked: Sequence[bytes], seconds: float) -> bytes:
    """What the reader answers. Files, not pipes: a thread that moves small pieces waits for the busy loop at each."""
    # The modules are those of this process, whatever lies in the current folder.
    home = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    command = (python, "-P", "-m", "flags.reader")
    try:
        with TemporaryFile() as source, TemporaryFile() as sink:
            source.write(b"".join(asked))
            source.seek(0)
            status = run(command, {**os.environ, "PYTHONPATH": path}, source.fileno(), sink.fileno(), seconds)
            if status:
                raise ReaderFailed(f"the reader of definitions ended with {status}")
            sink.seek(0)
            return sink.read()
    except OSError as error:
        raise ReaderFailed(f"the reader of definitions failed: {type(error).__name__}") from error
