"""What a closing freezes, and the data set that is made of it and of the closings before.

closings/2017-10/features.json.gz    features and segments at the end of the period; written once
closings/2017-10/dataset.json.gz     which rows train, validate and test; written once
"""

import gzip
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b, sha256
from typing import Any, Protocol

import orjson

from personalization.classification.errors import ClosingDamaged, ClosingRefused, InvalidPeriod
from personalization.classification.table import Schema, Table

LOOK_BACK = 6
"""How many closings a data set goes back, the one that is closed included."""

LEAST_OF_A_SEGMENT = 10
"""Rows of a segment to train on; of fewer nothing can be said."""

_period = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])").fullmatch
_TRAINED, _VALIDATED = 70, 85


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A month, as commissions are paid: from its first moment (UTC) until before that of the next."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> "Period":
        """The period of `2017-10`.

        Raises:
            InvalidPeriod: it is written in another way.
        """
        found = _period(text)
        if found is None or int(found[1]) == 0:
            raise InvalidPeriod(f"{text!r} is no period: give year and month as 2017-10")
        return cls(int(found[1]), int(found[2]))

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.shifted(1).start

    def shifted(self, months: int) -> "Period":
        """The period so many months later, or earlier when that is negative."""
        count = self.year * 12 + self.month - 1 + months
        return Period(count // 12, count % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a closing freezes: features as of the end of the period, each customer's segment, and segments' names.

    `days` is how far back features look, None for all there is. `remarks` say what was odd in the data, and what of it
    was left out.
    """

    period: Period
    table: Table
    labels: tuple[str, ...]
    names: Mapping[str, str]
    personas: tuple[str, ...]
    days: int | None = None
    remarks: tuple[str, ...] = ()

    def check(self) -> None:
        """Nothing, when it can be frozen.

        Raises:
            ClosingRefused: nobody is in it, or parts of it do not fit together.
        """
        self.table.check()
        size = len(self.table.customers)
        if not size:
            raise ClosingRefused(f"nobody was there in {self.period}: no customer has features as of its end")
        if len(self.labels) != size or len(self.personas) != size:
            raise ClosingRefused(
                f"{size} customers have {len(self.labels)} segments and {len(self.personas)} personas in {self.period}"
            )
        unnamed = sorted(set(self.labels) - self.names.keys())
        if unnamed:
            raise ClosingRefused(f"customers are in segments that are not defined: {', '.join(unnamed)}")


class ClosingSource(Protocol):
    """Where closings get features and segments from. May block.

    Raises:
        PersonaError: it cannot be read; the message says why.
    """

    def observe(self, period: Period) -> Frozen:
        """All that is known as of the end of the period; nothing from after it is in there."""
        ...


class Part(StrEnum):
    """What a row is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a part, with their segments."""

    table: Table
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The data set of a closing. No customer is in two parts; what is tested is of the period that was closed.

    What is trained and validated on is from before it, unless there was no closing before: then all are of it, and
    `by_time` is false. `sha256` is that of the bytes that `encode_dataset` gives.
    """

    period: Period
    periods: tuple[Period, ...]
    by_time: bool
    parts: Mapping[Part, Rows]
    names: Mapping[str, str]
    sha256: str = ""

    @property
    def schema(self) -> Schema:
        """The columns, of all parts."""
        return self.parts[Part.TEST].table.schema

    def counts(self) -> dict[str, int]:
        """Rows by part."""
        return {part.value: len(rows) for part, rows in self.parts.items()}


def part_of(customer: str) -> Part:
    """The part of a customer: 70, 15 and 15 of 100, by a hash, so the same in each closing."""
    number = int.from_bytes(blake2b(customer.encode(), digest_size=8, person=b"closing-split").digest()) % 100
    if number < _TRAINED:
        return Part.TRAIN
    return Part.VALIDATION if number < _VALIDATED else Part.TEST


def build_dataset(closed: Frozen, before: Sequence[Frozen] = ()) -> Dataset:
    """The data set of a closing and the closings before it that have the same columns, oldest first.

    Raises:
        ClosingRefused: there is too little of a segment, or of a part, to learn and judge.
    """
    usable = [each for each in before if each.table.schema == closed.table.schema][-(LOOK_BACK - 1) :]
    learned = usable or [closed]
    parts = {
        Part.TRAIN: _rows(learned, Part.TRAIN),
        Part.VALIDATION: _rows(learned, Part.VALIDATION),
        Part.TEST: _rows([closed], Part.TEST),
    }
    _check_parts(closed.period, parts)
    periods = (*(each.period for each in usable), closed.period)
    made = Dataset(closed.period, periods, bool(usable), parts, dict(closed.names))
    return Dataset(*_members(made), sha256=sha256(encode_dataset(made)).hexdigest())


def encode_frozen(frozen: Frozen) -> bytes:
    """The same bytes for the same content."""
    return _packed(
        {
            "period": str(frozen.period),
            "names": dict(frozen.names),
            "personas": frozen.personas,
            "days": frozen.days,
            "remarks": frozen.remarks,
            "rows": _rows_record(Rows(frozen.table, frozen.labels)),
        }
    )


def decode_frozen(data: bytes) -> Frozen:
    """What `encode_frozen` wrote.

    Raises:
        ClosingDamaged: it did not write this.
    """
    try:
        record = orjson.loads(gzip.decompress(data))
        rows = _rows_of(record["rows"])
        return Frozen(
            Period.parse(record["period"]),
            rows.table,
            rows.labels,
            dict(record["names"]),
            tuple(record["personas"]),
            record["days"],
            tuple(record["remarks"]),
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, InvalidPeriod) as error:
        raise ClosingDamaged(f"the frozen features cannot be read: {type(error).__name__}: {error}") from error


def encode_dataset(dataset: Dataset) -> bytes:
    """The same bytes for the same content, with the schema and its hash."""
    return _packed(
        {
            "period": str(dataset.period),
            "periods": [str(each) for each in dataset.periods],
            "by_time": dataset.by_time,
            "names": dict(dataset.names),
            "schema_hash": dataset.schema.hash,
            "parts": {part.value: _rows_record(rows) for part, rows in dataset.parts.items()},
        }
    )


def _members(made: Dataset) -> tuple[Period, tuple[Period, ...], bool, Mapping[Part, Rows], Mapping[str, str]]:
    return made.period, made.periods, made.by_time, made.parts, made.names


def _rows(closings: Sequence[Frozen], part: Part) -> Rows:
    tables, labels = [], []
    for each in closings:
        chosen = [row for row, customer in enumerate(each.table.customers) if part_of(customer) is part]
        tables.append(each.table.take(chosen))
        labels += [each.labels[row] for row in chosen]
    return Rows(Table.joined(tables), tuple(labels))


def _check_parts(period: Period, parts: Mapping[Part, Rows]) -> None:
    counts = {part: Counter(rows.labels) for part, rows in parts.items()}
    for part, rows in parts.items():
        if not len(rows):
            sizes = ", ".join(f"{len(each)} to {name.value}" for name, each in parts.items())
            raise ClosingRefused(f"{period} has no customers for {part.value} ({sizes}): there are too few")
    if len(counts[Part.TRAIN]) < 2:
        raise ClosingRefused(
            f"all customers to train on in {period} are in one segment: there is nothing to tell apart"
        )
    for segment in sorted({*counts[Part.TRAIN], *counts[Part.TEST]}):
        found = counts[Part.TRAIN][segment]
        if found < LEAST_OF_A_SEGMENT:
            raise ClosingRefused(
                f"the segment {segment!r} has {found} rows to train on in {period}, at least {LEAST_OF_A_SEGMENT} are "
                "needed: define the segments anew, or close once there are more"
            )


def _rows_record(rows: Rows) -> dict[str, Any]:
    table = rows.table
    return {
        "number_columns": table.schema.numbers,
        "category_columns": table.schema.categories,
        "customers": table.customers,
        "numbers": table.numbers.tolist(),
        "categories": table.categories,
        "labels": rows.labels,
    }


def _rows_of(record: Mapping[str, Any]) -> Rows:
    import numpy as np

    schema = Schema(tuple(record["number_columns"]), tuple(record["category_columns"]))
    customers = tuple(record["customers"])
    numbers = np.array(record["numbers"], dtype=np.float64).reshape(len(customers), len(schema.numbers))
    categories = tuple(tuple(column) for column in record["categories"])
    return Rows(Table(schema, customers, numbers, categories), tuple(record["labels"]))


def _packed(record: Mapping[str, Any]) -> bytes:
    return gzip.compress(orjson.dumps(record, option=orjson.OPT_SORT_KEYS), 6, mtime=0)
