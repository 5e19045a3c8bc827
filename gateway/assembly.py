"""Builds every long-lived part once, in order, and closes them in reverse."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from graphql import GraphQLSchema
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flags.bandit_layer import BanditLayer
from flags.components import Components
from flags.exposures import Exposures
from flags.live import DEMO_DIRECTORY, Flags
from flags.metrics import FlagMetrics
from flags.personalized import FlagAnswers, PersonalizedFlags
from flags.preview import PreviewTokens
from flags.registry import SHIPPED_DIRECTORY
from flags.sticky_sqlite import SqliteStickyDecisions
from flags.vocabulary import Vocabulary
from gateway.audience import Audiences
from gateway.caching import keeping, open_cache, release_of
from gateway.changes import Changes
from gateway.collector import Ga4Collector
from gateway.console.door import Console
from gateway.console.opening import open_console
from gateway.demo import DemoDoor, is_demo
from gateway.documents import Documents
from gateway.endpoint import GraphQLEndpoint
from gateway.event_rate import EventRate
from gateway.execution.engine import Engine
from gateway.execution.tracing import instrument
from gateway.health import Readiness
from gateway.keys import Keys, derived, keys_of
from gateway.ofrep import Ofrep
from gateway.ofrep_events import Notices, Subscribe
from gateway.ofrep_wire import state_of
from gateway.previews import Previews
from gateway.purges import Purges
from gateway.purging import Purging
from gateway.settings import Settings
from gateway.shop import open_source
from gateway.short_way import Shortcut
from gateway.storefront import Storefront
from gateway.tags import EventIntake
from gateway.telemetry import Telemetry
from gateway.viewer import Viewers
from gateway.visits import Visits
from personalization.assembly import Personalization, open_personalization
from personalization.bandit.uniform import Uniform
from personalization.classification.live import LiveSegments
from personalization.clock import Clock, Deadline
from personalization.decision.conduct import Conduct
from personalization.errors import PersonaError
from personalization.events import DecisionMode
from personalization.hub.retention import Retention
from personalization.ids import new_id
from personalization.registry import REGISTRY_FOLDER, ModelRegistry
from resolvers.batching import LoaderMetrics
from resolvers.caching.cache import FragmentCache
from resolvers.fallbacks import Fallbacks
from resolvers.schema import build_schema, executable
from resolvers.segmenting import SegmentMetrics
from resolvers.sharing import SharedReads
from resolvers.sources.source import MAX_PAGE, CommerceSource, ShelfKind, ShelfQuery
from resolvers.standby import StandbyShelves
from resolvers.strongest import StrongestCategories

STICKY_FILE = "sticky.sqlite3"
_WARM_UP_S = 5.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Doors:
    """What requests come in by, once everything behind is open."""

    graphql: GraphQLEndpoint
    shortcut: Shortcut | None
    events: EventIntake
    collector: Ga4Collector
    previews: Previews
    purging: Purging
    visits: Visits
    ofrep: Ofrep
    console: Console
    storefront: Storefront
    demo: DemoDoor


class Assembly:
    """The parts of one process. `readiness` tells when they may be used."""

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        clock: Clock,
        instrument: Callable[[GraphQLSchema, CollectorRegistry], None] = instrument,
    ) -> None:
        self.readiness = Readiness(("flags", "shop", "documents"))
        self.settings = settings
        self.telemetry = telemetry
        self._clock = clock
        self._instrument = instrument
        self._doors: Doors | None = None

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[dict[str, object]]:
        """Open everything; close it in reverse, after the server has drained.

        Raises:
            PersonaError: a part cannot be opened; the message says which and what to do.
        """
        async with AsyncExitStack() as stack:
            self._doors = await self._open(stack)
            yield {"readiness": self.readiness}
            self._doors = None

    @property
    def graphql(self) -> ASGIApp:
        """The GraphQL endpoint, as an ASGI application."""
        return _GraphQLDoor(self)

    def shortcut(self) -> Shortcut | None:
        """What answers requests that came before; None where there is none, and before anything is open."""
        return self._doors.shortcut if self._doors is not None else None

    async def events(self, request: Request) -> Response:
        """Take in the events of a page."""
        return await self.opened.events.receive(request)

    async def missing(self, request: Request, _error: Exception) -> Response:
        """404, as a page to who wants one."""
        return await self.opened.storefront.missing(request)

    async def purge(self, request: Request) -> Response:
        """Throw out what is kept."""
        return await self.opened.purging.receive(request)

    async def preview(self, request: Request) -> Response:
        """Begin or end a preview in a browser."""
        return await self.opened.previews.visit(request)

    async def hits(self, request: Request) -> Response:
        """Take in what gtag.js sends."""
        return await self.opened.collector.hits(request)

    async def measurements(self, request: Request) -> Response:
        """Take in what is sent by the Measurement Protocol."""
        return await self.opened.collector.measurements(request)

    @property
    def opened(self) -> Doors:
        """The doors; there are none before the lifespan has begun and after it has ended."""
        if self._doors is None:
            raise RuntimeError("the gateway is not open: its lifespan has not begun, or has ended")
        return self._doors

    async def _open(self, stack: AsyncExitStack) -> Doors:
        settings, clock, registry = self.settings, self._clock, self.telemetry.registry
        stack.push_async_callback(self.telemetry.shutdown)
        keys = keys_of(settings)
        visits = await self._open_visits(stack, keys)
        viewers, flags, personalization = visits.viewers, visits.flags, visits.personalization
        cache = open_cache(settings, clock, registry, release_of(build_schema(), settings)) if settings.cache else None
        purges = await self._follow_changes(stack, cache, visits) if cache is not None else None
        events = EventIntake(personalization.outcomes, viewers.viewer, visits.event_rate)
        ofrep = self._ofrep(stack, visits, visits.personalized, [flags.subscribe])
        engine, endpoint = await self._endpoint(visits, cache)
        shortcut = Shortcut(endpoint, engine, visits) if settings.short_way and cache is not None else None
        purging = Purging(purges, viewers.viewer)
        console = await open_console(settings, keys.cookie, clock, registry, flags, viewers.viewer)
        stack.push_async_callback(console.aclose)
        storefront = Storefront(
            settings.components_dir or SHIPPED_DIRECTORY, viewers.viewer, demo=is_demo(settings, keys)
        )
        return Doors(
            graphql=endpoint,
            shortcut=shortcut,
            events=events,
            collector=Ga4Collector(events, registry),
            previews=visits.previews,
            purging=purging,
            visits=visits,
            ofrep=ofrep,
            console=console,
            storefront=storefront,
            demo=DemoDoor(settings, keys, clock),
        )

    async def _open_visits(self, stack: AsyncExitStack, keys: Keys) -> Visits:
        """What visits are made from: all that answers, behind the doors."""
        settings, clock = self.settings, self._clock
        tracer, registry = self.telemetry.tracer, self.telemetry.registry
        viewers = Viewers(settings, keys, clock, registry)
        await viewers.warm()
        retention = Retention(timedelta(days=settings.hub_retention_days), settings.hub_retention_events)
        personalization = await open_personalization(
            settings.data_dir,
            clock,
            tracer,
            registry,
            retention=retention,
            conduct=_conduct(settings),
            writer_process=settings.writer_process,
        )
        stack.push_async_callback(personalization.aclose)
        vocabulary = Vocabulary().with_segments(settings.flags_segments)
        directory = settings.flags_dir or DEMO_DIRECTORY
        flags = await Flags.open(directory, registry, vocabulary=vocabulary, clock=clock)
        stack.push_async_callback(flags.aclose)
        self.readiness.done("flags")

        personalized = self._personalized(stack, personalization, flags.metrics, derived(keys.cookie, "exposures"))
        previews = Previews(PreviewTokens(derived(keys.cookie, "preview")), settings, clock)

        source = await open_source(
            settings, basket_key=derived(keys.cookie, "baskets"), clock=clock, tracer=tracer, registry=registry
        )
        stack.push_async_callback(source.aclose)
        standby = StandbyShelves()
        await self._warm(source, standby)
        self.readiness.done("shop")

        segments = LiveSegments(settings.data_dir, ModelRegistry(settings.data_dir / REGISTRY_FOLDER, clock), registry)
        stack.push_async_callback(segments.aclose)
        await segments.start()
        event_rate = self._event_rate()
        return Visits(
            settings=settings,
            viewers=viewers,
            previews=previews,
            source=source,
            reads=SharedReads(source),
            flags=flags,
            components=Components(lambda: flags.snapshot, flags.metrics),
            personalized=personalized,
            personalization=personalization,
            standby=standby,
            strongest=StrongestCategories(source, clock),
            fallbacks=Fallbacks(registry),
            segments=segments,
            segment_metrics=SegmentMetrics(registry),
            event_rate=event_rate,
            audiences=Audiences(settings, derived(keys.cookie, "audience")) if settings.audience_cookie else None,
            loader_metrics=LoaderMetrics(registry),
            clock=clock,
            tracer=tracer,
        )

    async def _follow_changes(self, stack: AsyncExitStack, cache: FragmentCache, visits: Visits) -> Purges:
        """Have the cache forget what changes: by itself with flags, policies, segments, and by purges in the hub."""
        stack.push_async_callback(cache.aclose)
        stack.callback(cache.subscribe(visits.reads.forget))
        changes = Changes(cache)
        stack.callback(visits.flags.subscribe(changes.flags))
        stack.callback(changes.follow(visits.personalization.live, unled=Uniform().version))
        stack.callback(visits.segments.subscribe(changes.classified))
        purges = Purges(cache, visits.personalization.hub, new_id, self.telemetry.registry)
        await purges.start()
        stack.push_async_callback(purges.aclose)
        return purges

    def _personalized(
        self, stack: AsyncExitStack, personalization: Personalization, metrics: FlagMetrics, key: bytes
    ) -> PersonalizedFlags:
        settings, clock = self.settings, self._clock
        lasts = timedelta(seconds=settings.sticky_decisions_s)
        sticky = SqliteStickyDecisions(settings.data_dir / STICKY_FILE, clock, lasts)
        stack.push_async_callback(sticky.aclose)
        decisions = personalization.decisions
        exposures = Exposures(personalization.exposure_journal, clock, self.telemetry.registry, key=key)
        return PersonalizedFlags(BanditLayer(decisions, sticky), exposures, metrics, lambda: decisions.policy_version)

    def _ofrep(
        self, stack: AsyncExitStack, visits: Visits, answers: FlagAnswers, changes: Sequence[Subscribe]
    ) -> Ofrep:
        """The way in for flag clients; `changes` are what can make `answers` give something else."""
        settings, registry = self.settings, self.telemetry.registry
        notices = Notices(
            lambda: state_of(visits.flags.snapshot.version),
            registry,
            most_streams=settings.ofrep_streams,
        )
        for change in changes:
            notices.follow(change)
        stack.callback(notices.close)
        self.readiness.on_drain(notices.close)
        return Ofrep(
            visits=visits,
            answers=answers,
            notices=notices,
            settings=settings,
            tracer=self.telemetry.tracer,
            registry=registry,
        )

    def _event_rate(self) -> EventRate:
        settings = self.settings
        return EventRate(
            per_session=settings.events_per_minute,
            per_address=settings.new_session_events_per_minute,
            clock=self._clock,
            registry=self.telemetry.registry,
        )

    async def _endpoint(self, visits: Visits, cache: FragmentCache | None) -> tuple[Engine, GraphQLEndpoint]:
        settings, registry = self.settings, self.telemetry.registry
        schema = executable(build_schema())
        self._instrument(schema, registry)
        documents = Documents(schema, settings, registry)
        await documents.warm()
        self.readiness.done("documents")
        engine = Engine(
            schema,
            prepared=settings.operation_cache_size,
            hide_suggestions=not settings.introspection,
            keeping=keeping(cache, settings) if cache is not None else None,
        )
        endpoint = GraphQLEndpoint(
            documents=documents,
            engine=engine,
            open_visit=visits.open,
            open_for_all=visits.for_all,
            settings=settings,
            tracer=self.telemetry.tracer,
            registry=registry,
            graphiql="/graphiql/",
        )
        return engine, endpoint

    async def _warm(self, source: CommerceSource, standby: StandbyShelves) -> None:
        """Have the bestsellers at hand before the first visit. A shop that is down now may be up later."""
        deadline = Deadline.after(_WARM_UP_S, self._clock)
        try:
            shelves = await source.shelves([ShelfQuery(ShelfKind.BESTSELLERS, limit=MAX_PAGE)], deadline)
        except PersonaError as error:
            _log.warning("shop_not_answering", reason=type(error).__name__)
        else:
            standby.keep(None, shelves[0])


def _conduct(settings: Settings) -> Conduct:
    return Conduct(DecisionMode[settings.policy_mode.name], settings.holdback, settings.exploration_floor)


class _GraphQLDoor:
    """Routes are made before anything is open, so this one looks for what stands behind it at each request."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._assembly.opened.graphql(scope, receive, send)
