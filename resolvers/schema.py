"""The schema: plain roots beside personalized ones."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import strawberry
from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema
from strawberry.printer import print_schema
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from resolvers.basket import BasketMutations, BasketQueries
from resolvers.catalog import CatalogQueries
from resolvers.components import ComponentQueries
from resolvers.outcomes import OutcomeMutations
from resolvers.recommendations import RecommendationQueries
from resolvers.segment import SegmentQueries

PLAIN: tuple[type, ...] = (CatalogQueries, BasketQueries)
PERSONALIZED: tuple[type, ...] = (RecommendationQueries, ComponentQueries, SegmentQueries)


@strawberry.type(description="Reads. Plain fields never take a context; personalized ones take an optional one.")
class Query(CatalogQueries, BasketQueries, RecommendationQueries, ComponentQueries, SegmentQueries):
    """The root of reads: `PLAIN` and `PERSONALIZED`."""


@strawberry.type(description="Writes.")
class Mutation(BasketMutations, OutcomeMutations):
    """The root of writes."""


def build_schema() -> strawberry.Schema:
    """The schema, with `@defer` and `@stream`."""
    config = StrawberryConfig(enable_experimental_incremental_execution=True)
    return strawberry.Schema(query=Query, mutation=Mutation, config=config)


def printed(schema: strawberry.Schema) -> str:
    """The text of `schema.graphql`: the same for the same code, everywhere."""
    return print_schema(schema) + "\n"


def executable(schema: strawberry.Schema) -> GraphQLSchema:
    """The graphql-core schema inside, where fields read by name no longer pass through Strawberry.

    Strawberry's own way for such a field is three calls; the home query reads some six hundred of them.
    """
    core = schema._schema  # Strawberry has no public name for it
    for type_ in core.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for field in type_.fields.values():
                if getattr(field.resolve, "_is_default", False):
                    field.resolve = _by_name(field.extensions["strawberry-definition"])
    return core


def field_names(root: type) -> tuple[str, ...]:
    """The schema's names of the fields that a part of a root brings."""
    definition: StrawberryObjectDefinition = root.__strawberry_definition__  # type: ignore[attr-defined]
    convert = StrawberryConfig().name_converter
    return tuple(convert.get_graphql_name(field) for field in definition.fields)


def _by_name(field: StrawberryField) -> Callable[[Any, GraphQLResolveInfo[Any]], Any]:
    read = attrgetter(field.python_name)

    def resolve(source: Any, _info: GraphQLResolveInfo[Any]) -> Any:
        return read(source)

    # The mark that graphql-core and the tracing of resolvers know fields without a resolver by.
    resolve._is_default = True  # type: ignore[attr-defined]
    return resolve
