"""Which segment somebody is taken for: as stored at the closing, scored just now, or usual for the persona."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Counter

from personalization.classification.profiles import Assigned, Origin
from personalization.clock import Deadline
from personalization.errors import PersonaError
from personalization.events import Persona
from personalization.segmentation.newcomers import Purchase, features_of
from resolvers.sources.source import Order

if TYPE_CHECKING:
    from personalization.classification.live import Classification

MOST_ORDERS = 50
"""Orders of a newcomer that are looked at, the latest."""

OrdersLoad = Callable[[str], Awaitable[Sequence[Order]]]

_log = structlog.get_logger()


class SegmentMetrics:
    """How many were given a segment, by where it came from."""

    def __init__(self, registry: CollectorRegistry) -> None:
        given = Counter(
            "gateway_segments_given_total",
            "Contexts that were given a segment: `STORED`, `SCORED`, `ASSUMED`, or `failed` to be scored and assumed.",
            ["origin"],
            registry=registry,
        )
        self.given = {origin: given.labels(origin.value) for origin in Origin}
        self.failed = given.labels("failed")


@dataclass(frozen=True, slots=True)
class Segmenter:
    """Gives the segments of one visit, all by one state of the classifier; none while there is no classifier."""

    live: "Classification | None"
    orders: OrdersLoad
    now: datetime
    deadline: Deadline
    metrics: SegmentMetrics

    def assumed(self, persona: Persona) -> Assigned | None:
        """What is usual for a persona."""
        return None if self.live is None else self._counted(self.live.assumed(persona))

    async def of(self, customer_id: str, role: Persona, region: str | None) -> Assigned | None:
        """The segment of a customer. One who was not there at the closing is scored by its orders; without any, or
        when it cannot be scored in time, what is usual for the role is assumed.
        """
        live = self.live
        if live is None:
            return None
        stored = live.find(customer_id)
        if stored is not None:
            return self._counted(stored)
        try:
            scored = await self._scored(live, customer_id, role, region)
        except (PersonaError, TimeoutError) as error:
            self.metrics.failed.inc()
            _log.warning("newcomer_not_scored", reason=type(error).__name__)
            return live.assumed(role)
        return self.assumed(role) if scored is None else self._counted(scored)

    async def _scored(
        self, live: "Classification", customer_id: str, role: Persona, region: str | None
    ) -> Assigned | None:
        async with asyncio.timeout(self.deadline.remaining()):
            orders = await self.orders(customer_id)
            features = features_of([_purchase(each) for each in orders], self.now, live.profiles.head.days)
            if not features:
                return None
            return await live.score({**features, "role": role.value, "region": region})

    def _counted(self, given: Assigned) -> Assigned:
        self.metrics.given[given.origin].inc()
        return given


def _purchase(order: Order) -> Purchase:
    cents = sum(round(line.amount * 100) for line in order.lines)
    return Purchase(order.placed_at, sum(line.quantity for line in order.lines), cents)
