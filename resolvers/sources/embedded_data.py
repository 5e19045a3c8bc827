"""The files behind the embedded shop as typed rows; `completejourney/NOTICE.md` says where they come from."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import count, islice
from pathlib import Path

FOLDER = Path(__file__).parent / "completejourney"


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A product as the data has it: raw words, cents, purchase lines and buying households of 2017."""

    id: str
    maker: str
    department: str
    category: str
    type: str
    private_brand: bool
    size: str
    list_cents: int
    lines: int
    households: int


@dataclass(frozen=True, slots=True)
class PurchaseLine:
    """One product in one purchase. `paid_cents` is for all units, `unit_cents` the card price of one before coupons."""

    customer_id: str
    order_id: str
    product_id: str
    quantity: int
    paid_cents: int
    unit_cents: int
    at: datetime


@dataclass(frozen=True, slots=True)
class CouponRow:
    """A coupon of a campaign, valid for a product from the first second of a day to the last of another."""

    id: str
    product_id: str
    campaign: str
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Wording:
    """Raw words spelled out: the name of a category, the noun for a product of that type, the make if it says one."""

    name: str
    noun: str
    make: str | None


@dataclass(frozen=True, slots=True)
class ShopData:
    """All of it."""

    products: tuple[ProductRow, ...]
    purchases: tuple[PurchaseLine, ...]
    coupons: tuple[CouponRow, ...]
    wording: dict[str, Wording]


def read_shop(products: int | None = None) -> ShopData:
    """The data; with `products` as many products, the missing ones made by varying the real ones.

    Variants serve benchmarks: their ids are `<id>-<n>`, they sell less the higher n, and nobody ordered them. Raises
    `ValueError` for fewer products than the data has, since orders would point nowhere.
    """
    rows = tuple(_products())
    if products is not None:
        if products < len(rows):
            raise ValueError(f"products must be at least {len(rows)}, the real ones; received {products}")
        rows = tuple(islice(_varied(rows), products))
    return ShopData(rows, tuple(_purchases()), tuple(_coupons()), _wording())


def data_files() -> tuple[Path, ...]:
    """The files that are read, in a fixed order."""
    return tuple(sorted(path for path in FOLDER.iterdir() if path.name.startswith("cj_")))


def drawn(purpose: str, key: str) -> int:
    """A number of 63 bits that looks random and is the same for ever: the source of all that is synthetic."""
    return int.from_bytes(blake2b(f"{purpose}:{key}".encode(), digest_size=8).digest()) >> 1


def _varied(rows: tuple[ProductRow, ...]) -> Iterator[ProductRow]:
    yield from rows
    for number in count(1):
        for row in rows:
            key = f"{row.id}-{number}"
            cents = row.list_cents + drawn("price", key) % 200
            yield replace(row, id=key, list_cents=cents, lines=row.lines // (number + 1), households=0)


def _products() -> Iterator[ProductRow]:
    for row in _rows("cj_beauty_products.csv.gz"):
        yield ProductRow(
            id=row["product_id"],
            maker=row["manufacturer_id"],
            department=row["department"],
            category=row["product_category"],
            type=row["product_type"],
            private_brand=row["brand"] == "Private",
            size=row["package_size"],
            list_cents=_cents(row["list_price"]),
            lines=int(row["n_lines"]),
            households=int(row["n_households"]),
        )


def _purchases() -> Iterator[PurchaseLine]:
    for row in _rows("cj_beauty_transactions.csv.gz"):
        quantity, received = int(row["quantity"]), _cents(row["sales_value"])
        yield PurchaseLine(
            customer_id=row["household_id"],
            order_id=row["basket_id"],
            product_id=row["product_id"],
            quantity=quantity,
            paid_cents=max(0, received - _cents(row["coupon_disc"])),
            unit_cents=(received + _cents(row["coupon_match_disc"])) // quantity,
            at=datetime.fromisoformat(row["transaction_timestamp"]).replace(tzinfo=UTC),
        )


def _coupons() -> Iterator[CouponRow]:
    campaigns = {row["campaign_id"]: row for row in _rows("cj_campaign_descriptions.csv")}
    found = {(r["product_id"], r["coupon_upc"], r["campaign_id"]) for r in _rows("cj_beauty_coupons.csv.gz")}
    for product_id, code, number in sorted(found):
        campaign = campaigns[number]
        start, end = _day(campaign["start_date"]), _day(campaign["end_date"])
        name = f"Campaign {number} ({campaign['campaign_type']})"
        yield CouponRow(f"{code}-{number}", product_id, name, start, end + timedelta(days=1, seconds=-1))


def _wording() -> dict[str, Wording]:
    rows = _rows("cj_vocabulary.csv", delimiter="|")
    return {row["source"]: Wording(row["name"], row["noun"], row["make"] or None) for row in rows}


def _rows(name: str, delimiter: str = ",") -> Iterator[dict[str, str]]:
    path = FOLDER / name
    opener = gzip.open if name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines, delimiter=delimiter)


def _cents(amount: str) -> int:
    return int((Decimal(amount or "0") * 100).to_integral_value())


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
