"""Arguments are converted as Strawberry does it, for every field of the schema and whatever is left out or null."""

from collections.abc import Iterator
from typing import Any

import strawberry
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from resolvers.arguments import conversion
from resolvers.schema import build_schema

SCHEMA = build_schema()
SCALARS: dict[str, list[Any]] = {"Int": [0, 7], "Float": [0.5], "Boolean": [True, False]}


def fields(schema: strawberry.Schema) -> Iterator[GraphQLField]:
    for type_ in schema._schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            yield from (field for field in type_.fields.values() if field.args)


FIELDS = list(fields(SCHEMA))


def values_of(type_: Any) -> st.SearchStrategy[Any]:
    """What graphql-core may coerce a value of this type to."""
    if isinstance(type_, GraphQLNonNull):
        return present(type_.of_type)
    return st.none() | present(type_)


def present(type_: Any) -> st.SearchStrategy[Any]:
    if isinstance(type_, GraphQLList):
        return st.lists(values_of(type_.of_type), max_size=3)
    if isinstance(type_, GraphQLInputObjectType):
        return members_of(type_.fields)
    if isinstance(type_, GraphQLEnumType):
        return st.sampled_from([each.value for each in type_.values.values()])
    return st.sampled_from(SCALARS.get(type_.name, ["", "text"]))


def members_of(
    members: dict[str, GraphQLArgument] | dict[str, GraphQLInputField],
) -> st.SearchStrategy[dict[str, Any]]:
    required = {name: values_of(each.type) for name, each in members.items() if isinstance(each.type, GraphQLNonNull)}
    optional = {name: values_of(each.type) for name, each in members.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_arguments_are_converted_as_strawberry_does(data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(FIELDS))
    definition: StrawberryField = field.extensions["strawberry-definition"]
    values = data.draw(members_of(field.args))
    expected = convert_arguments(values, definition.arguments, SCHEMA.schema_converter.scalar_registry, SCHEMA.config)
    assert conversion(SCHEMA, definition.arguments)(values) == expected


@strawberry.input
class Inner:
    wanted: strawberry.Maybe[int]
    names: list[str] = strawberry.field(default_factory=lambda: ["a", "b"])
    left_out: int | None = strawberry.UNSET


@strawberry.type
class Query:
    @strawberry.field
    def asked(self, inners: list[Inner | None], id_: strawberry.relay.GlobalID, note: str | None = None) -> str:
        return repr((inners, id_, note))


def test_what_the_schema_does_not_use_yet_is_converted_as_strawberry_does() -> None:
    schema = strawberry.Schema(Query)
    (definition,) = Query.__strawberry_definition__.fields  # type: ignore[attr-defined]
    convert, registry = conversion(schema, definition.arguments), schema.schema_converter.scalar_registry
    for inner in ({}, {"wanted": 1}, {"names": None, "leftOut": None}, {"names": ["c"], "leftOut": 3}):
        values = {"inners": [inner, None], "id": "UXVlcnk6MQ==", "note": None}
        assert convert(values) == convert_arguments(values, definition.arguments, registry, schema.config)
