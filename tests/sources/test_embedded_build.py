"""The store is built whole or not at all, once, and anew when it is stale or damaged."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from resolvers.errors import SourceUnavailable
from resolvers.sources.embedded_build import build_id, is_current, prepare_store


def _inode(path: Path) -> int:
    return path.stat().st_ino


def test_a_current_store_is_left_alone_and_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    path = prepare_store(tmp_path / "new" / "folder", lambda *step: told.append(step))
    assert is_current(path)
    assert [done for _, done, _ in told] == list(range(len(told)))
    assert told[-1] == ("ready", len(told) - 1, len(told) - 1)
    before = _inode(path)
    assert prepare_store(path.parent) == path
    assert _inode(path) == before


def test_two_builds_are_the_same(store: Path, tmp_path: Path) -> None:
    dumps = []
    for path in (store, prepare_store(tmp_path)):
        with closing(sqlite3.connect(path)) as db:
            tables = (
                "product",
                "category",
                "listing",
                "customer",
                "purchase",
                "shelf",
                "coupon",
                "search_term",
                "meta",
            )
            dumps.append([db.execute(f"SELECT * FROM {table}").fetchall() for table in tables])
    assert dumps[0] == dumps[1]


@pytest.mark.parametrize("damage", ["stale", "cut", "garbage", "empty", "middle"])
def test_stale_and_damaged_stores_are_rebuilt(store: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "catalogue.sqlite"
    whole = store.read_bytes()
    middle = len(whole) // 2 // 4096 * 4096
    path.write_bytes(
        {
            "stale": whole,
            "cut": whole[: len(whole) // 3],
            "garbage": b"not a database" * 1000,
            "empty": b"",
            "middle": whole[:middle] + b"\xff" * 65_536 + whole[middle + 65_536 :],
        }[damage]
    )
    if damage == "stale":
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE meta SET value = 'of last year' WHERE name = 'build'")
    assert not is_current(path)
    assert prepare_store(tmp_path) == path
    assert is_current(path)


def test_readers_of_an_old_store_go_on(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    path.write_bytes(store.read_bytes())
    with closing(sqlite3.connect(path)) as writer, writer:
        writer.execute("UPDATE meta SET value = 'of last year' WHERE name = 'build'")
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as reader:
        prepare_store(tmp_path)
        assert reader.execute("SELECT value FROM meta WHERE name = 'build'").fetchone() == ("of last year",)
        assert reader.execute("SELECT count(*) FROM product").fetchone() == (2170,)


def test_leftovers_of_a_killed_build_are_swept(tmp_path: Path) -> None:
    (tmp_path / "catalogue.sqlite.999.tmp").write_bytes(b"half a store")
    path = prepare_store(tmp_path)
    assert {found.name for found in tmp_path.iterdir()} == {path.name, "catalogue.lock"}


_PREPARE = """
import sys
from pathlib import Path
from resolvers.sources.embedded_build import prepare_store
told = []
path = prepare_store(Path(sys.argv[1]), lambda *step: told.append(step))
print(path.stat().st_ino, len(told))
"""


def test_of_several_processes_one_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PREPARE, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    assert len({inode for inode, _ in answers}) == 1
    assert sorted(int(steps) > 1 for _, steps in answers) == [False, False, True]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(SourceUnavailable, match="cannot be prepared"):
        prepare_store(file)


def test_a_larger_store_has_variants_beside_the_real_products(store: Path, tmp_path: Path) -> None:
    path = prepare_store(tmp_path, products=3000)
    with closing(sqlite3.connect(path)) as db:
        ids = {key for (key,) in db.execute("SELECT id FROM product")}
        (names,) = db.execute("SELECT count(DISTINCT name) FROM product").fetchone()
    with closing(sqlite3.connect(store)) as db:
        real = {key for (key,) in db.execute("SELECT id FROM product")}
    assert len(ids) == names == 3000
    assert real < ids
    assert {key.partition("-")[0] for key in ids - real} <= real
    with pytest.raises(ValueError, match="received 10"):
        prepare_store(tmp_path, products=10)


def test_the_build_is_named_by_all_that_it_depends_on() -> None:
    assert build_id() == build_id()
    assert len(build_id()) == 32
