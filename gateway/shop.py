"""Opens the E-Commerce API that the settings name."""

import asyncio

import structlog
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from gateway.settings import Settings, SourceKind
from personalization.clock import Clock
from resolvers.sources.embedded import EmbeddedSource
from resolvers.sources.embedded_build import prepare_store
from resolvers.sources.http import HttpSource
from resolvers.sources.oscar import OscarSource
from resolvers.sources.source import CommerceSource
from resolvers.sources.upstream_client import UpstreamClient

_log = structlog.get_logger()


async def open_source(
    settings: Settings, *, basket_key: bytes, clock: Clock, tracer: Tracer, registry: CollectorRegistry
) -> CommerceSource:
    """The source, ready to be asked. A remote shop that does not answer yet is no reason not to start.

    Raises:
        SourceUnavailable: the embedded store cannot be prepared.
    """
    match settings.source:
        case SourceKind.EMBEDDED:
            path = await asyncio.to_thread(prepare_store, settings.data_dir)
            return EmbeddedSource.open(path, clock, tracer=tracer)
        case SourceKind.HTTP:
            return HttpSource(_client(settings, clock, tracer, registry))
        case SourceKind.OSCAR:
            return _oscar(settings, basket_key, clock, tracer, registry)


def _oscar(
    settings: Settings, basket_key: bytes, clock: Clock, tracer: Tracer, registry: CollectorRegistry
) -> OscarSource:
    staff = None
    if settings.oscar_user is not None and settings.oscar_password is not None:
        staff = (settings.oscar_user, settings.oscar_password.get_secret_value())
    return OscarSource(
        _client(settings, clock, tracer, registry),
        base_url=settings.upstream_url,
        concurrency=settings.upstream_concurrency,
        refresh_s=settings.oscar_refresh_s,
        basket_key=basket_key,
        clock=clock,
        tracer=tracer,
        registry=registry,
        staff=staff,
    )


def _client(settings: Settings, clock: Clock, tracer: Tracer, registry: CollectorRegistry) -> UpstreamClient:
    return UpstreamClient(
        settings.upstream_url,
        clock=clock,
        tracer=tracer,
        registry=registry,
        timeout=settings.upstream_timeout_ms / 1000,
        connections=settings.upstream_connections,
        retries=settings.upstream_retries,
        breaker_threshold=settings.breaker_threshold,
        breaker_recovery=settings.breaker_recovery_ms / 1000,
    )
