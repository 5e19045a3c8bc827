"""Hot queries read along an index, also when there are many products."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from resolvers.sources.embedded_build import prepare_store
from resolvers.sources.embedded_queries import Listing, Reader
from resolvers.sources.embedded_search import MAX_EXPANSIONS
from resolvers.sources.source import ProductSort, ShelfKind


class Watched(Reader):
    """A reader that notes each statement it runs, with its values."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.statements: list[str] = []
        self._db.set_trace_callback(self.statements.append)

    def steps(self) -> list[str]:
        """The steps of the plans of what was run; not of what the full-text index runs within itself."""
        self._db.set_trace_callback(None)
        ran = [sql for sql in dict.fromkeys(self.statements) if "'main'." not in sql and "search_term" not in sql]
        return [step for sql in ran for *_, step in self._db.execute(f"EXPLAIN QUERY PLAN {sql}")]


class Instructions:
    """Counts tens of instructions of SQLite's machine, which do not depend on the machine underneath."""

    def __init__(self, reader: Reader) -> None:
        self.counted = 0
        reader._db.set_progress_handler(self._tick, 10)

    def _tick(self) -> None:
        self.counted += 1


@pytest.fixture
def reader(store: Path) -> Iterator[Watched]:
    with closing(Watched(store)) as watched:
        yield watched


def _scans(steps: list[str]) -> list[str]:
    """Steps that read a whole table or sort it. Walks of the full-text index and of the ids asked for are neither."""
    suspect = [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step]
    return [step for step in suspect if "VIRTUAL TABLE INDEX" not in step]


@pytest.mark.parametrize("sort", list(ProductSort))
@pytest.mark.parametrize("words", [None, ("soap",)], ids=["list", "search"])
@pytest.mark.parametrize("category_key", [0, 2])
def test_lists_are_read_along_an_index(
    reader: Watched, sort: ProductSort, words: tuple[str, ...] | None, category_key: int
) -> None:
    ((place, _), *_) = reader.page(Listing(0, words, sort), None, 1)
    reader.page(Listing(category_key, words, sort), place, 24)
    assert sum("VIRTUAL TABLE" in step or "PRIMARY KEY" in step for step in reader.steps()) >= 2
    assert not _scans(reader.steps())


def test_word_beginnings_are_looked_up_in_bounds(reader: Watched) -> None:
    terms = reader._terms("s")
    assert len(terms) == MAX_EXPANSIONS
    assert all(term.startswith("s") for term in terms)
    assert reader._terms("shampoo")[0] == "shampoo"
    (statement, *_) = [sql for sql in reader.statements if "search_term" in sql]
    assert any(
        "SEARCH search_term USING PRIMARY KEY" in step
        for *_, step in reader._db.execute(f"EXPLAIN QUERY PLAN {statement}")
    )


def test_reads_by_key_are_index_lookups(reader: Watched) -> None:
    reader.records(["819395", "820000"])
    reader.customers(["1", "2"])
    reader.orders(["1"], 5)
    reader.coupons(["819395"])
    reader.shelves([(ShelfKind.TRENDING, 3, "US-NE")])
    steps = reader.steps()
    assert sum(step.startswith("SEARCH") for step in steps) >= 5
    assert not _scans(steps)


def test_pages_take_no_more_steps_where_there_are_more_products(tmp_path: Path) -> None:
    small, large = (_instructions(prepare_store(tmp_path, products=number)) for number in (2170, 6_000))
    assert set(small) == set(large)
    for name, instructions in small.items():
        assert large[name] <= 1.5 * instructions + 20, name


def _instructions(path: Path) -> dict[str, int]:
    """Tens of instructions of each kind of page, of lists and of searches for few and for nearly all products."""
    found: dict[str, int] = {}
    with closing(Reader(path)) as reader:
        for sort in ProductSort:
            for words in (None, ("brand",), ("n",), ("national", "care")):
                instructions = Instructions(reader)
                reader.page(Listing(0, words, sort), (0, 500) if words is None else None, 25)
                found[f"{sort} {words}"] = instructions.counted
    return found


def test_the_store_is_opened_for_reading_only(store: Path) -> None:
    with closing(Reader(store)) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM product")
