"""How long events are kept, and the task that sees to it."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter

from personalization.errors import HubUnavailable

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retention:
    """Events are dropped when they are older than `age`, or when a topic holds more than `most_events`.

    Whether groups have read them does not matter, or one idle group would fill the disk: a group that comes later
    goes on from the oldest event kept. An id is known as a duplicate for as long as its event is kept.
    """

    age: timedelta = timedelta(days=7)
    most_events: int = 2_000_000


class Prunable(Protocol):
    """A hub that drops old events when told to."""

    async def prune(self, retention: Retention) -> int:
        """Drop what `retention` no longer keeps; how many events that were."""
        ...


class Pruner:
    """Prunes a hub every `every` seconds until closed; a hub that is unavailable is pruned the next time."""

    def __init__(
        self, hub: Prunable, retention: Retention, registry: CollectorRegistry, *, every: float = 600.0
    ) -> None:
        self._hub = hub
        self._retention = retention
        self._every = every
        self._task: asyncio.Task[None] | None = None
        self._pruned = Counter("gateway_hub_pruned_total", "Events dropped by retention.", registry=registry)

    async def start(self) -> None:
        """Begin; the first pruning is now."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="hub retention")

    async def aclose(self) -> None:
        """Stop. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            try:
                self._pruned.inc(await self._hub.prune(self._retention))
            except HubUnavailable as error:
                _log.warning("hub_not_pruned", cause=type(error.__cause__).__name__)
            await asyncio.sleep(self._every)
