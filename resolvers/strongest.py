"""What a persona buys most, for viewers of whom no purchases are known."""

import asyncio
from collections.abc import Mapping

from personalization.clock import Clock, Deadline
from personalization.errors import PersonaError
from personalization.events import Persona
from resolvers.sources.source import CommerceSource

_KEPT_SECONDS = 300.0


class StrongestCategories:
    """Each persona's strongest categories, read from the shop at most once in five minutes.

    When a renewal fails the last answer goes on being given; only a first read can fail.
    """

    def __init__(self, source: CommerceSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._known: Mapping[Persona, tuple[str, ...]] | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    async def of(self, persona: Persona, deadline: Deadline) -> tuple[str, ...]:
        """Category ids, strongest first; empty where the shop knows none.

        Raises:
            SourceError, DeadlineExceeded: they were never read, and could not be now.
        """
        if self._known is None or self._is_stale():
            self._known = await self._renewed(deadline)
        return self._known[persona]

    def at_hand(self, persona: Persona) -> tuple[str, ...] | None:
        """As `of`, where nothing has to be read for it; otherwise None."""
        return None if self._known is None or self._is_stale() else self._known[persona]

    def _is_stale(self) -> bool:
        return self._clock.monotonic() - self._read_at > _KEPT_SECONDS

    async def _renewed(self, deadline: Deadline) -> Mapping[Persona, tuple[str, ...]]:
        """What is known now; the old where others renew it already, or nobody can."""
        if self._known is not None and self._reading.locked():
            return self._known
        async with self._reading:
            if self._known is not None and not self._is_stale():
                return self._known
            try:
                self._known = _of_all(await self._source.persona_categories(deadline))
            except PersonaError:
                if self._known is None:
                    raise
            self._read_at = self._clock.monotonic()
            return self._known


def _of_all(known: Mapping[Persona, tuple[str, ...]]) -> Mapping[Persona, tuple[str, ...]]:
    """Those of visitors for personas of whom none are known."""
    return {persona: known.get(persona) or known.get(Persona.VISITOR, ()) for persona in Persona}
