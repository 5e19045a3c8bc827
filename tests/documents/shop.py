"""A small schema with every kind of field that limits, costs and cache policies tell apart."""

from graphql import GraphQLSchema, build_schema
from prometheus_client import CollectorRegistry

from gateway.documents import Documents, GraphQLRequest
from gateway.settings import Settings

SDL = """
directive @cost(weight: Int!) on FIELD_DEFINITION
directive @listSize(assumedSize: Int, slicingArguments: [String!]) on FIELD_DEFINITION
directive @cacheControl(maxAge: Int!, scope: CacheScope! = PUBLIC, swr: Int! = 0) on FIELD_DEFINITION | OBJECT
directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT
enum CacheScope { PUBLIC SEGMENT PRIVATE }

type Query {
  product(id: ID): Product
  products(ids: [ID!]): [Product] @listSize(assumedSize: 7, slicingArguments: ["ids"])
  catalog(first: Int = 24, last: Int): Connection
    @listSize(slicingArguments: ["first", "last"]) @cacheControl(maxAge: 120, swr: 30)
  shelf(first: Int = 12): Shelf @cacheControl(maxAge: 60, scope: SEGMENT, swr: 5)
  components: [Component] @listSize(assumedSize: 10)
  search(text: String): [Found] @cost(weight: 5) @cacheControl(maxAge: 90)
  basket: Basket @cacheControl(maxAge: 0, scope: PRIVATE)
  clock: String
}
type Product @cacheControl(maxAge: 300, swr: 60) {
  id: ID
  name: String
  price(currency: String): Price @cost(weight: 2)
  related(first: Int): [Product] @listSize(assumedSize: 3, slicingArguments: ["first"]) @cost(weight: 2)
  score: Float @cost(weight: 4)
}
type Price @cacheControl(maxAge: 30) { amount: Float }
type Connection { edges: [Edge] }
type Edge { node: Product }
type Shelf { decision: String @cacheControl(maxAge: 0, scope: PRIVATE) products: [Product] }
type Component { name: String }
interface Thing { id: ID }
type Page implements Thing @cacheControl(maxAge: 10, scope: SEGMENT) { id: ID title: String }
type Story implements Thing @cacheControl(maxAge: 50) { id: ID text: String }
union Found = Page | Story
type Basket { id: ID }
type Mutation { add(id: ID): Basket }
"""


def shop() -> GraphQLSchema:
    """The schema, built anew."""
    return build_schema(SDL)


def documents(registry: CollectorRegistry | None = None, **settings: object) -> Documents:
    """Documents over the schema, with these settings and all others as they are by default."""
    return Documents(shop(), Settings.model_validate(settings), registry or CollectorRegistry())


def asked(query: str | None, name: str | None = None, **variables: object) -> GraphQLRequest:
    """A request for this document."""
    return GraphQLRequest(query, name, variables or None)
