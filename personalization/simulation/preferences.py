"""What simulated shoppers like: known, so that it can be said how much of it a policy found out.

How much a shopper likes an action is the logistic function of a sum:

    what its persona likes          the table below, the same for every seed
  + what sells of its category in this season      drawn by the seed, normal with deviation 1.0
  + what its region is after                       drawn by the seed, normal with deviation 0.4
  + a taste of this persona for this category      drawn by the seed, normal with deviation 0.3
  - 1.2

The first three are what a model with the interactions context x action and category x season x action can express; the
last is not, as life has it. With a liking of x, a shopper opens a product with probability `0.04 + 0.5 x`, and puts one
that it opened into the basket with probability `0.05 + 0.6 x`.
"""

from collections.abc import Mapping, Sequence
from math import exp
from random import Random
from types import MappingProxyType

from personalization.events import DecisionContext, Persona, Season, ShelfAction
from personalization.simulation.delays import BASKET_IN_TIME, DETAIL_IN_TIME

ACTIONS: tuple[str, ...] = tuple(each.value for each in ShelfAction)
CATEGORIES: tuple[str, ...] = ("skin", "hair", "oral", "vitamins")
REGIONS: tuple[str, ...] = ("US-NE", "US-MW", "US-S", "US-W")
SEASONS: tuple[str, ...] = tuple(each.value for each in Season)

TABLE: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        # looks around; has no history that categories could come from
        Persona.VISITOR.value: (-0.6, -0.8, 0.5, 1.4),
        # shows others what sells
        Persona.BUILDER.value: (-0.4, 0.2, 1.6, 0.3),
        # buys what its customers buy
        Persona.CONSULTANT.value: (1.5, 0.6, -0.4, -0.4),
        # buys again, in batches, of what it stocks, and fills up the rest
        Persona.SHOP_OWNER.value: (0.5, 1.5, 0.5, -0.9),
        # keeps to what the family uses
        Persona.DIRECT_CUSTOMER.value: (1.3, 0.2, 0.0, 0.4),
    }
)
"""What each persona likes, by action in the order of `ACTIONS`."""

_OFFSET = 1.2
_BY_SEASON, _BY_REGION, _BY_TASTE = 1.0, 0.4, 0.3


class Preferences:
    """The preferences of one seed. `era` 0 is the beginning; in each later one, everything has changed.

    A change gives every persona the likes of the next one in the table, and draws the rest anew.
    """

    def __init__(self, seed: int, era: int = 0) -> None:
        chance = Random(f"preferences/{seed}/{era}")
        personas = tuple(TABLE)
        self._persona = {each: TABLE[personas[(place + era) % len(personas)]] for place, each in enumerate(personas)}
        self._season = {(category, season): _draws(chance, _BY_SEASON) for category in CATEGORIES for season in SEASONS}
        self._region = {region: _draws(chance, _BY_REGION) for region in REGIONS}
        self._taste = {
            (persona, category): _draws(chance, _BY_TASTE) for persona in personas for category in CATEGORIES
        }

    def likes(self, context: DecisionContext) -> tuple[float, ...]:
        """How much a shopper likes each of `ACTIONS`, between 0 and 1. Its context must be whole."""
        persona, category = context.persona or "", context.category or ""
        parts: Sequence[tuple[float, ...]] = (
            self._persona[persona],
            self._season[category, context.season or ""],
            self._region[context.region or ""],
            self._taste[persona, category],
        )
        return tuple(1.0 / (1.0 + exp(_OFFSET - sum(each))) for each in zip(*parts, strict=True))

    def rewards(self, context: DecisionContext) -> tuple[float, ...]:
        """The reward to expect of each of `ACTIONS`: 1 for a detail and 2 more for a basket, where they are in time."""
        return tuple(
            detail_chance(like) * (DETAIL_IN_TIME + 2.0 * basket_chance(like) * BASKET_IN_TIME)
            for like in self.likes(context)
        )


def detail_chance(like: float) -> float:
    """How likely a shopper opens a product of what it likes so much."""
    return 0.04 + 0.5 * like


def basket_chance(like: float) -> float:
    """How likely a shopper puts into the basket what it opened."""
    return 0.05 + 0.6 * like


def _draws(chance: Random, deviation: float) -> tuple[float, ...]:
    return tuple(chance.gauss(0.0, deviation) for _ in ACTIONS)
