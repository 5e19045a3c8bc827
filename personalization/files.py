"""Files that are there whole or not at all, also after kill -9 and loss of power."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

TEMPORARY = ".tmp"
"""How names of files end that are being written, or were when a process died."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary file beside `target` to write to, which takes its name at the end, synced to the disk.

    The folder is made when missing. When the block raises, the temporary file is removed and the target is as it was.
    Blocks; raises `OSError` of the disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.", suffix=TEMPORARY, delete=False) as file:
        temporary = Path(file.name)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync(target.parent)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file, or replace it, as a whole. Blocks; raises `OSError` of the disk."""
    with replacing(target) as temporary:
        temporary.write_bytes(content)


def sync(path: Path) -> None:
    """Have the disk take what was written to a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
