"""How the registry touches the disk: each step is whole or not done at all, and durable when it returns."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from personalization.errors import RegistryUnavailable
from personalization.file_lock import alone

_LOOKS_AGAIN_S = 0.002


class Files(Protocol):
    """The steps that change a registry. Tests hand in one that dies between two of them.

    Raises:
        OSError: the disk did not do it.
    """

    def make(self, folder: Path) -> None:
        """Make a folder and those above it; one that is there already is fine."""
        ...

    def write(self, file: Path, data: bytes) -> None:
        """Write a file that nobody reads yet, down to the disk."""
        ...

    def move(self, source: Path, target: Path) -> None:
        """Give a finished file or folder its name, at once; a file of that name is replaced."""
        ...

    def remove(self, folder: Path) -> None:
        """Remove a folder that nobody reads any more and all that is in it, or a file."""
        ...


class DiskFiles:
    """The disk of this machine."""

    def make(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, file: Path, data: bytes) -> None:
        with file.open("wb") as open_file:
            open_file.write(data)
            open_file.flush()
            os.fsync(open_file.fileno())

    def move(self, source: Path, target: Path) -> None:
        if source.is_dir():
            _sync(source)
        source.replace(target)
        _sync(target.parent)

    def remove(self, folder: Path) -> None:
        if folder.is_dir():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)


@contextmanager
def locked(lock: Path, patience: float) -> Iterator[None]:
    """Hold the lock of this file, once others let go of it.

    Raises:
        RegistryUnavailable: others held it for `patience` seconds.
        OSError: the file cannot be opened.
    """
    until = time.monotonic() + patience
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(alone(lock, wait=False))
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise RegistryUnavailable(f"the registry was locked for {patience} s, try again") from error
                time.sleep(_LOOKS_AGAIN_S)
            else:
                break
        yield


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
