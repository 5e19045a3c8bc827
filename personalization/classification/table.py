"""Tables of features: a row a customer, numbers and categories apart, with a schema that has a hash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from math import isfinite, nan
from typing import Any

import orjson

from personalization.classification.errors import ClosingRefused, SchemaMismatch

UNKNOWN = ""
"""The category of what is not known; an empty text is not known either."""

Value = float | int | str | bool | None


@dataclass(frozen=True)
class Schema:
    """Names of the columns, numbers first; the order is part of the schema."""

    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    @cached_property
    def hash(self) -> str:
        """Equal for equal schemas: 16 hexadecimal digits of a SHA-256."""
        return sha256(orjson.dumps([self.numbers, self.categories])).hexdigest()[:16]

    def row(self, known: Mapping[str, Value]) -> list[float | str]:
        """One row from what is known, for a single prediction.

        What is not there, None, or no finite number where a number belongs is missing: NaN or `UNKNOWN`. A name that is
        no column is left out.
        """
        return [
            *(_number(known.get(name)) for name in self.numbers),
            *(_category(known.get(name)) for name in self.categories),
        ]

    def check(self, other: "Schema", what: str) -> None:
        """Nothing, when both are equal.

        Raises:
            SchemaMismatch: they are not; `what` names whose the other is.
        """
        if self == other:
            return
        mine, theirs = {*self.numbers, *self.categories}, {*other.numbers, *other.categories}
        missing, extra = sorted(mine - theirs), sorted(theirs - mine)
        raise SchemaMismatch(
            f"{what} has the features {other.hash}, not {self.hash}: missing {', '.join(missing) or 'none'}; "
            f"too many {', '.join(extra) or 'none'}{'' if missing or extra else '; the order or a kind differs'}"
        )


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of features. `numbers` has shape (rows, number columns), NaN where not known; `categories` are by column."""

    schema: Schema
    customers: tuple[str, ...]
    numbers: Any
    categories: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, schema: Schema, customers: Sequence[str], rows: Sequence[Mapping[str, Value]]) -> "Table":
        """A table from a mapping a customer.

        Raises:
            SchemaMismatch: a row lacks a column or has one too many.
            ClosingRefused: a customer is there twice, or a number is infinite.
        """
        import numpy as np

        named = {*schema.numbers, *schema.categories}
        for row in rows:
            if row.keys() != named:
                schema.check(Schema(tuple(sorted(row)), ()), "a row")
        numbers = np.array(
            [[nan if (value := row[name]) is None else float(value) for name in schema.numbers] for row in rows],
            dtype=np.float64,
        ).reshape(len(rows), len(schema.numbers))
        categories = tuple(tuple(_category(row[name]) for row in rows) for name in schema.categories)
        table = cls(schema, tuple(customers), numbers, categories)
        table.check()
        return table

    def check(self) -> None:
        """Nothing, when the table can be learned from.

        Raises:
            ClosingRefused: a customer is there twice, columns are not of one length, or a number is infinite.
        """
        import numpy as np

        size = len(self.customers)
        if len(set(self.customers)) != size:
            raise ClosingRefused(f"{size - len(set(self.customers))} customers are there twice in the features")
        if self.numbers.shape != (size, len(self.schema.numbers)) or {len(each) for each in self.categories} - {size}:
            raise ClosingRefused(f"the features of {size} customers have columns of another length")
        infinite = np.isinf(self.numbers).any(axis=0)
        if infinite.any():
            names = [name for name, bad in zip(self.schema.numbers, infinite, strict=True) if bad]
            raise ClosingRefused(f"the features {', '.join(names)} have infinite values")

    def take(self, rows: Sequence[int]) -> "Table":
        """The table of these rows, in this order."""
        return Table(
            self.schema,
            tuple(self.customers[row] for row in rows),
            self.numbers[list(rows)] if len(rows) else self.numbers[:0],
            tuple(tuple(column[row] for row in rows) for column in self.categories),
        )

    def column(self, name: str) -> Sequence[Any]:
        """The values of one column.

        Raises:
            KeyError: there is none of this name.
        """
        if name in self.schema.numbers:
            column: Sequence[Any] = self.numbers[:, self.schema.numbers.index(name)]
            return column
        if name in self.schema.categories:
            return self.categories[self.schema.categories.index(name)]
        raise KeyError(name)

    def blanked(self, known: Sequence[str]) -> "Table":
        """The same customers as if they were new: all columns but those `known` are missing."""
        numbers = self.numbers.copy()
        for index, name in enumerate(self.schema.numbers):
            if name not in known:
                numbers[:, index] = nan
        nobody = (UNKNOWN,) * len(self.customers)
        pairs = zip(self.schema.categories, self.categories, strict=True)
        categories = tuple(column if name in known else nobody for name, column in pairs)
        return Table(self.schema, self.customers, numbers, categories)

    @staticmethod
    def joined(tables: Sequence["Table"]) -> "Table":
        """The rows of several tables of one schema, one table after the other."""
        import numpy as np

        first = tables[0]
        for each in tables[1:]:
            first.schema.check(each.schema, "a table")
        return Table(
            first.schema,
            tuple(customer for each in tables for customer in each.customers),
            np.concatenate([each.numbers for each in tables]),
            tuple(
                tuple(value for each in tables for value in each.categories[index])
                for index in range(len(first.schema.categories))
            ),
        )


def _number(value: Value) -> float:
    if value is None or isinstance(value, str) or not isfinite(value):
        return nan
    return float(value)


def _category(value: Value) -> str:
    return UNKNOWN if value is None else str(value)
