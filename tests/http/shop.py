"""A small shop behind the endpoint: plain, slow, failing and batched fields, deferred and streamed."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import strawberry
from graphql import GraphQLError
from opentelemetry.trace import NoOpTracer, Tracer
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from strawberry.dataloader import DataLoader
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info

from gateway.documents import Documents
from gateway.endpoint import GraphQLEndpoint
from gateway.errors import InvalidToken
from gateway.execution.engine import Engine
from gateway.execution.tracing import OperationTrace
from gateway.settings import Settings
from resolvers.errors import ForbiddenContext, SourceUnavailable
from resolvers.viewer import Viewer

SECRET = "the password is swordfish"


@dataclass(slots=True)
class Watch:
    """What the shop was seen doing, for tests to look at; its events are set from the server's thread."""

    started: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    visits_open: int = 0
    batches: list[list[str]] = field(default_factory=list)
    stock: list[int] = field(default_factory=list)


@dataclass(slots=True)
class ShopVisit:
    """The context of the shop's resolvers."""

    watch: Watch
    reviews: DataLoader[str, str]
    viewer: Viewer = field(default_factory=lambda: Viewer("visitor:somebody", "session"))
    trace: OperationTrace | None = None
    context: dict[str, object] = field(default_factory=dict)

    @property
    def segments(self) -> frozenset[str]:
        """None."""
        return frozenset()

    def extensions(self) -> dict[str, object]:
        return {"context": self.context} if self.context else {}


@strawberry.type
class Product:
    id: strawberry.ID
    name: str

    @strawberry.field
    async def review(self, info: Info[ShopVisit, None]) -> str:
        return await info.context.reviews.load(self.id)

    @strawberry.field
    async def slow(self, milliseconds: int = 20) -> str:
        await asyncio.sleep(milliseconds / 1000)
        return f"slow {self.id}"

    @strawberry.field
    async def broken(self) -> str | None:
        raise ValueError(SECRET)

    @strawberry.field
    async def required_but_broken(self) -> str:
        await asyncio.sleep(0.002)  # its siblings have begun by then; asyncio warns of those that are cancelled before
        raise ValueError(SECRET)

    @strawberry.field
    def related(self, first: int = 2) -> list["Product"]:
        return [product(f"{self.id}{n}") for n in range(first)]


@strawberry.input
class Filter:
    text: str = ""
    limit: int = 10


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def product(self, id: strawberry.ID) -> Product | None:  # noqa: A002 - the schema's word
        return product(id)

    @strawberry.field
    def products(self, first: int = 3, where: Filter | None = None) -> list[Product]:
        return [product(str(n)) for n in range(min(first, where.limit) if where else first)]

    @strawberry.field
    def context(self, info: Info[ShopVisit, None], persona: str) -> str:
        info.context.context["persona"] = persona
        return persona

    @strawberry.field
    def forbidden(self) -> str | None:
        raise ForbiddenContext("customer 7 is not yours")

    @strawberry.field
    def unavailable(self) -> str | None:
        raise SourceUnavailable("the shop does not answer")

    @strawberry.field
    def broken(self) -> str | None:
        raise ValueError(SECRET)

    @strawberry.field
    def rude(self) -> str | None:
        raise GraphQLError(SECRET)

    @strawberry.field
    def mistyped(self) -> int | None:
        return SECRET  # type: ignore[return-value]

    @strawberry.field
    async def forever(self, info: Info[ShopVisit, None]) -> str:
        return await wait_forever(info.context.watch)


async def wait_forever(watch: Watch) -> str:
    """Wait until cancelled, and tell."""
    watch.started.set()
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        watch.cancelled.set()
        raise
    return "never"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def restock(self, info: Info[ShopVisit, None], units: int) -> int:
        info.context.watch.stock.append(units)
        return sum(info.context.watch.stock)


def product(id_: str) -> Product:
    """Any product."""
    return Product(id=strawberry.ID(id_), name=f"product {id_}")


SCHEMA = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    config=StrawberryConfig(enable_experimental_incremental_execution=True),
)


TROUBLE: Mapping[str, Exception] = {
    "Bearer forged": InvalidToken("the token's signature does not fit"),
    "Bearer down": SourceUnavailable("the shop does not answer"),
    "Bearer broken": ValueError(SECRET),
}


@dataclass(frozen=True, slots=True)
class OpenVisit:
    """How the shop opens visits; some tokens are trouble."""

    watch: Watch

    @asynccontextmanager
    async def __call__(self, request: Request) -> AsyncIterator[ShopVisit]:
        trouble = TROUBLE.get(request.headers.get("authorization", ""))
        if trouble is not None:
            raise trouble
        self.watch.visits_open += 1
        try:
            yield ShopVisit(self.watch, DataLoader(self._reviews))
        finally:
            self.watch.visits_open -= 1

    async def _reviews(self, ids: list[str]) -> list[str]:
        self.watch.batches.append(list(ids))
        await asyncio.sleep(0.005)
        return [f"review of {each}" for each in ids]


def build_endpoint(
    watch: Watch,
    settings: Settings | None = None,
    *,
    registry: CollectorRegistry | None = None,
    tracer: Tracer | None = None,
) -> GraphQLEndpoint:
    """The endpoint over the shop."""
    settings = settings or Settings(max_cost=1_000_000)
    registry = registry or CollectorRegistry()
    return GraphQLEndpoint(
        documents=Documents(SCHEMA._schema, settings, registry),
        engine=Engine(SCHEMA._schema),
        open_visit=OpenVisit(watch),
        settings=settings,
        tracer=tracer or NoOpTracer(),
        registry=registry,
        graphiql="/graphiql/",
    )
