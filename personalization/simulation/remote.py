"""Simulated shoppers against a running gateway, in real time: they visit, look around, and their pages report."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from personalization.errors import StorefrontFailed
from personalization.events import HOLDBACK
from personalization.simulation.preferences import ACTIONS, CATEGORIES, Preferences
from personalization.simulation.record import Record
from personalization.simulation.shoppers import BETWEEN_VISITS, Deed, Shoppers, Shopping
from personalization.simulation.storefront import Shown, Storefront

MOST_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Traffic:
    """What comes: `rate` visits a second on average; all that shoppers do is `speed` times as fast as people are.

    With another speed than 1 the gateway's window of the join has to be that much shorter.
    """

    seed: int = 0
    decisions: int = 2_000
    change_at: int | None = None
    rate: float = 10.0
    speed: float = 1.0


class RemoteSimulation:
    """One run. Recorded is the reward to expect of what was shown; the group that is held back is left out."""

    def __init__(self, traffic: Traffic, storefront: Storefront) -> None:
        self.record = Record()
        self.policy = ""
        self.failures = 0
        self._traffic = traffic
        self._storefront = storefront
        self._shoppers = Shoppers(traffic.seed)
        self._preferences = Preferences(traffic.seed)
        self._categories: dict[str, str] = {}

    async def run(self, tell: Callable[[int, "RemoteSimulation"], None] = lambda _, __: None) -> Record:
        """Simulate all visits and what follows from them; `tell` is called now and then with the number of visits,
        once there is something to tell.

        Raises:
            StorefrontFailed: the gateway has no four categories, more than 20 requests failed, or no visit counts.
        """
        found = await self._storefront.categories()
        if len(found) < len(CATEGORIES):
            raise StorefrontFailed(f"the gateway has {len(found)} categories, at least {len(CATEGORIES)} are needed")
        self._categories = dict(zip(CATEGORIES, found, strict=False))
        try:
            async with asyncio.TaskGroup() as visits:
                await self._come(visits, tell)
        except* StorefrontFailed as failed:
            raise StorefrontFailed(f"more than {MOST_FAILURES} requests failed") from failed
        if not len(self.record):
            raise StorefrontFailed(
                f"of {self._traffic.decisions} visits none got a decision: {self.failures} failed, the rest was held "
                "back and got the default; the gateway's GATEWAY_HOLDBACK has to be below 1"
            )
        tell(self._traffic.decisions, self)
        return self.record

    async def _come(self, visits: asyncio.TaskGroup, tell: Callable[[int, "RemoteSimulation"], None]) -> None:
        every = max(1, round(self._traffic.rate))
        for number, shopping in enumerate(islice(self._shoppers.visits(), self._traffic.decisions)):
            if number == self._traffic.change_at:
                self._preferences = Preferences(self._traffic.seed, era=1)
            await asyncio.sleep(shopping.after.total_seconds() / BETWEEN_VISITS / self._traffic.rate)
            visits.create_task(self._visit(shopping, self._preferences))
            if (number + 1) % every == 0 and len(self.record):
                tell(number + 1, self)

    async def _visit(self, shopping: Shopping, preferences: Preferences) -> None:
        category = self._categories[shopping.context.category or ""]
        try:
            shown = await self._storefront.visit(shopping, category)
            self._take(shopping, preferences, shown)
            await self._act(shopping, shown, self._shoppers.deeds(preferences, shopping.context, shown.action))
        except StorefrontFailed:
            self.failures += 1
            if self.failures > MOST_FAILURES:
                raise

    def _take(self, shopping: Shopping, preferences: Preferences, shown: Shown) -> None:
        if shown.reason != HOLDBACK:
            self.policy = shown.policy
            chosen = tuple(1.0 if each == shown.action else 0.0 for each in ACTIONS)
            self.record.add(chosen, preferences.rewards(shopping.context))

    async def _act(self, shopping: Shopping, shown: Shown, deeds: tuple[Deed, ...]) -> None:
        """Do everything at its time; the page's report takes as long as it takes."""
        passed = timedelta()
        for deed in deeds:
            await asyncio.sleep((deed.after - passed).total_seconds() / self._traffic.speed)
            passed = deed.after
            await self._storefront.report(shopping, shown.decision_id, deed.kind)
