"""From raw rows to the products and categories of the embedded shop. Every word of a name is a fact of the data."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from resolvers.sources.embedded_data import ProductRow, PurchaseLine, ShopData, Wording, drawn

OUT_OF_STOCK_PERCENT = 6
FEWEST_UNITS, MOST_UNITS = 3, 240
_UNITS = {"l": "L", "ml": "mL"}


@dataclass(frozen=True, slots=True)
class ShopProduct:
    """A product as the shop shows it. `path` is its department, category and type as category ids."""

    id: str
    name: str
    path: tuple[str, str, str]
    brand: str
    description: str
    size: str | None
    popularity: int
    amount_cents: int
    list_cents: int
    synthetic_units: int


@dataclass(frozen=True, slots=True)
class ShopCategory:
    """A node of the tree; `products` counts what is in it and below it."""

    id: str
    name: str
    parent_id: str | None
    products: int


def compose_products(data: ShopData) -> tuple[ShopProduct, ...]:
    """The products, most popular first, ties by id. No two have one name."""
    rows = sorted(data.products, key=lambda row: (-row.lines, row.id))
    names = _names(rows, data.wording)
    paid = _card_prices(data.purchases)
    return tuple(_product(row, names[row.id], data.wording, paid) for row in rows)


def compose_categories(data: ShopData) -> tuple[ShopCategory, ...]:
    """The tree, parents before children, siblings with most products first."""
    sizes: Counter[str] = Counter()
    names: dict[str, str] = {}
    for row in data.products:
        raw = (row.department, row.category, row.type)
        for category_id, words in zip(category_path(row), raw, strict=True):
            sizes[category_id] += 1
            names[category_id] = data.wording[words].name
    children: defaultdict[str | None, list[str]] = defaultdict(list)
    for category_id in sorted(sizes, key=lambda key: (-sizes[key], key)):
        children[_parent(category_id)].append(category_id)
    order = _preorder(children, None)
    return tuple(ShopCategory(key, names[key], _parent(key), sizes[key]) for key in order)


def category_path(row: ProductRow) -> tuple[str, str, str]:
    """Category ids from the department down to the type, such as `drug-gm.vitamins.vitamin-children`."""
    department = _slug(row.department)
    category = f"{department}.{_slug(row.category)}"
    return department, category, f"{category}.{_slug(row.type)}"


def natural_size(raw: str) -> str | None:
    """A package size as people write it: `.98 OZ` is `0.98 oz`; None where the data has none."""
    spaced = re.sub(r"\s*/\s*", " / ", raw.strip().lower())
    numbered = re.sub(r"(?<![\d.])\.(?=\d)", "0.", spaced)
    return " ".join(_UNITS.get(word, word) for word in numbered.split()) or None


def _preorder(children: dict[str | None, list[str]], parent: str | None) -> list[str]:
    order: list[str] = []
    for category_id in children.get(parent, []):
        order += [category_id, *_preorder(children, category_id)]
    return order


def _parent(category_id: str) -> str | None:
    return category_id.rpartition(".")[0] or None


def _slug(raw: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", raw.lower()).strip("-")


def _product(row: ProductRow, name: str, wording: dict[str, Wording], paid: dict[str, int]) -> ShopProduct:
    list_cents = max(row.list_cents, 1)
    return ShopProduct(
        id=row.id,
        name=name,
        path=category_path(row),
        brand=_brand(row, wording),
        description=_description(row, wording),
        size=natural_size(row.size),
        popularity=row.lines,
        amount_cents=min(list_cents, paid.get(row.id) or list_cents),
        list_cents=list_cents,
        synthetic_units=_units(row.id),
    )


def _names(rows: Sequence[ProductRow], wording: dict[str, Wording]) -> dict[str, str]:
    """Plain names; those that several products share get the maker, then a number in the order of ids."""
    plain = {row.id: _plain_name(row, wording) for row in rows}
    with_maker = _told_apart(plain, rows, lambda row, _: f", Maker {row.maker}")
    return _told_apart(with_maker, rows, lambda _, number: f", No. {number}")


def _told_apart(
    names: dict[str, str], rows: Iterable[ProductRow], addition: Callable[[ProductRow, int], str]
) -> dict[str, str]:
    shared = Counter(names.values())
    seen: Counter[str] = Counter()
    told: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.id):
        name = names[row.id]
        seen[name] += 1
        told[row.id] = name + addition(row, seen[name]) if shared[name] > 1 else name
    return told


def _plain_name(row: ProductRow, wording: dict[str, Wording]) -> str:
    words = wording[row.type]
    brand = "Store Brand" if row.private_brand else words.make
    size = natural_size(row.size)
    return f"{brand} {words.noun}".removeprefix("None ") + (f", {size}" if size else "")


def _brand(row: ProductRow, wording: dict[str, Wording]) -> str:
    return wording[row.type].make or ("Store Brand" if row.private_brand else "National Brand")


def _description(row: ProductRow, wording: dict[str, Wording]) -> str:
    category, department = wording[row.category].name, wording[row.department].name
    size = natural_size(row.size)
    facts = [
        f"{wording[row.type].noun} from {category} in {department}",
        *([f"package size {size}"] if size else []),
        f"{'store' if row.private_brand else 'national'} brand of maker {row.maker}",
    ]
    if row.households:
        facts.append(f"bought {row.lines} times by {row.households} households in 2017")
    return "; ".join(facts) + "."


def _card_prices(purchases: Sequence[PurchaseLine]) -> dict[str, int]:
    """What one unit cost at its latest purchase for more than nothing."""
    latest = sorted((line for line in purchases if line.unit_cents > 0), key=lambda line: (line.at, line.order_id))
    return {line.product_id: line.unit_cents for line in latest}


def _units(product_id: str) -> int:
    if drawn("out of stock", product_id) % 100 < OUT_OF_STOCK_PERCENT:
        return 0
    return FEWEST_UNITS + drawn("units", product_id) % (MOST_UNITS - FEWEST_UNITS)
