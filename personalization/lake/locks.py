"""Locks of a lake, between the processes of one machine."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from personalization.file_lock import alone
from personalization.lake.errors import LakeBusy


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock that this file stands for, which is made when missing. Blocks while another process has it.

    Raises:
        LakeBusy: another process has it, and `wait` is false.
        OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(path, wait=wait))
        except BlockingIOError as error:
            raise LakeBusy(f"another process holds {path.name}, try again later") from error
        yield
