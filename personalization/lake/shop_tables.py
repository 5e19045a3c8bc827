"""The tables of a shop that features are computed from, as Parquet files of fixed columns. Times are UTC."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from personalization.lake.errors import LakeError
from personalization.lake.parquet import write_table

ORDER_LINES, CUSTOMERS, SPONSORS, EXPOSURES = "order_lines", "customers", "sponsors", "exposures"

_TEXT, _COUNT, _TIME = pa.string(), pa.int64(), pa.timestamp("us")

SHOP_TABLES: Mapping[str, pa.Schema] = MappingProxyType(
    {
        # What is paid and what it would cost without coupons is for all units of the line; negative is a refund.
        ORDER_LINES: pa.schema(
            [
                pa.field("customer_id", _TEXT, nullable=False),
                pa.field("order_id", _TEXT, nullable=False),
                pa.field("product_id", _TEXT, nullable=False),
                pa.field("category", _TEXT, nullable=False),
                pa.field("quantity", _COUNT, nullable=False),
                pa.field("paid_cents", _COUNT, nullable=False),
                pa.field("full_cents", _COUNT, nullable=False),
                pa.field("placed_at", _TIME, nullable=False),
            ]
        ),
        CUSTOMERS: pa.schema([("customer_id", _TEXT), ("persona", _TEXT), ("region", _TEXT)]),
        # All sponsors above a customer, the nearest at distance 1.
        SPONSORS: pa.schema([("customer_id", _TEXT), ("sponsor_id", _TEXT), ("distance", _COUNT)]),
        EXPOSURES: pa.schema([("subject", _TEXT), ("flag", _TEXT), ("exposed_at", _TIME)]),
    }
)


def write_shop_table(folder: Path, name: str, rows: Iterable[tuple[object, ...]]) -> Path:
    """Write one of the `SHOP_TABLES`; rows are in the order of its columns. Blocks; raises `OSError` of the disk.

    Raises:
        LakeError: a value does not fit its column: missing where one is needed, not a whole number, NaN.
    """
    schema = SHOP_TABLES[name]
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    try:
        arrays = [pa.array(values).cast(field.type) for values, field in zip(columns, schema, strict=True)]
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise LakeError(f"the table {name} has a value that does not fit: {error}") from error
    for field, values in zip(schema, arrays, strict=True):
        if not field.nullable and values.null_count:
            raise LakeError(f"the table {name} has {values.null_count} rows without {field.name}")
    path = folder / f"{name}.parquet"
    write_table(path, pa.Table.from_arrays(arrays, schema=schema))
    return path
