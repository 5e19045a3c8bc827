"""Two ways to execute over one set of parts: with everything kept that may be, and with nothing kept."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLSchema
from opentelemetry.trace import NoOpTracer, SpanContext
from prometheus_client import CollectorRegistry

from gateway.assembly import Assembly
from gateway.caching import KINDS
from gateway.documents import Documents, GraphQLRequest
from gateway.errors import RequestError
from gateway.execution.answer_plan import AnswerPlan
from gateway.execution.engine import Engine, Ready
from gateway.execution.keeping import Keeping
from gateway.execution.kept import plain
from gateway.execution.masking import formatted_errors
from gateway.settings import Settings
from gateway.telemetry import GatewayTracer, Telemetry
from gateway.visits import Visits
from personalization.bandit.uniform import Uniform
from personalization.clock import ManualClock
from personalization.decision.journal import DecisionJournal
from personalization.decision.service import DecisionService
from personalization.hub.memory import MemoryHub
from personalization.ids import new_id
from personalization.journal.writing import HubWriter
from resolvers.caching.cache import FragmentCache
from resolvers.caching.memory import MemoryTier
from resolvers.caching.metrics import CacheMetrics
from resolvers.caching.shared import SharedTier
from resolvers.plans import Turn
from resolvers.schema import build_schema, executable
from resolvers.viewer import Viewer
from resolvers.visit import Visit

BEGINNING = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass(slots=True)
class Ids:
    """Gives the same id until told otherwise, so that two executions draw the same."""

    current: str = "id"

    def __call__(self) -> str:
        return self.current


@dataclass(frozen=True, slots=True)
class Pair:
    """The parts and the two engines."""

    schema: GraphQLSchema
    documents: Documents
    visits: Visits
    decisions: DecisionService
    ids: Ids
    cache: FragmentCache
    keeping: Engine
    bare: Engine
    clock: ManualClock
    registry: CollectorRegistry
    known: dict[tuple[int, str, bytes], Ready] = field(default_factory=dict)
    plans: dict[tuple[object, ...], AnswerPlan] = field(default_factory=dict)

    def looked(self, result: str) -> float:
        """How many values were found so, of whatever field."""
        return sum(
            sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == "gateway_cache_lookups_total" and sample.labels["result"] == result
        )

    def visit(self, viewer: Viewer) -> Visit:
        """A visit of this viewer, with decisions that can be had again."""
        return replace(self.visits.of(viewer), decisions=self.decisions)

    def _ready(self, engine: Engine, query: str, variables: Mapping[str, Any] | None) -> Ready:
        """Ready once for the same query and variables, as requests are that come again."""
        key = (id(engine), query, orjson.dumps(variables))
        known = self.known.get(key)
        if known is None:
            operation = self.documents.operation(GraphQLRequest(query, variables=variables))
            known = self.known[key] = engine.ready(operation, variables, in_parts=False)
        return known

    async def ask(
        self, engine: Engine, query: str, variables: Mapping[str, Any] | None, viewer: Viewer
    ) -> dict[str, Any]:
        """The answer of one engine, as the client would see it."""
        try:
            ready = self._ready(engine, query, variables)
        except RequestError as error:
            return {"refused": error.code}
        visit = self.visit(viewer)
        try:
            result = await engine.execute(ready, visit)
        finally:
            visit.cancel()
        assert isinstance(result, ExecutionResult)
        return {"data": plain(result.data), "errors": told(result), "extensions": visit.extensions()}

    async def ask_at_once(
        self, query: str, variables: Mapping[str, Any] | None, viewer: Viewer
    ) -> dict[str, Any] | None:
        """The answer of the short way; None where the ordinary one is needed."""
        try:
            ready = self._ready(self.keeping, query, variables)
        except RequestError:
            return None
        plan = self.plan(ready, self.visit(viewer))
        span = SpanContext(1, 1, is_remote=False)
        turn = Turn(viewer.subject, viewer.session, span, "")
        found = plan.answer(turn) if plan is not None else None
        if found is None:
            return None
        for do in turn.left:
            do()
        answer = orjson.loads(found.body)
        return {"data": answer["data"], "errors": [], "extensions": answer.get("extensions", {})}

    def plan(self, ready: Ready, visit: Visit) -> AnswerPlan | None:
        """A plan for all who have the context of this visit; the same one for two of them."""
        known = (ready, visit.viewer.persona, visit.viewer.region, visit.viewer.device, visit.viewer.customer_id)
        plan = self.plans.get(known)
        if plan is None or not plan.is_good:
            plan = self.keeping.plan(ready, visit)
            if plan is not None:
                self.plans[known] = plan
        return plan


def told(result: ExecutionResult) -> list[bytes]:
    """The errors of an answer, in an order of their own: they come as they happen."""
    return sorted(orjson.dumps(_untraced(error)) for error in formatted_errors(result.errors or []))


def _untraced(error: Mapping[str, Any]) -> dict[str, Any]:
    code = error["extensions"]["code"]
    message = "" if code == "INTERNAL_SERVER_ERROR" else error["message"]
    return {"message": message, "path": error.get("path"), "code": code}


@asynccontextmanager
async def pair(
    data_dir: Path, *, budget: int = 8_000_000, shared: SharedTier | None = None, **settings: object
) -> AsyncIterator[Pair]:
    """Both engines over the embedded shop, with a clock that stands still until it is moved."""
    clock = ManualClock(BEGINNING)
    registry = CollectorRegistry()
    given = Settings.model_validate({"data_dir": data_dir, "max_cost": 1_000_000, "max_aliases": 1000, **settings})
    assembly = Assembly(given, Telemetry(GatewayTracer(), registry), clock)
    schema = executable(build_schema())
    counted = CollectorRegistry()
    metrics = CacheMetrics(counted)
    tier = MemoryTier(budget, metrics, Random(1))
    cache = FragmentCache(tier, metrics, clock, shared=shared, chance=Random(2))
    ids = Ids()
    journal = DecisionJournal(HubWriter(MemoryHub(clock, new_id)), CollectorRegistry())
    decisions = DecisionService(
        Uniform(), journal, clock=clock, ids=ids, tracer=NoOpTracer(), registry=CollectorRegistry()
    )
    async with assembly.lifespan(None):
        await journal.start()
        yield Pair(
            schema=schema,
            documents=Documents(schema, given, CollectorRegistry()),
            visits=assembly.opened.visits,
            decisions=decisions,
            ids=ids,
            cache=cache,
            keeping=Engine(schema, keeping=Keeping(cache, KINDS, strict=True)),
            bare=Engine(schema),
            clock=clock,
            registry=counted,
        )
        await cache.aclose()
        await journal.aclose()
