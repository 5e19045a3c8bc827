"""What is known of each customer as of a date: the declared features, and the table of them, computed by SQL."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from types import MappingProxyType

from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.etl import literal
from personalization.lake.parquet import rows_in
from personalization.lake.shop_tables import SHOP_TABLES, write_shop_table
from personalization.segmentation.errors import EmptyPeriod, NoCustomers

_SQL = Path(__file__).parent / "sql" / "features.sql"
_MEMORY = "2GB"
"""Enough for a million customers with 14 million order lines; medians do not go to disk."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

Value = float | str | None


class Kind(StrEnum):
    """What the values of a feature are: numbers, or one of several words. Both may be missing."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as it is declared. `sentence` says what it is to a human, `source` which tables it comes from."""

    key: str
    sentence: str
    unit: str
    source: str
    kind: Kind = Kind.NUMERIC


def short_label(key: str) -> str:
    """A feature's key without what all of its kind have in common: of a category or a component, its own name."""
    return key.rpartition(".")[2]


FEATURES = (
    Feature("recency", "Time since the last order.", "days", "order_lines"),
    Feature("tenure", "Time since the first order.", "days", "order_lines"),
    Feature("frequency", "Orders in the period; refunds are none.", "orders", "order_lines"),
    Feature("recent_orders", "Orders in the last 90 days of the period.", "orders", "order_lines"),
    Feature("active_months", "Months of the calendar with an order in the period.", "months", "order_lines"),
    Feature("monetary", "Money paid in the period, refunds taken off.", "currency", "order_lines"),
    Feature("basket_size", "Units in an order, on average.", "units", "order_lines"),
    Feature("price_level", "Price of a unit over the median of its category.", "ratio", "order_lines"),
    Feature("coupon_use", "Share of lines bought with a coupon.", "share", "order_lines"),
    Feature("season", "Northern season with most orders.", "season", "order_lines", Kind.CATEGORICAL),
    Feature("role", "Persona of the customer.", "persona", "customers", Kind.CATEGORICAL),
    Feature("region", "Region of the customer.", "region", "customers", Kind.CATEGORICAL),
    Feature("team_size", "Customers sponsored, at any distance, who ordered before the date.", "people", "sponsors"),
    Feature("sponsor_depth", "Sponsors above, up to the root of the tree.", "people", "sponsors"),
)
"""What is computed of any shop; shares of categories and uses of components are added by name."""


def schema_hash(features: Sequence[Feature]) -> str:
    """SHA-256 of keys, units and kinds in their order."""
    text = "\n".join(f"{each.key}\t{each.unit}\t{each.kind}" for each in features)
    return sha256(text.encode()).hexdigest()


def category_share(category: str) -> Feature:
    """The share of one category."""
    return Feature(f"share.{category}", f"Share of money spent on {category}.", "share", "order_lines")


def component_use(flag: str) -> Feature:
    """How often one component was given; missing of customers without any exposure."""
    return Feature(f"uses.{flag}", f"Times that {flag} was given in the period.", "exposures", "exposures")


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of customers known before `until`; those about a period are of [`since`, `until`).

    `columns` has the values of each feature by key, in the order of `customers` (by id). None is missing.
    """

    since: datetime
    until: datetime
    customers: tuple[str, ...]
    features: tuple[Feature, ...]
    columns: Mapping[str, tuple[Value, ...]]

    @property
    def schema_hash(self) -> str:
        """Tables of the same hash have the same columns."""
        return schema_hash(self.features)

    @property
    def days(self) -> int | None:
        """How many days the period is long; None when it begins before all orders."""
        return None if self.since == _LONG_AGO else (self.until - self.since).days

    def row(self, customer_id: str) -> Mapping[str, Value]:
        """The features of one customer; `KeyError` when it is not in the table."""
        try:
            place = self.customers.index(customer_id)
        except ValueError as error:
            raise KeyError(customer_id) from error
        return {key: values[place] for key, values in self.columns.items()}


def compute_features(
    tables: Mapping[str, Path],
    *,
    until: datetime,
    since: datetime | None = None,
    categories: Sequence[str] = (),
    components: Sequence[str] = (),
) -> FeatureTable:
    """The features of everyone who ordered before `until`, from Parquet files by the names of `SHOP_TABLES`.

    Times are aware. A line that is there twice with all its values counts once. What is placed at `until` or later,
    by a clock that runs ahead too, does not exist. Tables left out are empty, but order lines. Blocks.

    Raises:
        NoCustomers: nobody ordered before `until`.
        EmptyPeriod: nobody ordered from `since` on and before `until`.
        LakeError: a table cannot be read.
    """
    start = since or _LONG_AGO
    features = (*FEATURES, *map(category_share, categories), *map(component_use, components))
    sql = _sql(start, until, categories, components)
    with TemporaryDirectory() as folder:
        target = Path(folder) / "features.parquet"
        with DuckDbRunner(memory=_MEMORY, spill=Path(folder)) as runner:
            _register(runner, tables, Path(folder))
            runner.run_to_parquet(sql, target)
        customers, columns = _columns(target, features)
    _check(columns["frequency"], start, until)
    return FeatureTable(start, until, customers, features, MappingProxyType(columns))


def _register(runner: DuckDbRunner, tables: Mapping[str, Path], folder: Path) -> None:
    for name in SHOP_TABLES:
        path = tables[name] if name in tables else write_shop_table(folder, name, ())
        runner.register_parquet(name, [path])


def _columns(path: Path, features: Sequence[Feature]) -> tuple[tuple[str, ...], dict[str, tuple[Value, ...]]]:
    """Customers and columns; a row at a time, so that a million customers fit into memory."""
    customers: list[str] = []
    columns: list[list[Value]] = [[] for _ in features]
    wanted = [(each.key, each.kind, column.append) for each, column in zip(features, columns, strict=True)]
    for row in rows_in(path):
        customers.append(row["customer_id"])
        for key, kind, append in wanted:
            append(_value(row[key], kind))
    return tuple(customers), {each.key: tuple(column) for each, column in zip(features, columns, strict=True)}


def _check(frequency: Sequence[Value], since: datetime, until: datetime) -> None:
    if not frequency:
        raise NoCustomers(f"nobody ordered anything before {until.isoformat()}; choose a later date")
    if not any(frequency):
        raise EmptyPeriod(f"nobody ordered anything from {since.isoformat()} to {until.isoformat()}")


def _value(value: object, kind: Kind) -> Value:
    if value is None:
        return None
    if kind is Kind.NUMERIC:
        return float(value if isinstance(value, float) else str(value))
    return sys.intern(str(value))  # few words, many customers


def _sql(since: datetime, until: datetime, categories: Sequence[str], components: Sequence[str]) -> str:
    spread = [
        f",\n        COALESCE(SUM(CASE WHEN category = {literal(each)} THEN paid_cents END), 0) / MAX(spent)"
        f" AS {_name(category_share(each))}"
        for each in categories
    ]
    shown = [
        f",\n        COUNT(CASE WHEN flag = {literal(each)} THEN 1 END) AS {_name(component_use(each))}"
        for each in components
    ]
    added = (*map(category_share, categories), *map(component_use, components))
    chosen = [f",\n    {_name(each)}" for each in added]
    return Template(_SQL.read_text()).substitute(
        since=literal(since),
        until=literal(until),
        spread="".join(spread),
        shown="".join(shown),
        chosen="".join(chosen),
    )


def _name(feature: Feature) -> str:
    doubled = feature.key.replace('"', '""')
    return f'"{doubled}"'
