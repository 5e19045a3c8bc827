"""What the contract suite knows of a shop, the bad input it tries, and how it walks lists."""

from dataclasses import dataclass, replace

from personalization.clock import Deadline, SystemClock
from resolvers.sources.source import CatalogQuery, CommerceSource, Product

OWNER, STRANGER = "visitor:contract-owner", "visitor:contract-stranger"
UNKNOWN = "no-such-thing-0"
HOSTILE = (
    "",
    " \t\n",
    "'; DROP TABLE product; --",
    '"',
    '"" OR 1=1',
    "../../../etc/passwd",
    "a/b?c=d&e#f",
    "%00%2e%2e%2f",
    "\x00",
    "null",
    "-1",
    "9" * 400,
    "名前 مرحبا 💥",
    "\u202egnp.exe",
    "\ud800",
    "x" * 10_000,
)
HOSTILE_SEARCHES = (
    *HOSTILE,
    "AND",
    "a OR b NOT",
    "NEAR(a b, 2)",
    "name:shampoo",
    "^shampoo*",
    "-soap +bar",
    "((((",
    "*",
    "{a b} : c",
    "a" + " a" * 3_000,
)
WORDLESS = ("", "   ", "\t\n", '"', "'", "*", "- - -", "(((", "?!.,;:")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the shop behind the source under test.

    `product_ids` are at least three products in stock; `unavailable_id` one that is not, where there is any.
    `category_id` holds between 2 and 500 products, `other_category_id` is another that holds some.
    `search` is text that finds `search_product_id`. `customer_id` has orders; None where the source shows no customers.
    """

    product_ids: tuple[str, ...]
    category_id: str
    other_category_id: str
    search: str
    search_product_id: str
    customer_id: str | None = None
    unavailable_id: str | None = None
    region: str | None = None


def soon(seconds: float = 30.0) -> Deadline:
    """A deadline far enough away for any single call."""
    return Deadline.after(seconds, SystemClock())


async def walk(source: CommerceSource, query: CatalogQuery) -> list[Product]:
    """Every product of the list, page after page; fails where a page breaks the rules of pages."""
    found: list[Product] = []
    after: str | None = None
    while True:
        page = await source.catalog(replace(query, after=after), soon())
        assert len(page.products) == len(page.cursors) <= query.first
        found.extend(page.products)
        if not page.has_next:
            return found
        assert page.products, "an empty page that says more follow would be walked for ever"
        after = page.cursors[-1]


async def below(source: CommerceSource, category_id: str) -> set[str]:
    """The category and everything below it."""
    tree = {category.id: category for category in await source.category_tree(soon())}
    todo, ids = [category_id], set[str]()
    while todo:
        current = todo.pop()
        ids.add(current)
        todo.extend(tree[current].child_ids)
    return ids
