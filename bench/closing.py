"""Features and segments of a million customers in bounded memory, and of one newcomer: `python -m bench.closing`."""

import argparse
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, perf_counter_ns

from catboost import CatBoostClassifier

from personalization.classification.dataset import Frozen, Period, build_dataset
from personalization.classification.model import Classifier, TrainSettings, load_classifier
from personalization.classification.profiles import decode_profiles
from personalization.classification.scorer import NewcomerScorer, score_all
from personalization.classification.table import Value
from personalization.classification.train import train
from personalization.clock import ManualClock
from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.shop_tables import CUSTOMERS, ORDER_LINES
from personalization.segmentation.closing import ShopClosings, features_at, table_of
from personalization.segmentation.definitions import read_segments
from resolvers.sources.embedded_export import DEFAULT_SEGMENTS, KNOWN_AT_CLOSINGS, LARGEST_CATEGORIES, export_shop

PERIOD = Period(2017, 10)
DAYS = 90
MOST_MEMORY = 4 * 1024**3
ROUNDS = 20
IN_A_ROUND = 250

_LINES = """SELECT customer_id || '-' || copy AS customer_id, order_id || '-' || copy AS order_id, product_id, category,
quantity, paid_cents, full_cents, placed_at - copy * INTERVAL '97' SECOND AS placed_at
FROM order_lines CROSS JOIN (SELECT UNNEST(RANGE({copies})) AS copy)"""
_PEOPLE = """SELECT customer_id || '-' || copy AS customer_id, persona, region
FROM customers CROSS JOIN (SELECT UNNEST(RANGE({copies})) AS copy)"""


@contextmanager
def timed(what: str, told: Callable[[float], str] = lambda _: "") -> Iterator[None]:
    """Print how long it took."""
    began = perf_counter()
    yield
    seconds = perf_counter() - began
    print(f"{what:<44} {seconds:8.1f} s  {told(seconds)}", flush=True)


def scaled(tables: Mapping[str, Path], folder: Path, copies: int) -> Mapping[str, Path]:
    """Each real customer so many times over; each copy orders a little earlier than the one before."""
    made = {ORDER_LINES: folder / "many_lines.parquet", CUSTOMERS: folder / "many_customers.parquet"}
    with DuckDbRunner(spill=folder) as runner:
        for name, sql in ((ORDER_LINES, _LINES), (CUSTOMERS, _PEOPLE)):
            runner.register_parquet(name, [tables[name]])
            runner.run_to_parquet(sql.format(copies=copies), made[name])
    return made


def learned(tables: Mapping[str, Path]) -> tuple[Classifier, Frozen]:
    """The classifier of the real customers, and what it learned from."""
    clock = ManualClock(datetime.fromisoformat("2018-02-01T00:00:00+00:00"))
    source = ShopClosings(tables, read_segments(DEFAULT_SEGMENTS), KNOWN_AT_CLOSINGS, clock, LARGEST_CATEGORIES)
    frozen = source.observe(PERIOD)
    return train(build_dataset(frozen), TrainSettings()), frozen


def whole(tables: Mapping[str, Path], model: Classifier, names: Mapping[str, str], folder: Path) -> None:
    """Compute the features of everybody, score everybody, write and read the profile store."""
    with timed("features, by SQL, into memory"):
        found = features_at(tables, PERIOD, DAYS, LARGEST_CATEGORIES)
    size = len(found.customers)
    with timed("as a table to score"):
        table = table_of(found, KNOWN_AT_CLOSINGS)
        personas = tuple(str(role) for role in found.columns["role"])
        del found
    with timed("scored, in the form of the profile store", lambda seconds: f"{size / seconds:,.0f} customers a second"):
        data = score_all(model, Frozen(PERIOD, table, (), names, personas, DAYS), "segment@1")
    file = folder / "profiles"
    file.write_bytes(data)
    with timed("read again, checksum compared"):
        profiles = decode_profiles(file.read_bytes())
    ids = table.customers[:: max(1, size // 10_000)]
    look = sorted(_spent(partial(profiles.find, each)) for each in ids)
    print(f"{len(profiles):,} customers in {len(data) / 1e6:.0f} MB; a look takes {_at(look, 0.5):.1f} us, p50")


def one(model: Classifier, data: bytes, frozen: Frozen) -> None:
    """One newcomer by the scorer beside CatBoost's own predict of the same rows, in turns."""
    bare = CatBoostClassifier()
    bare.load_model(blob=model.encode().partition(b"\n")[2])
    scorer, schema, table = NewcomerScorer(model, decode_profiles(data)), model.schema, frozen.table
    known: list[dict[str, Value]] = [
        {name: table.column(name)[row] for name in (*schema.numbers, *schema.categories)} for row in range(IN_A_ROUND)
    ]
    rows = [schema.row(each) for each in known]
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        for features, row in zip(known, rows, strict=True):
            theirs.append(_spent(partial(bare.predict, row, prediction_type="RawFormulaVal", thread_count=1)))
            ours.append(_spent(partial(scorer.score, features)))
    ours.sort()
    theirs.sort()
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        mine, other = _at(ours, share), _at(theirs, share)
        print(f"one newcomer, {name}: {mine:.0f} us, CatBoost's predict {other:.0f} us, ratio {mine / other:.2f}")


def _spent(run: Callable[[], object]) -> float:
    began = perf_counter_ns()
    run()
    return (perf_counter_ns() - began) / 1000


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    """Measure, print, and fail over 4 GiB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    wanted: int = parser.parse_args().customers
    with TemporaryDirectory() as name:
        folder = Path(name)
        tables = export_shop(folder)
        model, frozen = learned(tables)
        data = score_all(model, frozen, "segment@1")
        one(load_classifier(model.encode()), data, frozen)
        copies = -(-wanted // len(frozen.table.customers))
        with timed(f"{copies} copies of the real customers"):
            many = scaled(tables, folder, copies)
        whole(many, model, frozen.names, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"most memory at a time {peak / 1024**3:.2f} GiB, of 4 allowed")
    if peak > MOST_MEMORY:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
