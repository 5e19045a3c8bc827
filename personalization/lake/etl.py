"""The ETL: runs SQL files over the raw zone, each result a data set of one run, and then makes that run current.

The SQL runs unchanged on DuckDB and on Spark: what may stand in it is in docs/lake.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from string import Template
from typing import Protocol

import orjson
import pyarrow as pa

from personalization.files import sync, write_whole
from personalization.lake.layout import PARQUET, Lake
from personalization.lake.locks import locked
from personalization.lake.parquet import count_rows, write_table
from personalization.lake.tables import table_of

SQL_FOLDER = Path(__file__).parent / "sql"
RUN_FILE = "run.json"
KEPT_RUNS = 3

Value = int | float | str | datetime


class Runner(Protocol):
    """An engine that runs SQL over Parquet files. Implementations: `duckdb_runner.py`; Spark has the same two."""

    def register_parquet(self, name: str, paths: Sequence[Path]) -> None:
        """From now on `name` in SQL means the rows of these files, at least one.

        Columns go by their names; one that a file does not have is null in its rows.
        """
        ...

    def run_to_parquet(self, sql: str, target: Path) -> None:
        """Write the result of a query into one new file, in the order that the query says.

        Raises:
            LakeError: the engine refuses; its cause says why.
        """
        ...


@dataclass(frozen=True, slots=True)
class Dataset:
    """One file of a run: how many rows, and the checksum of its bytes."""

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class EtlRun:
    """A run that was finished: its folder and its data sets."""

    id: str
    folder: Path
    datasets: tuple[Dataset, ...]

    def path(self, name: str) -> Path:
        """The file of a data set."""
        return self.folder / f"{name}{PARQUET}"


def run_etl(
    lake: Lake,
    runner: Runner,
    run: str,
    *,
    raw: Mapping[str, Sequence[Path]],
    tables: Mapping[str, pa.Table],
    steps: Sequence[str],
    values: Mapping[str, Value],
) -> EtlRun:
    """Run the SQL files named by `steps` over raw files and tables, and make the run current.

    Each step sees the topics under their names, the tables, and the results before it. `run` names the run; later
    runs have later names. Readers see the run before until this one is whole. Older runs are removed, but the last
    three. Times among the values are aware. Blocks.

    Raises:
        LakeBusy: another process runs the ETL on this lake.
        LakeError: the engine refuses; what was current stays so.
        OSError: the disk.
    """
    with locked(lake.processed / ".lock", wait=False):
        _remove_unfinished(lake)
        folder = lake.run_folder(run)
        folder.mkdir(parents=True)
        # An empty file of today's columns beside those of a topic, which are none, or older than the newest column.
        made = _write_tables(folder, {**tables, **{topic: table_of(topic).schema.empty_table() for topic in raw}})
        for name, path in made.items():
            runner.register_parquet(name, [*raw.get(name, ()), path])
        datasets = tuple(_run_step(runner, step, values, folder) for step in steps)
        write_whole(folder / RUN_FILE, _manifest(run, raw, values, datasets))
        write_whole(lake.pointer, f"{folder.name}\n".encode())
        _remove_old(lake)
    return EtlRun(run, folder, datasets)


def sql_of(step: str, values: Mapping[str, Value]) -> str:
    """The text of a SQL file with its parameters filled in as literals."""
    text = (SQL_FOLDER / f"{step}.sql").read_text()
    return Template(text).substitute({name: literal(value) for name, value in values.items()})


def literal(value: Value) -> str:
    """A value as SQL: numbers as they are, texts quoted, times (aware) as TIMESTAMP in UTC."""
    match value:
        case datetime():
            return f"TIMESTAMP '{value.astimezone(UTC).isoformat(sep=' ', timespec='microseconds')}'"
        case str():
            doubled = value.replace("'", "''")
            return f"'{doubled}'"
        case _:
            return repr(value)


def runs_of(lake: Lake) -> Sequence[Path]:
    """The folders of all runs, the oldest first, finished or not."""
    if not lake.processed.is_dir():
        return []
    return sorted(each for each in lake.processed.iterdir() if each.is_dir() and each.name.startswith("run="))


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _run_step(runner: Runner, step: str, values: Mapping[str, Value], folder: Path) -> Dataset:
    target = folder / f"{step}{PARQUET}"
    runner.run_to_parquet(sql_of(step, values), target)
    sync(target)
    runner.register_parquet(step, [target])
    return Dataset(step, count_rows(target), digest_of(target))


def _write_tables(folder: Path, tables: Mapping[str, pa.Table]) -> Mapping[str, Path]:
    paths = {name: folder / f"input_{name}{PARQUET}" for name in tables}
    for name, table in tables.items():
        write_table(paths[name], table)
    return paths


def _manifest(
    run: str, raw: Mapping[str, Sequence[Path]], values: Mapping[str, Value], datasets: Sequence[Dataset]
) -> bytes:
    inputs = {name: [f"{each.parent.name}/{each.name}" for each in paths] for name, paths in raw.items()}
    members = {"v": 1, "run": run, "values": values, "inputs": inputs, "datasets": datasets}
    return orjson.dumps(members, option=orjson.OPT_INDENT_2)


def _remove_unfinished(lake: Lake) -> None:
    """Remove what runs left behind that were killed: nobody writes them any more, for this process has the lock."""
    for folder in runs_of(lake):
        if not (folder / RUN_FILE).exists():
            rmtree(folder)


def _remove_old(lake: Lake) -> None:
    """Remove all runs but the last; readers of one that is removed now began long ago."""
    for folder in runs_of(lake)[:-KEPT_RUNS]:
        rmtree(folder)
