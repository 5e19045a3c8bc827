"""From the answers of an Oscar shop to the values of the gateway. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from html.parser import HTMLParser

from resolvers.sources.oscar_wire import AvailabilityAnswer, ItemAnswer, PriceAnswer, StockRecordAnswer
from resolvers.sources.source import Category, Price, Product, Stock

BRAND, SIZE = "brand", "size"
UNCATEGORISED = Category("uncategorised", "Other", None, (), 0)


@dataclass(frozen=True, slots=True)
class Family:
    """What a variant takes from its parent product."""

    title: str
    description: str
    breadcrumbs: tuple[str, ...]
    attribute_codes: frozenset[str]

    @classmethod
    def of(cls, parent: ItemAnswer) -> "Family":
        """The family that a parent product heads."""
        codes = frozenset(attribute.code for attribute in parent.attributes)
        return cls(parent.title or "", parent.description or "", parent.categories, codes)


_NO_FAMILY = Family("", "", (), frozenset())


@dataclass(frozen=True, slots=True)
class Item:
    """A product that can be bought, with what the index sorts and filters by."""

    answer: ItemAnswer
    family: Family | None
    price: Price | None
    stock: Stock


def breadcrumbs_of(answer: ItemAnswer, family: Family | None) -> tuple[str, ...]:
    """The categories it stands in; a variant stands where its parent does."""
    return answer.categories or (family.breadcrumbs if family else ())


def to_product(answer: ItemAnswer, family: Family | None, category_ids: Mapping[str, str], popularity: int) -> Product:
    """The product. `category_ids` gives category ids by breadcrumbs; the first that is known counts."""
    known = [category_ids[place] for place in breadcrumbs_of(answer, family) if place in category_ids]
    attributes = {attribute.code: attribute.text() for attribute in answer.attributes}
    return Product(
        id=str(answer.id),
        name=_name(answer, family or _NO_FAMILY),
        category_id=known[0] if known else UNCATEGORISED.id,
        brand=attributes.get(BRAND) or None,
        description=_text(answer.description or (family.description if family else "")) or None,
        size=attributes.get(SIZE) or None,
        popularity=popularity,
    )


def to_price(answer: PriceAnswer) -> Price | None:
    """The price with tax where the shop knows the tax; None for what has no price. Oscar has no price before offers."""
    amount = answer.excl_tax if answer.incl_tax is None else answer.incl_tax
    if amount is None or not answer.currency:
        return None
    return Price(amount, amount, answer.currency)


def to_stock(answer: AvailabilityAnswer) -> Stock:
    """Whether it can be bought, and how many."""
    units = None if answer.num_available is None else max(0, answer.num_available)
    return Stock(answer.is_available_to_buy, units)


def record_price(records: tuple[StockRecordAnswer, ...]) -> Price | None:
    """The price of the first stock record, as Oscar's default strategy chooses."""
    if not records or records[0].price is None or not records[0].price_currency:
        return None
    return Price(records[0].price, records[0].price, records[0].price_currency)


def record_stock(records: tuple[StockRecordAnswer, ...], counted: bool) -> Stock:
    """The stock of the first stock record, less what is allocated to orders."""
    if not records or records[0].price is None:
        return Stock(available=False, units=None)
    if not counted:
        return Stock(available=True, units=None)
    units = max(0, (records[0].num_in_stock or 0) - (records[0].num_allocated or 0))
    return Stock(units > 0, units)


def unit_amount(amount: Decimal, quantity: int) -> Decimal:
    """What one unit costs, when `quantity` units cost `amount`, to the cent."""
    return (amount / quantity).quantize(Decimal("0.01"))


def _name(answer: ItemAnswer, family: Family) -> str:
    """The title; a variant without one has its parent's, and in brackets what sets it apart."""
    if title := (answer.title or "").strip():
        return title
    own = sorted(answer.attributes, key=lambda attribute: attribute.code)
    apart = [text for attribute in own if attribute.code not in family.attribute_codes and (text := attribute.text())]
    whole = f"{family.title.strip()} ({', '.join(apart)})" if apart else family.title.strip()
    return whole.strip() or answer.upc or f"Product {answer.id}"


class _Words(HTMLParser):
    """Collects the text between tags; what is in scripts and styles is none."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style") and self._silent > 0

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words += data.split()


def _text(html: str) -> str:
    """The words of a description, without its markup."""
    if "<" not in html and "&" not in html:
        return " ".join(html.split())
    parser = _Words()
    parser.feed(html)
    parser.close()
    return " ".join(parser.words)
