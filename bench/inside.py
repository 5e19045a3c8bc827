"""The gateway's engine in this process, over the embedded shop, with a cache of its own that is looked into."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from graphql import ExecutionResult
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from gateway.assembly import Assembly
from gateway.caching import keeping
from gateway.documents import Documents, GraphQLRequest
from gateway.execution.engine import Engine, Ready
from gateway.settings import Settings
from gateway.telemetry import GatewayTracer, Telemetry
from gateway.visits import Visits
from personalization.bandit.uniform import Uniform
from personalization.clock import ManualClock, SystemClock
from personalization.decision.journal import DecisionJournal
from personalization.decision.service import DecisionService
from personalization.hub.memory import MemoryHub
from personalization.ids import new_id
from personalization.journal.writing import HubWriter
from resolvers.caching.cache import FragmentCache
from resolvers.caching.memory import MemoryTier
from resolvers.caching.metrics import CacheMetrics
from resolvers.schema import build_schema, executable
from resolvers.sharing import SharedReads
from resolvers.sources.source import CommerceSource
from resolvers.viewer import Viewer


@dataclass(slots=True)
class DecisionIds:
    """Ids of decisions: the same until it is changed, and with it what is chosen."""

    current: str = "one"

    def __call__(self) -> str:
        return self.current


@dataclass(frozen=True, slots=True)
class Inside:
    """`cache` is on a clock that is moved by hand; `ids` say what is decided, with the same chance for each action."""

    engine: Engine
    cache: FragmentCache
    clock: ManualClock
    ids: DecisionIds
    visits: Visits
    decisions: DecisionService
    documents: Documents
    ready: dict[bytes, Ready] = field(default_factory=dict)

    async def ask(self, query: str, variables: Mapping[str, object], viewer: Viewer) -> Mapping[str, Any]:
        """The answer's `data`, with what is kept as it is kept; RuntimeError when something in it failed."""
        body = orjson.dumps([query, variables])
        ready = self.ready.get(body)
        if ready is None:
            operation = self.documents.operation(GraphQLRequest(query, variables=variables))
            ready = self.ready[body] = self.engine.ready(operation, variables, in_parts=False)
        visit = replace(self.visits.of(viewer), decisions=self.decisions)
        try:
            result = await self.engine.execute(ready, visit)
        finally:
            visit.cancel()
        if not isinstance(result, ExecutionResult) or result.errors or result.data is None:
            raise RuntimeError(f"answered {result}")
        return result.data


@asynccontextmanager
async def inside(
    directory: Path, *, budget: int, source: Callable[[CommerceSource], CommerceSource] = lambda shop: shop
) -> AsyncIterator[Inside]:
    """The parts opened over the shop in the directory, or over what `source` makes of it; closed after the block."""
    settings = Settings(data_dir=directory, learning=False)
    telemetry, clock = Telemetry(GatewayTracer(), CollectorRegistry()), SystemClock()
    assembly, schema = Assembly(settings, telemetry, clock), executable(build_schema())
    moved, metrics, ids = ManualClock(datetime.now(UTC)), CacheMetrics(CollectorRegistry()), DecisionIds()
    cache = FragmentCache(MemoryTier(budget, metrics), metrics, moved)
    journal = DecisionJournal(HubWriter(MemoryHub(clock, new_id)), CollectorRegistry())
    decisions = DecisionService(
        Uniform(), journal, clock=clock, ids=ids, tracer=NoOpTracer(), registry=CollectorRegistry()
    )
    async with assembly.lifespan(None):
        await journal.start()
        shop = source(assembly.opened.visits.source)
        yield Inside(
            engine=Engine(schema, keeping=keeping(cache, settings)),
            cache=cache,
            clock=moved,
            ids=ids,
            visits=replace(assembly.opened.visits, source=shop, reads=SharedReads(shop)),
            decisions=decisions,
            documents=Documents(schema, settings, CollectorRegistry()),
        )
        await cache.aclose()
        await journal.aclose()
