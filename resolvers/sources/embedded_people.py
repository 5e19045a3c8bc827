"""Customers of the embedded shop: what they bought, and the persona, region and sponsors made up for them.

Personas follow behaviour: the households with most orders are builders; of the others, those with most units a line
are shop owners; of the others, those that buy the widest range are consultants; the rest are direct customers.
Sponsors form a forest: builders under builders, consultants and shop owners under builders and consultants, most direct
customers under consultants. Everyone's sponsor stands earlier in that order, so there are no cycles. Regions are drawn
from a hash of the id.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from personalization.events import Persona
from resolvers.sources.embedded_catalogue import ShopProduct
from resolvers.sources.embedded_data import PurchaseLine, drawn

REGIONS = ("US-NE", "US-MW", "US-S", "US-W")
MOST_CATEGORIES = 5
_BUILDERS, _SHOP_OWNERS, _CONSULTANTS = 0.03, 0.05, 0.15
_ROOTS = 5
_UNSPONSORED_PERCENT = 20
_FEWEST_LINES_OF_SHOP_OWNERS = 3


@dataclass(frozen=True, slots=True)
class ShopCustomer:
    """A household as a customer. `top_categories` are of the middle level, strongest first; sponsors nearest first."""

    id: str
    synthetic_persona: Persona
    synthetic_region: str
    synthetic_sponsors: tuple[str, ...]
    top_categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Behaviour:
    """How a household buys."""

    id: str
    orders: int
    lines: int
    units: int
    types: int


def compose_customers(products: Sequence[ShopProduct], purchases: Sequence[PurchaseLine]) -> tuple[ShopCustomer, ...]:
    """Every household that bought something, by id."""
    path = {product.id: product.path for product in products}
    by_customer: defaultdict[str, list[PurchaseLine]] = defaultdict(list)
    for line in purchases:
        by_customer[line.customer_id].append(line)
    personas = _personas([_behaviour(key, lines, path) for key, lines in by_customer.items()])
    sponsors = _sponsor_lines(personas)
    return tuple(
        ShopCustomer(
            id=key,
            synthetic_persona=personas[key],
            synthetic_region=REGIONS[drawn("region", key) % len(REGIONS)],
            synthetic_sponsors=sponsors[key],
            top_categories=strongest(Counter(path[line.product_id][1] for line in by_customer[key])),
        )
        for key in sorted(by_customer)
    )


def persona_categories(customers: Sequence[ShopCustomer], lines: dict[str, Counter[str]]) -> dict[Persona, list[str]]:
    """The strongest categories of each persona, from the lines a category of each customer; VISITOR is everyone."""
    totals: defaultdict[Persona, Counter[str]] = defaultdict(Counter)
    for customer in customers:
        totals[customer.synthetic_persona].update(lines[customer.id])
        totals[Persona.VISITOR].update(lines[customer.id])
    return {persona: list(strongest(total)) for persona, total in totals.items()}


def strongest(lines: Counter[str]) -> tuple[str, ...]:
    """At most five category ids, most lines first, ties by id."""
    return tuple(sorted(lines, key=lambda key: (-lines[key], key))[:MOST_CATEGORIES])


def _behaviour(customer_id: str, lines: Sequence[PurchaseLine], path: dict[str, tuple[str, str, str]]) -> _Behaviour:
    return _Behaviour(
        id=customer_id,
        orders=len({line.order_id for line in lines}),
        lines=len(lines),
        units=sum(line.quantity for line in lines),
        types=len({path[line.product_id][2] for line in lines}),
    )


def _personas(people: list[_Behaviour]) -> dict[str, Persona]:
    """Persona by customer, in sponsoring order: builders, consultants, shop owners, direct customers."""
    everyone = len(people)
    builders, rest = _split(people, lambda p: p.orders, round(everyone * _BUILDERS))
    owners, rest = _split(rest, _bulk, round(everyone * _SHOP_OWNERS))
    consultants, rest = _split(rest, lambda p: p.types, round(everyone * _CONSULTANTS))
    groups = (
        (Persona.BUILDER, builders),
        (Persona.CONSULTANT, consultants),
        (Persona.SHOP_OWNER, owners),
        (Persona.DIRECT_CUSTOMER, rest),
    )
    return {person.id: persona for persona, group in groups for person in group}


def _bulk(person: _Behaviour) -> float:
    return person.units / person.lines if person.lines >= _FEWEST_LINES_OF_SHOP_OWNERS else 0.0


def _split(
    people: list[_Behaviour], strength: Callable[[_Behaviour], float], size: int
) -> tuple[list[_Behaviour], list[_Behaviour]]:
    ranked = sorted(people, key=lambda person: (-strength(person), person.id))
    return ranked[:size], ranked[size:]


def _sponsor_lines(personas: dict[str, Persona]) -> dict[str, tuple[str, ...]]:
    """The line of sponsors of each customer; `personas` is in sponsoring order."""
    lines: dict[str, tuple[str, ...]] = {}
    builders: list[str] = []
    consultants: list[str] = []
    for key, persona in personas.items():
        sponsor = _sponsor(key, persona, builders, consultants)
        lines[key] = (sponsor, *lines[sponsor]) if sponsor else ()
        if persona is Persona.BUILDER:
            builders.append(key)
        elif persona is Persona.CONSULTANT:
            consultants.append(key)
    return lines


def _sponsor(key: str, persona: Persona, builders: list[str], consultants: list[str]) -> str | None:
    draw = drawn("sponsor", key)
    if persona is Persona.BUILDER:
        return builders[draw % len(builders)] if len(builders) >= _ROOTS else None
    if persona is Persona.DIRECT_CUSTOMER and draw % 100 < _UNSPONSORED_PERCENT:
        return None
    candidates = consultants if persona is Persona.DIRECT_CUSTOMER else builders + consultants
    return candidates[draw // 100 % len(candidates)]
