"""Prepares the store of the embedded shop: builds it when there is none, or when it is stale or damaged."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

from personalization.file_lock import alone
from resolvers.errors import SourceUnavailable
from resolvers.sources.embedded_data import data_files, read_shop
from resolvers.sources.embedded_tables import SCHEMA, STEPS, Shop, write_tables

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are behind and how many there are."""

_MODULES = ("data", "catalogue", "people", "shelves", "search", "tables", "build")


def prepare_store(data_dir: Path, progress: Progress | None = None, products: int | None = None) -> Path:
    """The path of a whole, current store in `data_dir`, built first if need be (a second or so for the real data).

    Of several processes that start at once, one builds and the others wait; readers of an older store keep reading it.
    The store is written aside and renamed, so it is there whole or not at all. `products` gives a store of that many
    products, made by varying the real ones, beside the real one. Blocks: call it off the event loop.

    Raises:
        SourceUnavailable: the folder cannot be written.
        ValueError: `products` is below the number of real ones.
    """
    path = data_dir / ("catalogue.sqlite" if products is None else f"catalogue-{products}.sqlite")
    report = progress or _silent
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with alone(data_dir / "catalogue.lock"):
            if not is_current(path):
                _build(path, report, products)
    except (OSError, sqlite3.Error) as error:
        raise SourceUnavailable(f"the store of the embedded shop cannot be prepared at {path}: {error}") from error
    report("ready", _total(), _total())
    return path


def is_current(path: Path) -> bool:
    """Whether the file is an undamaged store made from the data and by the code at hand."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            found = db.execute("SELECT value FROM meta WHERE name = 'build'").fetchone()
            return bool(found == (build_id(),)) and bool(db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error:
        return False


def build_id() -> str:
    """A digest of everything a store depends on: the data, the schema and the code that composes it."""
    code = [Path(__file__).with_name(f"embedded_{name}.py") for name in _MODULES]
    digest = blake2b(digest_size=16)
    for path in (*data_files(), SCHEMA, *code):
        digest.update(blake2b(path.read_bytes()).digest())
    return digest.hexdigest()


def _build(path: Path, report: Progress, products: int | None) -> None:
    for leftover in path.parent.glob(f"{path.name}.*.tmp"):
        leftover.unlink()
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with closing(sqlite3.connect(aside)) as db:
            _fill(db, report, products)
        _flush(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _fill(db: sqlite3.Connection, report: Progress, products: int | None) -> None:
    total = _total()
    report("reading the data", 0, total)
    shop = Shop.composed(read_shop(products))
    db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {SCHEMA.read_text(encoding='utf-8')}")
    done = iter(range(1, total))
    with db:
        write_tables(db, shop, lambda name: report(f"writing {name}", next(done), total))
        db.execute("INSERT INTO meta VALUES ('build', ?)", (build_id(),))
        db.execute("INSERT INTO meta VALUES ('products', ?)", (str(len(shop.products)),))


def _total() -> int:
    return len(STEPS) + 1


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _silent(doing: str, done: int, total: int) -> None:
    """Tells nobody."""
