"""Opens a visit for each request."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from opentelemetry.trace import Tracer, format_trace_id, get_current_span
from starlette.requests import Request

from flags.components import Components
from flags.layers import Ask
from flags.live import Flags
from flags.personalized import PersonalizedFlags
from flags.preview import Preview
from flags.subject import Subject
from gateway.audience import Audiences
from gateway.event_rate import EventRate
from gateway.previews import Previews
from gateway.settings import Settings
from gateway.viewer import Viewers
from personalization.assembly import Personalization
from personalization.classification.live import LiveSegments
from personalization.clock import Clock, Deadline
from resolvers.batching import LoaderMetrics
from resolvers.context import Contexts, EffectiveContext
from resolvers.fallbacks import Fallbacks
from resolvers.loaders import Loaders
from resolvers.page_flags import AskOf, PageFlags
from resolvers.segmenting import Segmenter, SegmentMetrics
from resolvers.sharing import SharedReads
from resolvers.sources.source import CommerceSource
from resolvers.standby import StandbyShelves
from resolvers.strongest import StrongestCategories
from resolvers.viewer import Viewer
from resolvers.visit import Visit

# What is kept back of the visit's time, so that an answer with defaults can still be written.
_RESERVE_S = 0.05
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Visits:
    """Makes visits from the long-lived parts."""

    settings: Settings
    viewers: Viewers
    previews: Previews
    source: CommerceSource
    reads: SharedReads
    flags: Flags
    components: Components
    personalized: PersonalizedFlags
    personalization: Personalization
    standby: StandbyShelves
    strongest: StrongestCategories
    fallbacks: Fallbacks
    segments: LiveSegments
    segment_metrics: SegmentMetrics
    event_rate: EventRate
    audiences: Audiences | None
    loader_metrics: LoaderMetrics
    clock: Clock
    tracer: Tracer

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Visit]:
        """The visit of a request; reads that are still under way when it ends are cancelled.

        Raises:
            InvalidToken: the request carries a token that is not good.
            InvalidPreview: it carries a preview token that is not good.
        """
        visit = await self.make(request)
        try:
            yield visit
        finally:
            visit.cancel()

    async def make(self, request: Request) -> Visit:
        """A visit, to be ended by who asks for it."""
        viewer = await self.viewers.viewer(request)
        address = request.client.host if request.client else ""
        visit = self.of(viewer, self.previews.of(request, viewer), address)
        if self.audiences is not None and visit.preview is None:
            visit.contexts.greet = self.audiences.greeter(request)
        return visit

    def for_all(self, request: Request) -> AbstractAsyncContextManager[Visit] | None:
        """A visit of the audience that a request names, whoever sent it; None where it names none."""
        audience = self.audiences.of(request) if self.audiences is not None else None
        return None if audience is None else self.again(Viewer.standing_for(audience))

    @asynccontextmanager
    async def again(self, viewer: Viewer) -> AsyncIterator[Visit]:
        """A visit that no request stands behind, such as to make anew in the background what was served."""
        visit = self.of(viewer)
        try:
            yield visit
        finally:
            visit.cancel()

    def of(
        self,
        viewer: Viewer,
        preview: Preview | None = None,
        address: str = "",
    ) -> Visit:
        """A visit of this viewer, who asks from this address, from now on."""
        deadline = Deadline.after(self.settings.request_timeout_ms / 1000 - _RESERVE_S, self.clock)
        personal_deadline = deadline.capped(self.settings.personalization_timeout_ms / 1000)
        loaders = Loaders(
            self.source,
            self.reads,
            deadline=deadline,
            personal_deadline=personal_deadline,
            tracer=self.tracer,
            metrics=self.loader_metrics,
        )
        trace = get_current_span().get_span_context()
        trace_id = format_trace_id(trace.trace_id) if trace.is_valid else None
        flags = PageFlags(
            self.flags.snapshot,
            self.personalized,
            _ask_of(viewer, preview, personal_deadline, trace_id),
            tracer=self.tracer,
            metrics=self.loader_metrics,
        )
        now = self.clock.now()
        segments = Segmenter(self.segments.current, loaders.orders_of, now, personal_deadline, self.segment_metrics)
        return Visit(
            viewer=viewer,
            deadline=deadline,
            personal_deadline=personal_deadline,
            source=self.source,
            loaders=loaders,
            contexts=Contexts(viewer, now, loaders.customer, segments),
            components=self.components,
            flags=flags,
            decisions=self.personalization.decisions,
            outcomes=self.personalization.outcomes,
            standby=self.standby,
            strongest=self.strongest,
            fallbacks=self.fallbacks,
            admit=partial(self.event_rate.check, viewer, address),
            preview=preview,
            trace_id=trace_id,
            again=partial(self.again, viewer),
        )


def _ask_of(viewer: Viewer, preview: Preview | None, deadline: Deadline, trace_id: str | None) -> AskOf:
    """How this viewer's fields ask for flags."""
    overrides = preview.variants if preview is not None else _NONE

    def ask(context: EffectiveContext | None) -> Ask:
        if context is None:
            return Ask(Subject(), overrides=overrides)
        supports = dict(context.supports) if context.supports is not None else None
        return Ask(context.flag_subject(), viewer.session, supports, overrides, deadline, trace_id)

    return ask
