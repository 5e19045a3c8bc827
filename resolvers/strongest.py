"""What a persona buys most, for viewers of whom no purchases are known."""

import asyncio

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
        self._known: dict[Persona, tuple[str, ...]] | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    async def of(self, persona: Persona, deadline: Deadline) -> tuple[str, ...]:
        """Category ids, strongest first; empty where the shop knows none.

        Raises:
            SourceError, DeadlineExceeded: they were never read, and could not be now.
        """
        if self.at_hand(persona) is None:
            await self._renew(deadline)
        known = self._known or {}
        return known.get(persona) or known.get(Persona.VISITOR, ())

    def at_hand(self, persona: Persona) -> tuple[str, ...] | None:
        """As `of`, where nothing has to be read for it; otherwise None."""
        known = self._known
        if known is None or self._clock.monotonic() - self._read_at > _KEPT_SECONDS:
            return None
        return known.get(persona) or known.get(Persona.VISITOR, ())

    async def _renew(self, deadline: Deadline) -> None:
        if self._known is not None and self._reading.locked():
            return
        async with self._reading:
            if self.at_hand(Persona.VISITOR) is not None:
                return
            try:
                self._known = await self._source.persona_categories(deadline)
            except PersonaError:
                if self._known is None:
                    raise
            self._read_at = self._clock.monotonic()
