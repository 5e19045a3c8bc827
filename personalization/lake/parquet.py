"""Parquet files, written whole and read with their checksums."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from personalization.files import replacing
from personalization.lake.errors import LakeDamaged

_ROWS_AT_ONCE = 8_192


def write_table(path: Path, table: pa.Table) -> None:
    """Write a file as a whole, durably, each page with a checksum. Blocks; raises `OSError` of the disk."""
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A file's rows, all columns or these.

    Raises:
        LakeDamaged: it cannot be read as Parquet, or a checksum does not fit.
        OSError: it is not there, or cannot be read at all.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=None if columns is None else list(columns))
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LakeDamaged(f"{path.parent.name}/{path.name} cannot be read: {str(error)[:200]}") from error


def rows_in(path: Path) -> Iterator[Mapping[str, Any]]:
    """A file's rows one after the other, little of it in memory at a time.

    Raises:
        LakeDamaged: it cannot be read.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LakeDamaged(f"{path.parent.name}/{path.name} cannot be read: {str(error)[:200]}") from error


def count_rows(path: Path) -> int:
    """How many rows a file has, by its footer."""
    with pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)
