"""Leaves: what values of scalars and enums become in JSON, for completions that are compiled."""

from collections.abc import Callable
from enum import Enum
from typing import Any

from graphql import GraphQLEnumType, GraphQLLeafType, GraphQLScalarType

Complete = Callable[[Any], Any]


class NotPlain(Exception):
    """A value, or a selection, that only graphql-core can complete."""


def leaf(type_: GraphQLLeafType) -> Complete:
    """What completes values of a leaf; NotPlain for what is none."""
    own = _own(type_)
    coerce = _known(type_) if isinstance(type_, GraphQLEnumType) else type_.coerce_output_value

    def complete(value: Any) -> Any:
        if value is None or value.__class__ is own:
            return value
        if isinstance(value, Exception) or hasattr(value, "__await__"):
            raise NotPlain
        return coerce(value)

    return complete


def leaf_of(read: Complete, type_: GraphQLLeafType, *, required: bool) -> Complete:
    """What reads a leaf of an object: most of them are what they become."""
    own = _own(type_)
    complete = present(leaf(type_)) if required else leaf(type_)

    def complete_of(source: Any) -> Any:
        value = read(source)
        return value if value.__class__ is own else complete(value)

    return complete_of


def present(complete: Complete) -> Complete:
    """The same, and NotPlain for null."""

    def there(value: Any) -> Any:
        completed = complete(value)
        if completed is None:
            raise NotPlain
        return completed

    return there


def _known(type_: GraphQLEnumType) -> Complete:
    """What gives the names of an enum's members, each looked for once only."""
    names: dict[int, tuple[Enum, Any]] = {}

    def known(value: Any) -> Any:
        found = names.get(id(value))
        if found is not None:
            return found[1]
        name = type_.coerce_output_value(value)
        if isinstance(value, Enum):
            names[id(value)] = (value, name)  # held, so that its place in memory stays its own
        return name

    return known


def _own(type_: GraphQLLeafType) -> type | None:
    return _OWN.get(type_.name) if isinstance(type_, GraphQLScalarType) else None


_OWN: dict[str, type] = {"ID": str, "String": str, "Boolean": bool}
"""Kinds of values that are what they become."""
