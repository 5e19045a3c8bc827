"""Ranked lists of the embedded shop, worked out once for each kind, category and region, and filled up already.

Bestsellers come by purchase lines. Trending compares the last four weeks of the data with the four before: the score
is `(recent - before) / sqrt(recent + before + 1)`, the rise measured in its own noise, and only rises count. A list
that runs short goes on with the same category everywhere, then with bestsellers of the category, then with its parent's
list.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import sqrt

from resolvers.sources.embedded_catalogue import ShopCategory, ShopProduct
from resolvers.sources.embedded_data import PurchaseLine
from resolvers.sources.source import MAX_PAGE, ShelfKind

WINDOW = timedelta(days=28)
EVERYWHERE = ""
Rank = dict[str, float]
Lists = dict[str | None, list[str]]
"""Product ids by category id; None is the whole shop."""


@dataclass(frozen=True, slots=True)
class ShelfList:
    """One ranked list: at most a hundred products in stock, best first."""

    kind: ShelfKind
    category_id: str | None
    region: str
    product_ids: list[str]


def compose_shelves(
    products: Sequence[ShopProduct],
    categories: Sequence[ShopCategory],
    purchases: Sequence[PurchaseLine],
    region_of: dict[str, str],
) -> Iterator[ShelfList]:
    """Every list. `region_of` gives a customer's region."""
    offered = [product for product in products if product.synthetic_units > 0]
    parents = {category.id: category.parent_id for category in categories}
    popular = _by_category(offered, {product.id: float(product.popularity) for product in offered})
    for kind in ShelfKind:
        ranks = _ranks(kind, purchases, region_of)
        general = _filled(_by_category(offered, ranks.pop(EVERYWHERE)), popular, parents)
        yield from (ShelfList(kind, key, EVERYWHERE, ids) for key, ids in general.items())
        for region, rank in sorted(ranks.items()):
            regional = _filled(_by_category(offered, rank), general, parents)
            yield from (ShelfList(kind, key, region, ids) for key, ids in regional.items())


def _ranks(kind: ShelfKind, purchases: Sequence[PurchaseLine], region_of: dict[str, str]) -> dict[str, Rank]:
    """Scores above zero by region, everywhere included."""
    end = max(line.at for line in purchases)
    recent: defaultdict[str, Counter[str]] = defaultdict(Counter)
    before: defaultdict[str, Counter[str]] = defaultdict(Counter)
    ever: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in purchases:
        for region in (EVERYWHERE, region_of[line.customer_id]):
            ever[region][line.product_id] += 1
            if line.at > end - WINDOW:
                recent[region][line.product_id] += 1
            elif line.at > end - 2 * WINDOW:
                before[region][line.product_id] += 1
    if kind is ShelfKind.BESTSELLERS:
        return {region: {key: float(lines) for key, lines in counts.items()} for region, counts in ever.items()}
    return {region: _rises(recent[region], before[region]) for region in ever}


def _rises(recent: Counter[str], before: Counter[str]) -> Rank:
    return {
        key: (lines - before[key]) / sqrt(lines + before[key] + 1)
        for key, lines in recent.items()
        if lines > before[key]
    }


def _by_category(offered: Sequence[ShopProduct], rank: Rank) -> Lists:
    """The ranked products of each category, best first, ties as the products come (by popularity, then id)."""
    lists: Lists = defaultdict(list)
    ranked = [product for product in offered if product.id in rank]
    for product in sorted(ranked, key=lambda product: -rank[product.id]):
        for category_id in (None, *product.path):
            if len(lists[category_id]) < MAX_PAGE:
                lists[category_id].append(product.id)
    return lists


def _filled(lists: Lists, reserve: Lists, parents: dict[str, str | None]) -> Lists:
    """Each list, then the reserve of its category, then the list of its parent; `parents` has parents first."""
    filled: Lists = {None: _joined(lists.get(None, []), reserve.get(None, []))}
    for category_id, parent_id in parents.items():
        own = _joined(lists.get(category_id, []), reserve.get(category_id, []))
        filled[category_id] = _joined(own, filled[parent_id])
    return filled


def _joined(first: list[str], then: list[str]) -> list[str]:
    return list(dict.fromkeys([*first, *then]))[:MAX_PAGE]
