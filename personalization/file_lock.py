"""One process or thread at a time, by a lock on a file."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import IO

_LOOKS_AGAIN_S = 0.002


@contextmanager
def alone(lock: Path, patience: float = inf) -> Iterator[None]:
    """Holds the lock; waits up to `patience` seconds while another does. The system frees it when a process dies.

    Raises:
        TimeoutError: another held it all that time.
        OSError: the file cannot be opened.
    """
    with lock.open("w") as file:
        if patience == inf:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            _wait(file, patience)
        yield


def _wait(file: IO[str], patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise TimeoutError(f"it was locked for {patience} s") from error
            time.sleep(_LOOKS_AGAIN_S)
        else:
            return
