"""Completion compiled: objects whose selections are attributes, straight to what JSON needs.

graphql-core completes a value field by field and looks everything up anew each time. Where a selection takes no
arguments and reads nothing that has to be waited for, all of that can be settled once. What does not come out as it
should (null where there must be none, something to wait for, a leaf of a wrong kind) is left to graphql-core, which
knows what to say: `NotPlain`.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, cast

from graphql import (
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.types.field import StrawberryField

from gateway.execution.executor import KeepingExecutor
from gateway.execution.forms import TYPENAME
from gateway.execution.leaves import Complete, NotPlain, leaf, leaf_of, present

__all__ = ["Complete", "NotPlain", "completion_of"]


def completion_of(executor: KeepingExecutor, type_: GraphQLOutputType, details: FieldDetailsList) -> Complete:
    """As `compiled`, once for all executions of an operation."""
    if len(details) > 1:
        return compiled(executor, type_, details)
    known, key = executor.forms.completions, (id(type_), id(details[0].node))
    if key not in known:
        try:
            known[key] = compiled(executor, type_, details)
        except NotPlain:
            known[key] = None
    complete: Complete | None = known[key]
    if complete is None:
        raise NotPlain
    return complete


def compiled(executor: KeepingExecutor, type_: GraphQLOutputType, details: FieldDetailsList) -> Complete:
    """What completes values of this type for this selection; NotPlain when the selection asks for more."""
    if isinstance(type_, GraphQLNonNull):
        return present(compiled(executor, type_.of_type, details))
    if isinstance(type_, GraphQLList):
        return _listed(compiled(executor, type_.of_type, details))
    if is_leaf_type(type_):
        return leaf(type_)
    if isinstance(type_, GraphQLObjectType) and type_.name not in executor.keeping.kinds.entities:
        return _object(executor, type_, details)
    raise NotPlain


def _object(executor: KeepingExecutor, type_: GraphQLObjectType, details: FieldDetailsList) -> Complete:
    grouped, deferred, _ = executor.collect_subfields(type_, details)
    if deferred:
        raise NotPlain
    identified = executor.keeping.kinds.identified.get(type_.name)
    reads: list[tuple[str, Complete]] = []
    for response_name, below in grouped.items():
        name = below[0].node.name.value
        if identified is not None and name == identified.field:
            reads.append((response_name, _kept(response_name)))
        else:
            reads.append((response_name, _field(executor, type_, name, below)))

    def complete(value: Any) -> Any:
        return None if value is None else {name: read(value) for name, read in reads}

    return complete


def _field(executor: KeepingExecutor, type_: GraphQLObjectType, name: str, details: FieldDetailsList) -> Complete:
    if name == TYPENAME:
        return lambda _source: type_.name
    field = type_.fields[name]
    definition = field.extensions.get("strawberry-definition")
    if field.args or not isinstance(definition, StrawberryField):
        raise NotPlain
    if definition.base_resolver is None:
        read: Complete = attrgetter(definition.python_name)
    elif len(definition.base_resolver.signature.parameters) == 1 and not definition.is_async:
        resolve = definition.base_resolver.wrapped_func
        read = cast("Complete", resolve)
    else:
        raise NotPlain
    required = isinstance(field.type, GraphQLNonNull)
    type_below = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
    if is_leaf_type(type_below):
        return leaf_of(read, type_below, required=required)
    complete = compiled(executor, field.type, details)
    return lambda source: complete(read(source))


def _kept(response_name: str) -> Complete:
    """What is kept of the field that the object is identified for."""

    def read(source: Any) -> Any:
        if source.kept is None or response_name not in source.kept:
            raise NotPlain
        return source.kept[response_name]

    return read


def _listed(complete: Complete) -> Complete:
    def listed(value: Iterable[Any] | None) -> Any:
        return None if value is None else [complete(each) for each in value]

    return listed
