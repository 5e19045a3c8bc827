"""A schema of the home page's shape over values in memory: what is instrumented in the tests of this folder."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import strawberry
from graphql import GraphQLSchema
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry
from strawberry.types import Info

from gateway.execution.tracing import OperationTrace, instrument
from resolvers.batching import BatchLoader, LoaderMetrics

HOME = """query Home { catalog(first: 24) { edges { node { ...Card } } }
  shelf: recommendations(first: 12, context: {persona: "BUILDER"}) { products { ...Card } }
  components { name enabled } }
fragment Card on Product { id name price { amount currency } stock { available } category { id name } }"""


@dataclass
class HomeVisit:
    """Loaders over made-up values, and the trace."""

    prices: BatchLoader[str, "Price"]
    stock: BatchLoader[str, "Stock"]
    categories: BatchLoader[str, "Category"]
    trace: OperationTrace | None = None


@strawberry.type
class Price:
    amount: str
    currency: str = "EUR"


@strawberry.type
class Stock:
    available: bool


@strawberry.type
class Category:
    id: str
    name: str


@strawberry.type
class Product:
    id: str
    name: str

    @strawberry.field
    async def price(self, info: Info[HomeVisit]) -> Price:
        return await info.context.prices.load(self.id)

    @strawberry.field
    async def stock(self, info: Info[HomeVisit]) -> Stock:
        return await info.context.stock.load(self.id)

    @strawberry.field
    async def category(self, info: Info[HomeVisit]) -> Category:
        return await info.context.categories.load(str(int(self.id) % 5))

    @strawberry.field
    def broken(self) -> str | None:
        raise ValueError("mary@example.org")


@strawberry.type
class Edge:
    node: Product


@strawberry.type
class Connection:
    edges: list[Edge]


@strawberry.type
class Shelf:
    products: list[Product]


@strawberry.type
class Component:
    name: str
    enabled: bool


@strawberry.input
class Context:
    persona: str | None = None


Claims = Annotated[Context | None, strawberry.argument(description="Who asks.")]


def products(count: int) -> list[Product]:
    return [Product(id=str(number), name=f"Product {number}") for number in range(count)]


@strawberry.type
class Query:
    @strawberry.field
    async def catalog(self, first: int = 24) -> Connection:
        await asyncio.sleep(0)
        return Connection(edges=[Edge(node=product) for product in products(first)])

    @strawberry.field
    async def recommendations(self, first: int = 12, context: Claims = None) -> Shelf:
        await asyncio.sleep(0)
        return Shelf(products=products(first))

    @strawberry.field
    def components(self, context: Claims = None) -> list[Component]:
        return [Component(name=f"component{number}", enabled=True) for number in range(10)]

    @strawberry.field
    def failing(self, context: Claims = None) -> str | None:
        raise ValueError("mary@example.org")


def build_schema(registry: CollectorRegistry | None) -> GraphQLSchema:
    """The schema, instrumented if a registry is given."""
    schema: Any = strawberry.Schema(Query)
    core: GraphQLSchema = schema._schema
    if registry is not None:
        instrument(core, registry)
    return core


def build_visit(tracer: Tracer, metrics: LoaderMetrics, trace: OperationTrace | None = None) -> HomeVisit:
    """A visit with empty loaders."""

    async def prices(keys: Sequence[str]) -> Sequence[Price]:
        await asyncio.sleep(0)
        return [Price(amount=key) for key in keys]

    async def stock(keys: Sequence[str]) -> Sequence[Stock]:
        await asyncio.sleep(0)
        return [Stock(available=True) for _ in keys]

    async def categories(keys: Sequence[str]) -> Sequence[Category]:
        await asyncio.sleep(0)
        return [Category(id=key, name=f"Category {key}") for key in keys]

    return HomeVisit(
        BatchLoader("prices", prices, tracer=tracer, metrics=metrics),
        BatchLoader("stock", stock, tracer=tracer, metrics=metrics),
        BatchLoader("categories", categories, tracer=tracer, metrics=metrics),
        trace,
    )
