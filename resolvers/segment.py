"""Which segment and persona a viewer is taken for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import strawberry
from strawberry import Info

from personalization.classification.profiles import Assigned, Origin
from personalization.events import Persona
from resolvers.cache_control import CacheControl, CacheScope
from resolvers.context import ContextArgument, EffectiveContext
from resolvers.cost import Cost
from resolvers.fallbacks import CALLERS_FAULT, AnswerMode
from resolvers.fields import listed, resolved
from resolvers.plans import Constant
from resolvers.visit import Visit


@dataclass(frozen=True, slots=True)
class Assignment:
    """A persona, a segment where one is known, and where they come from."""

    persona: Persona
    key: str | None
    mode: AnswerMode
    reason: str
    assigned: Assigned | None = None

    @property
    def name(self) -> str | None:
        """The segment's name."""
        return self.assigned.name if self.assigned else None

    @property
    def probability(self) -> float | None:
        """How probable the segment is."""
        return self.assigned.probability if self.assigned else None

    @property
    def model(self) -> str | None:
        """The model that tells."""
        return self.assigned.model if self.assigned else None

    @property
    def period(self) -> str | None:
        """The period closed last by that model."""
        return self.assigned.period if self.assigned else None

    @property
    def source(self) -> Origin | None:
        """Where the segment comes from."""
        return self.assigned.origin if self.assigned else None


@strawberry.type(description="Which segment and persona the viewer is taken for.")
class SegmentAssignment:
    """Shows an `Assignment`."""

    persona: Persona = listed("The persona, from the customer's role; `VISITOR` for anybody else.")
    key: str | None = listed("Key of the segment, such as `regulars`; null where none is known.")
    name: str | None = listed("Name of the segment, for people.")
    probability: float | None = listed(
        "How probable the segment is, above 0 and at most 1; of an assumed one, its share among those of the persona."
    )
    model: str | None = listed("Name and version of the classifier, such as `segment@7`.")
    period: str | None = listed("The period whose closing it is from, such as `2017-10`.")
    source: Origin | None = listed("Where the segment comes from.")
    mode: AnswerMode = listed("What the answer stands on.")
    reason: str = listed(
        "`NO_CONTEXT`, `ROLE` (the customer's role), `ANONYMOUS`, or why it is a fallback "
        "(`UPSTREAM_UNAVAILABLE`, `DEADLINE_EXCEEDED`, …)."
    )


_NO_CONTEXT: Final = Assignment(Persona.VISITOR, None, AnswerMode.DEFAULT, "NO_CONTEXT")


async def _segment(info: Info[Visit, None], context: ContextArgument = None) -> Assignment:
    visit = info.context
    if context is None:
        return _NO_CONTEXT
    try:
        effective = await visit.contexts.resolve(context)
    except CALLERS_FAULT:
        raise
    except Exception as error:
        reason = visit.fallbacks.because("segment", error)
        return Assignment(visit.viewer.persona or Persona.VISITOR, None, AnswerMode.FALLBACK, reason)
    return _assignment(effective)


def _assignment(context: EffectiveContext) -> Assignment:
    reason = "ANONYMOUS" if context.persona is Persona.VISITOR else "ROLE"
    return Assignment(context.persona, context.segment, AnswerMode.PERSONALIZED, reason, context.assigned)


def _planned(
    _visit: Visit, _place: str, context: EffectiveContext | None, _arguments: Mapping[str, object]
) -> Constant:
    return Constant(_NO_CONTEXT if context is None else _assignment(context))


@strawberry.type
class SegmentQueries:
    """The personalized view of who the viewer is."""

    segment: SegmentAssignment = resolved(
        _segment,
        description="Personalized. Segment and persona of the viewer; without a context, those of a visitor.",
        directives=[CacheControl(max_age=0, scope=CacheScope.PRIVATE), Cost(weight=5)],
        plan=_planned,
    )
