"""Simulated shoppers: who comes, when, and what they do with what they are shown. Seeded: the same again, always."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from types import MappingProxyType

from personalization.events import DecisionContext, Device, OutcomeKind, Persona, Placement
from personalization.simulation.delays import basket_delay, detail_delay, report_delay
from personalization.simulation.preferences import (
    ACTIONS,
    CATEGORIES,
    REGIONS,
    SEASONS,
    Preferences,
    basket_chance,
    detail_chance,
)

SHARES: Mapping[str, float] = MappingProxyType(
    {
        Persona.VISITOR.value: 0.30,
        Persona.BUILDER.value: 0.10,
        Persona.CONSULTANT.value: 0.20,
        Persona.SHOP_OWNER.value: 0.15,
        Persona.DIRECT_CUSTOMER.value: 0.25,
    }
)
"""How many of the visits are of each persona."""

SUBJECTS = 2_000
BETWEEN_VISITS = 0.5
"""Mean seconds from one visit to the next, of all shoppers together."""


@dataclass(frozen=True, slots=True)
class Shopping:
    """One visit: who, in which context, and so long after the visit before."""

    subject: str
    context: DecisionContext
    after: timedelta


@dataclass(frozen=True, slots=True)
class Deed:
    """Something a shopper does, so long after the decision; the gateway hears of it `reported` after the decision."""

    kind: OutcomeKind
    after: timedelta
    reported: timedelta


class Shoppers:
    """2,000 people, each of one persona, region and device; every visit looks at some category, in some season.

    Seasons are mixed, for a shop sells in both hemispheres and ahead of time, and a simulation lasts for hours only.
    """

    def __init__(self, seed: int) -> None:
        self._chance = Random(f"shoppers/{seed}")
        personas, weights = tuple(SHARES), tuple(SHARES.values())
        devices = tuple(each.value for each in Device)
        self._people = [
            (
                f"customer:sim-{number}",
                self._chance.choices(personas, weights)[0],
                self._chance.choice(REGIONS),
                self._chance.choice(devices),
            )
            for number in range(SUBJECTS)
        ]

    def visits(self) -> Iterator[Shopping]:
        """One visit after the other, for ever."""
        while True:
            subject, persona, region, device = self._chance.choice(self._people)
            context = DecisionContext(
                Placement.HOME.value,
                persona=persona,
                category=self._chance.choice(CATEGORIES),
                region=region,
                season=self._chance.choice(SEASONS),
                device=device,
            )
            pause = self._chance.expovariate(1.0 / BETWEEN_VISITS)
            yield Shopping(subject, context, timedelta(seconds=pause))

    def deeds(self, preferences: Preferences, context: DecisionContext, action: str) -> tuple[Deed, ...]:
        """What a shopper does that is shown this action, in the order of time; the display is told at once."""
        like = preferences.likes(context)[ACTIONS.index(action)]
        deeds = [self._deed(OutcomeKind.DISPLAYED, 0.1)]
        if self._chance.random() < detail_chance(like):
            after = detail_delay(self._chance)
            deeds.append(self._deed(OutcomeKind.DETAIL_DISPLAYED, after))
            if self._chance.random() < basket_chance(like):
                deeds.append(self._deed(OutcomeKind.ADDED_TO_BASKET, after + basket_delay(self._chance)))
        return tuple(deeds)

    def _deed(self, kind: OutcomeKind, after: float) -> Deed:
        return Deed(kind, timedelta(seconds=after), timedelta(seconds=after + report_delay(self._chance)))
