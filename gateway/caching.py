"""What of our schema is kept, and the cache it is kept in."""

from collections.abc import Callable
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final

import strawberry
from prometheus_client import CollectorRegistry

from gateway.execution.keeping import Identified, Keeping, Kinds
from gateway.settings import Settings, SourceKind
from gateway.telemetry import package_version
from personalization.clock import Clock
from resolvers import recommendations
from resolvers.caching.cache import FragmentCache
from resolvers.caching.memory import MemoryTier
from resolvers.caching.metrics import CacheMetrics
from resolvers.caching.redis import RedisTier
from resolvers.caching.shared import SharedTier
from resolvers.schema import printed

_ID: Callable[[Any], str] = attrgetter("id")

FORMAT: Final = 1
"""The form in which values are written to the second tier; another form has another number."""

FLAGGED = "Query.components"
"""The tag of all that flags decided."""

KINDS = Kinds(
    entities={"Product": _ID},
    tagged={"Product": _ID, "Category": _ID, "Coupon": _ID},
    identified={"Recommendations": Identified("products", recommendations.refill)},
)


def open_cache(settings: Settings, clock: Clock, registry: CollectorRegistry, release: str) -> FragmentCache:
    """The cache that the settings ask for. `release` names what values depend on besides what is in their keys."""
    metrics = CacheMetrics(registry)
    shared = None
    if settings.redis_url is not None:
        tier = RedisTier(settings.redis_url.get_secret_value(), release, clock, metrics)
        shared = SharedTier(tier, clock)
    return FragmentCache(MemoryTier(settings.cache_bytes, metrics), metrics, clock, shared=shared)


def release_of(schema: strawberry.Schema, settings: Settings) -> str:
    """A name for the code's schema, its version and the shop behind it: values of others are never read."""
    shop = f"{settings.source.value} {settings.upstream_url if settings.source is not SourceKind.EMBEDDED else ''}"
    text = f"{FORMAT} {package_version()} {shop} {printed(schema)}"
    return blake2b(text.encode(), digest_size=8).hexdigest()


def keeping(cache: FragmentCache, settings: Settings) -> Keeping:
    """How values of our schema are kept."""
    return Keeping(cache, KINDS, strict=settings.cache_strict, shadow=settings.cache_shadow_ratio)
