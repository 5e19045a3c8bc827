"""`Cache-Control` follows the schema's policies: the shortest life, the narrowest scope."""

import pytest
import strawberry
from prometheus_client import CollectorRegistry

from gateway.documents import Documents
from gateway.settings import Settings
from resolvers.cache_control import CacheControl, CacheScope
from resolvers.cost import Cost, ListSize
from tests.documents.shop import asked, documents


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("{product{id}}", "public, max-age=300, stale-while-revalidate=60"),
        ("{product{price{amount}}}", "public, max-age=30"),
        ("{catalog{edges{node{id}}}}", "public, max-age=120, stale-while-revalidate=30"),
        ("{shelf{products{id}}}", "private, max-age=60, stale-while-revalidate=5"),
        ("{shelf{decision products{id}}}", "private, no-store"),
        ("{product{id} shelf{products{id}}}", "private, max-age=60, stale-while-revalidate=5"),
        (
            "{product{id} ...S} fragment S on Query{shelf{...P}} fragment P on Shelf{products{id}}",
            "private, max-age=60, stale-while-revalidate=5",
        ),
        ("{product{id} ... on Query{basket{id}}}", "private, no-store"),
        ("{search{__typename ... on Story{id}}}", "private, max-age=10"),
        ("{clock}", "private, no-store"),
        ("{clock product{id}}", "private, no-store"),
        ("{__typename}", "private, no-store"),
        ("{__typename product{id}}", "public, max-age=300, stale-while-revalidate=60"),
        ("{__schema{types{name}}}", "private, no-store"),
        ("mutation{add{id}}", "no-store"),
    ],
)
def test_the_header_is_the_least_that_any_selected_field_allows(text: str, header: str) -> None:
    assert documents().operation(asked(text)).cache_control == header


@strawberry.type(directives=[CacheControl(max_age=40)])
class Leaf:
    """A type with a policy."""

    size: int = 1


def _leaves(first: int = 10) -> list[Leaf]:
    return [Leaf()] * first


@strawberry.type
class Query:
    """Fields whose policies and costs stand in code."""

    leaves: list[Leaf] = strawberry.field(
        resolver=_leaves, directives=[ListSize(slicing_arguments=["first"]), Cost(weight=3)]
    )
    mine: Leaf = strawberry.field(resolver=Leaf, directives=[CacheControl(max_age=0, scope=CacheScope.SEGMENT)])


def test_directives_of_a_schema_in_code_are_read_as_those_of_a_printed_one() -> None:
    built = strawberry.Schema(Query)
    registry = CollectorRegistry()
    in_code = Documents(built._schema, Settings(), registry)  # the GraphQL schema has no public name
    leaves = in_code.operation(asked("query($n:Int!){leaves(first:$n){size}}", n=4))
    assert (leaves.cost({"n": 4}), leaves.cost({}), leaves.cache_control) == (12, 30, "public, max-age=40")
    assert in_code.operation(asked("{mine{size}}")).cache_control == "private, no-cache"
