"""How the registry touches the disk: each step is whole or not done at all, and durable when it returns."""

import os
import shutil
from pathlib import Path
from typing import Protocol


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


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
