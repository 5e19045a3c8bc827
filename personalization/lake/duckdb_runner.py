"""The ETL's engine on one machine: DuckDB, in this process. Its only importer."""

from collections.abc import Sequence
from pathlib import Path
from threading import Timer
from typing import Any

import duckdb

from personalization.lake.errors import LakeError


class DuckDbRunner:
    """Runs SQL in memory, over files. Use it as a context manager; for one thread."""

    def __init__(self, *, threads: int = 2, memory: str = "1GB", spill: Path | None = None) -> None:
        """`memory` bounds what it takes, as DuckDB writes sizes; what does not fit goes to the folder `spill`."""
        self._connection = duckdb.connect(":memory:")
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(f"SET threads = {threads}")
        self._connection.execute(f"SET memory_limit = {_quoted(memory)}")
        if spill is not None:
            self._connection.execute(f"SET temp_directory = {_quoted(str(spill))}")

    def register_parquet(self, name: str, paths: Sequence[Path]) -> None:
        """From now on `name` in SQL means the rows of these files; a column that a file does not have is null in it."""
        files = ", ".join(_quoted(str(each)) for each in paths)
        self._execute(
            f"CREATE OR REPLACE VIEW {_identifier(name)} AS "  # noqa: S608  # quoted, and ours
            f"SELECT * FROM read_parquet([{files}], hive_partitioning = false, union_by_name = true)"
        )

    def run_to_parquet(self, sql: str, target: Path) -> None:
        """Write the result of a query into one new file, in the order that the query says."""
        self._execute(f"COPY (\n{sql}\n) TO {_quoted(str(target))} (FORMAT parquet, COMPRESSION zstd)")

    def rows(self, sql: str, seconds: float) -> list[tuple[Any, ...]]:
        """The rows of a query that takes so many seconds at most.

        Raises:
            LakeError: it took longer, or the engine refuses.
        """
        watch = Timer(seconds, self._connection.interrupt)
        watch.start()
        try:
            return self._connection.execute(sql).fetchall()
        except duckdb.InterruptException as error:
            raise LakeError(f"the query took longer than {seconds:g} seconds") from error
        except duckdb.Error as error:
            raise LakeError(f"the query failed: {str(error).strip().splitlines()[0]}") from error
        finally:
            watch.cancel()

    def close(self) -> None:
        """End the engine. Safe to call twice."""
        self._connection.close()

    def __enter__(self) -> "DuckDbRunner":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _execute(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except duckdb.Error as error:
            raise LakeError(f"the query failed: {str(error).strip().splitlines()[0]}") from error


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _identifier(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
