"""What every engine of the ETL does. An engine's class subclasses `RunnerSuite` and says how one is made."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.errors import LakeError
from personalization.lake.etl import Runner, literal
from personalization.lake.parquet import rows_in, write_table
from personalization.lake.tables import TIME
from tests.join.histories import START

SCHEMA = pa.schema([("name", pa.string()), ("happened_at", TIME), ("wait_us", pa.int64()), ("share", pa.float64())])


class RunnerSuite:
    """The promises of the two methods, and of the SQL that our files use. A subclass adds the fixture `engine`."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        path = tmp_path / "it's a source.parquet"
        rows = [
            {"name": "b", "happened_at": START, "wait_us": 1_000_001, "share": 1 / 3},
            {"name": "a'", "happened_at": START + timedelta(microseconds=1), "wait_us": 0, "share": None},
            {"name": "\u00e9", "happened_at": START, "wait_us": 7, "share": 0.1},
        ]
        write_table(path, pa.Table.from_pylist(rows, schema=SCHEMA))
        return path

    def result(self, engine: Runner, sql: str, target: Path) -> list[dict[str, object]]:
        engine.run_to_parquet(sql, target)
        return [dict(row) for row in rows_in(target)]

    def test_rows_come_in_the_order_that_the_query_says(self, engine: Runner, source: Path, tmp_path: Path) -> None:
        engine.register_parquet("events", [source])
        rows = self.result(engine, "SELECT name, share FROM events ORDER BY name", tmp_path / "out.parquet")
        assert rows == [
            {"name": "a'", "share": None},
            {"name": "b", "share": 1 / 3},
            {"name": "\u00e9", "share": 0.1},
        ]

    def test_several_files_are_one_table(self, engine: Runner, source: Path, tmp_path: Path) -> None:
        engine.register_parquet("events", [source, source])
        (row,) = self.result(engine, "SELECT COUNT(*) AS rows_there FROM events", tmp_path / "out.parquet")
        assert row == {"rows_there": 6}

    def test_a_column_that_a_file_does_not_have_is_null(self, engine: Runner, source: Path, tmp_path: Path) -> None:
        newer = tmp_path / "newer.parquet"
        write_table(newer, pa.table({"share": [0.5], "name": ["z"], "age": [3]}))
        sql = "SELECT name, share, age, wait_us FROM events WHERE name > 'b' ORDER BY name"
        for paths in ([source, newer], [newer, source]):
            engine.register_parquet("events", paths)
            assert self.result(engine, sql, tmp_path / "out.parquet") == [
                {"name": "z", "share": 0.5, "age": 3, "wait_us": None},
                {"name": "\u00e9", "share": 0.1, "age": None, "wait_us": 7},
            ]

    def test_a_name_can_be_given_again(self, engine: Runner, source: Path, tmp_path: Path) -> None:
        engine.register_parquet("events", [source, source])
        engine.register_parquet("events", [source])
        (row,) = self.result(engine, "SELECT COUNT(*) AS rows_there FROM events", tmp_path / "out.parquet")
        assert row == {"rows_there": 3}

    def test_times_are_exact_and_in_utc(self, engine: Runner, source: Path, tmp_path: Path) -> None:
        engine.register_parquet("events", [source])
        other = literal("a'")
        sql = (
            "SELECT happened_at + wait_us * INTERVAL '0.000001' SECOND AS moment FROM events "
            f"WHERE happened_at >= {literal(START)} AND name <> {other} ORDER BY moment"
        )
        rows = self.result(engine, sql, tmp_path / "out.parquet")
        waits = (timedelta(microseconds=7), timedelta(microseconds=1_000_001))
        assert [row["moment"] for row in rows] == [START + wait for wait in waits]

    def test_windows_and_the_greatest_are_known(self, engine: Runner, source: Path, tmp_path: Path) -> None:
        engine.register_parquet("events", [source])
        sql = (
            "SELECT name, GREATEST(wait_us, 5) AS least FROM events "
            "QUALIFY ROW_NUMBER() OVER (PARTITION BY happened_at ORDER BY name) = 1 ORDER BY name"
        )
        rows = self.result(engine, sql, tmp_path / "out.parquet")
        assert rows == [{"name": "a'", "least": 5}, {"name": "b", "least": 1_000_001}]

    def test_what_it_refuses_is_told(self, engine: Runner, tmp_path: Path) -> None:
        with pytest.raises(LakeError, match="the query failed"):
            engine.run_to_parquet("SELECT * FROM nowhere", tmp_path / "out.parquet")


class TestDuckDbRunner(RunnerSuite):
    @pytest.fixture
    def engine(self) -> Iterator[Runner]:
        with DuckDbRunner() as runner:
            yield runner
