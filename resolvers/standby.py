"""Shelves kept at hand, so that a page still has products when the shop does not answer."""

from cachetools import LRUCache

from resolvers.sources.source import Product

_MOST_SHELVES = 256


class StandbyShelves:
    """The last good bestsellers of each category (None: of the whole shop), the least recently used out first.

    Held for the life of the process; at most 256 shelves of at most 100 products.
    """

    def __init__(self) -> None:
        self._shelves: LRUCache[str | None, tuple[Product, ...]] = LRUCache(_MOST_SHELVES)

    def keep(self, category_id: str | None, products: tuple[Product, ...]) -> None:
        """Remember a shelf that was read; a shorter one never replaces a longer one's tail."""
        known = self._shelves.get(category_id, ())
        fresh = {product.id for product in products}
        tail = tuple(product for product in known[len(products) :] if product.id not in fresh)
        if products:
            self._shelves[category_id] = products + tail

    def shelf(self, category_id: str | None, limit: int) -> tuple[Product, ...]:
        """At most `limit` products: of the category, else of the whole shop, else none."""
        known = self._shelves.get(category_id) or self._shelves.get(None) or ()
        return known[:limit]
