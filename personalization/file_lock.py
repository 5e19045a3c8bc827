"""One process or thread at a time, by a lock on a file."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(lock: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock; waits while another holds it. The system lets go of it when a process dies.

    Raises:
        BlockingIOError: another holds it, and `wait` is false.
    """
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
