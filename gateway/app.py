"""The way in: the gateway as one ASGI application.

GET, POST /graphql     GraphQL over HTTP            gateway/endpoint.py
POST      /events      what pages saw happen        gateway/tags.py
GET, POST /events/ga4/ the same from GA4 tags       gateway/collector.py
GET, POST /ofrep/v1/   flags and notices of change  gateway/ofrep.py
GET       /preview     a preview begins or ends     gateway/previews.py
POST      /cache/purge  throw out what is kept       gateway/purging.py
GET       /            the shop's pages             gateway/storefront.py
GET, POST /demo/       becoming a customer in it    gateway/demo.py
GET       /graphiql/   a browser's GraphQL client   gateway/graphiql.py
GET, POST /console/    what runs now, for operators  gateway/console/door.py
GET       /live /ready /metrics                     gateway/health.py
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.assembly import Assembly
from gateway.collector import HITS, MEASUREMENTS
from gateway.console.door import console_routes
from gateway.demo import demo_routes
from gateway.graphiql import graphiql_routes
from gateway.health import health_routes
from gateway.ofrep import ofrep_routes
from gateway.request_tracing import TraceMiddleware, Tracing
from gateway.settings import Settings
from gateway.short_way import ShortWay
from gateway.storefront import storefront_routes
from gateway.telemetry import Telemetry, build_telemetry
from gateway.visitor import SetVisitorCookie
from personalization.clock import Clock, SystemClock

# What pages from elsewhere may send; the last three are the headers by which a GET proves that a page meant it.
_ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Preview-Token",
    "If-None-Match",
    "Traceparent",
    "Tracestate",
    "Apollo-Require-Preflight",
    "GraphQL-Require-Preflight",
    "X-Apollo-Operation-Name",
)


class Straight:
    """ASGI middleware: requests for one path go straight to its route, past the router and what it does for all."""

    def __init__(self, app: ASGIApp, route: Route) -> None:
        self._app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == self._route.path and not scope.get("root_path"):
            scope["route"] = self._route
            await self._route.app(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Gateway(Starlette):
    """Starlette; what can be answered the short way never comes to its middleware and routes."""

    def __init__(self, short_way: Callable[[ASGIApp], ASGIApp], **parts: Any) -> None:
        super().__init__(**parts)
        self._way_in = short_way(super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._way_in(scope, receive, send)


def build_app(settings: Settings, *, telemetry: Telemetry | None = None, clock: Clock | None = None) -> Starlette:
    """The application. Its parts are opened by its lifespan, and closed by it in reverse."""
    telemetry = telemetry or build_telemetry(settings)
    return gateway_of(Assembly(settings, telemetry, clock or SystemClock()))


def gateway_of(assembly: Assembly) -> Gateway:
    """The application over parts that are opened and closed by its lifespan."""
    settings, telemetry = assembly.settings, assembly.telemetry
    graphql = Route("/graphql", assembly.graphql)
    tracing = Tracing(telemetry)
    cors = partial(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_credentials=True,
        allow_methods=["GET", "POST"],
        allow_headers=_ALLOWED_HEADERS,
        expose_headers=["ETag", "Traceresponse", "Server-Timing"],
        max_age=600,
    )
    return Gateway(
        partial(ShortWay, route=graphql, tracing=tracing, shortcut=assembly.shortcut, outermost=cors),
        routes=[
            graphql,
            Route("/events", assembly.events, methods=["POST"]),
            Route("/preview", assembly.preview),
            Route("/cache/purge", assembly.purge, methods=["POST"]),
            Route(HITS, assembly.hits, methods=["GET", "POST"]),
            Route(MEASUREMENTS, assembly.measurements, methods=["POST"]),
            *ofrep_routes(lambda: assembly.opened.ofrep),
            *graphiql_routes(),
            *console_routes(lambda: assembly.opened.console),
            *storefront_routes(lambda: assembly.opened.storefront),
            *demo_routes(lambda: assembly.opened.demo),
            *health_routes(assembly.readiness, telemetry.registry),
        ],
        middleware=[
            Middleware(TraceMiddleware, tracing=tracing),
            Middleware(cors),
            Middleware(SetVisitorCookie),
            Middleware(Straight, route=graphql),
        ],
        exception_handlers={404: assembly.missing},
        lifespan=assembly.lifespan,
    )


def create_app() -> Starlette:
    """The application with the settings of the environment, for servers that take a factory."""
    return build_app(Settings())
