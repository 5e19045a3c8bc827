"""Arguments as resolvers take them: by their own names, input objects as objects.

The values are those of Strawberry's `convert_arguments`, which looks all types and names up anew each time; here that
is done once for a field.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from functools import partial
from typing import Any

import strawberry
from strawberry.relay import GlobalID
from strawberry.scalars import is_scalar
from strawberry.types.arguments import StrawberryArgument, convert_argument
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional, has_object_definition
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.field import StrawberryField

Convert = Callable[[Any], Any]


def conversion(
    schema: strawberry.Schema, arguments: list[StrawberryArgument]
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What turns coerced arguments, by the schema's names, into those that a resolver takes."""
    name_of = schema.config.name_converter.from_argument
    return _members([(name_of(each), each.python_name, _conversion_of(schema, each.type)) for each in arguments])


def _members(members: list[tuple[str, str, Convert | None]]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What takes those of these members that are there."""

    def convert(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            own_name: values[name] if convert is None else convert(values[name])
            for name, own_name, convert in members
            if name in values
        }

    return convert


def _conversion_of(schema: strawberry.Schema, type_: Any) -> Convert | None:
    """What converts values of a type; None where they stay what they are."""
    if isinstance(type_, StrawberryOptional) and not isinstance(type_, StrawberryMaybe):
        return _conversion_of(schema, type_.of_type)
    if isinstance(type_, StrawberryList):
        return _unless_absent(_listed(_conversion_of(schema, type_.of_type)))
    if isinstance(type_, StrawberryEnumDefinition) or has_enum_definition(type_):
        return None
    if type_ is not GlobalID and is_scalar(type_, schema.schema_converter.scalar_registry):
        return None
    if has_object_definition(type_) and type_.__strawberry_definition__.from_input is None:
        return _unless_absent(_made(schema, type_))
    return partial(
        convert_argument,
        type_=type_,
        scalar_registry=schema.schema_converter.scalar_registry,
        config=schema.config,
    )


def _unless_absent(convert: Convert) -> Convert:
    return lambda value: value if value is None or value is strawberry.UNSET else convert(value)


def _listed(convert: Convert | None) -> Convert:
    """A list of its own: graphql-core gives the same default to all who leave an argument out."""
    return list if convert is None else lambda values: [convert(each) for each in values]


def _made(schema: strawberry.Schema, type_: Any) -> Convert:
    """What makes an input object of its members."""
    definition = type_.__strawberry_definition__
    name_of = schema.config.name_converter.from_field
    fields: list[StrawberryField] = definition.fields
    left_out = {
        each.python_name: None
        for each in fields
        if definition.is_input and each.default_value is MISSING and each.default_factory is MISSING
    }
    members = _members(
        [
            (name_of(each), each.python_name, _conversion_of(schema, each.resolve_type(type_definition=definition)))
            for each in fields
        ]
    )
    return lambda values: type_(**{**left_out, **members(values)})
