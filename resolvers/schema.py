"""The schema: plain roots beside personalized ones."""

from collections.abc import Callable, Mapping
from inspect import signature
from operator import attrgetter
from typing import Any, cast

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema
from strawberry.printer import print_schema
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from resolvers.arguments import conversion
from resolvers.basket import BasketMutations, BasketQueries
from resolvers.catalog import CatalogQueries
from resolvers.components import ComponentQueries
from resolvers.fields import PLAN
from resolvers.outcomes import OutcomeMutations
from resolvers.plans import Planning
from resolvers.recommendations import RecommendationQueries
from resolvers.segment import SegmentQueries

CONVERT = "convert-arguments"
"""Among the extensions of a field with arguments: what turns coerced arguments into those its resolver takes."""

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
    """The graphql-core schema inside, where fields no longer pass through Strawberry.

    Strawberry's own way to an attribute is three calls, to a resolver eight; the home query takes it some seven hundred
    times. Our resolvers ask `info` for its `context` and `path` alone, which graphql-core's has as well.
    """
    core = schema._schema  # Strawberry has no public name for it
    for type_ in core.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for field in type_.fields.values():
                definition = field.extensions.get("strawberry-definition")
                if not isinstance(definition, StrawberryField) or definition.extensions:
                    continue
                if definition.arguments:
                    field.resolve = called = Called(definition, schema)
                    field.extensions[CONVERT] = called.convert
                else:
                    field.resolve = _direct(definition)
    return core


class Called:
    """The resolver of a field with arguments, which come as graphql-core coerced them and are converted here."""

    __slots__ = ("_resolve", "_takes", "convert")

    def __init__(self, definition: StrawberryField, schema: strawberry.Schema) -> None:
        self.convert = conversion(schema, definition.arguments)
        self._resolve = _function(definition)
        self._takes = frozenset(signature(self._resolve).parameters)

    def __call__(self, source: Any, info: Any, **arguments: Any) -> Any:
        return self._call(source, info, self.convert(arguments))

    def given(self, arguments: Mapping[str, Any]) -> Callable[[Any, Any], Any]:
        """A resolver for these arguments, converted once for any number of calls."""
        converted = self.convert(arguments)
        return lambda source, info: self._call(source, info, converted)

    def _call(self, source: Any, info: Any, converted: Mapping[str, Any]) -> Any:
        if "root" not in self._takes:
            return self._resolve(info=info, **converted) if "info" in self._takes else self._resolve(**converted)
        if "info" in self._takes:
            return self._resolve(root=source, info=info, **converted)
        return self._resolve(root=source, **converted)


def planning_of(field: GraphQLField) -> Planning | None:
    """What plans a root field for many viewers; None where nothing does."""
    definition = field.extensions.get("strawberry-definition")
    planning: Planning | None = definition.metadata.get(PLAN) if isinstance(definition, StrawberryField) else None
    return planning


def field_names(root: type) -> tuple[str, ...]:
    """The schema's names of the fields that a part of a root brings."""
    definition: StrawberryObjectDefinition = root.__strawberry_definition__  # type: ignore[attr-defined]
    convert = StrawberryConfig().name_converter
    return tuple(convert.get_graphql_name(field) for field in definition.fields)


def _direct(field: StrawberryField) -> Callable[[Any, Any], Any]:
    """What gives the field's value from its source and graphql-core's info."""
    if field.base_resolver is None:
        read = attrgetter(field.python_name)
        return lambda source, _info: read(source)
    resolve = _function(field)
    match tuple(signature(resolve).parameters):
        case ("root", "info"):
            return resolve
        case ("root",):
            return lambda source, _info: resolve(source)
        case ("info",):
            return lambda _source, info: resolve(info)
        case unknown:
            raise TypeError(f"{resolve.__qualname__} takes {unknown}; a resolver takes `root`, `info`, or both")


def _function(field: StrawberryField) -> Callable[..., Any]:
    if field.base_resolver is None:
        raise TypeError(f"{field.name} takes arguments and has no resolver")
    return cast("Callable[..., Any]", field.base_resolver.wrapped_func)
