"""Which segment and persona a viewer is taken for."""

from dataclasses import dataclass

import strawberry
from strawberry import Info

from personalization.events import Persona
from resolvers.cache_control import CacheControl, CacheScope
from resolvers.context import ContextArgument
from resolvers.cost import Cost
from resolvers.fallbacks import CALLERS_FAULT, AnswerMode
from resolvers.fields import listed, resolved
from resolvers.visit import Visit


@dataclass(frozen=True, slots=True)
class Assignment:
    """A persona, a segment where one is known, and where they come from."""

    persona: Persona
    segment: str | None
    mode: AnswerMode
    reason: str


@strawberry.type(description="Which segment and persona the viewer is taken for.")
class SegmentAssignment:
    """Shows an `Assignment`."""

    persona: Persona = listed("The persona, from the customer's role; `VISITOR` for anybody else.")
    segment: str | None = listed("Key of the segment; null where none is known.")
    mode: AnswerMode = listed("What the answer stands on.")
    reason: str = listed(
        "`NO_CONTEXT`, `ROLE` (the customer's role), `ANONYMOUS`, or why it is a fallback "
        "(`UPSTREAM_UNAVAILABLE`, `DEADLINE_EXCEEDED`, …)."
    )


async def _segment(info: Info[Visit, None], context: ContextArgument = None) -> Assignment:
    visit = info.context
    if context is None:
        return Assignment(Persona.VISITOR, None, AnswerMode.DEFAULT, "NO_CONTEXT")
    try:
        effective = await visit.contexts.resolve(context)
    except CALLERS_FAULT:
        raise
    except Exception as error:
        reason = visit.fallbacks.because("segment", error)
        return Assignment(visit.viewer.persona or Persona.VISITOR, None, AnswerMode.FALLBACK, reason)
    reason = "ANONYMOUS" if effective.persona is Persona.VISITOR else "ROLE"
    return Assignment(effective.persona, effective.segment, AnswerMode.PERSONALIZED, reason)


@strawberry.type
class SegmentQueries:
    """The personalized view of who the viewer is."""

    segment: SegmentAssignment = resolved(
        _segment,
        description="Personalized. Segment and persona of the viewer; without a context, those of a visitor.",
        directives=[CacheControl(max_age=0, scope=CacheScope.PRIVATE), Cost(weight=5)],
    )
