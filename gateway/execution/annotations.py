"""What the schema says about itself: its directives, read from a schema in code or from a printed one."""

from collections.abc import Mapping
from typing import TypeVar

from graphql import DirectiveNode, GraphQLField, GraphQLNamedType, value_from_ast_untyped
from strawberry.schema_directive import StrawberrySchemaDirective

from resolvers.cache_control import CacheControl, CacheScope

T = TypeVar("T")
_DEFINITION = "strawberry-definition"


def annotation(element: GraphQLField | GraphQLNamedType, kind: type[T]) -> T | None:
    """The schema directive of class `kind` on a field or type; None where it has none."""
    declared = getattr(element.extensions.get(_DEFINITION), "directives", None) or ()
    for directive in declared:
        if isinstance(directive, kind):
            return directive
    return _written(element, kind)


def cache_control(element: GraphQLField | GraphQLNamedType) -> CacheControl | None:
    """The policy on a field or type; None where it has none."""
    policy = annotation(element, CacheControl)
    if policy and isinstance(policy.scope, str):
        return CacheControl(max_age=policy.max_age, scope=CacheScope[policy.scope], swr=policy.swr)
    return policy


def _written(element: GraphQLField | GraphQLNamedType, kind: type[T]) -> T | None:
    definition: StrawberrySchemaDirective = vars(kind)["__strawberry_directive__"]
    names = {field.graphql_name: field.python_name for field in definition.fields}
    nodes: tuple[DirectiveNode, ...] = tuple(getattr(element.ast_node, "directives", None) or ())
    for node in nodes:
        if node.name.value == definition.graphql_name:
            given = {argument.name.value: value_from_ast_untyped(argument.value) for argument in node.arguments or ()}
            return kind(**_members(given, names))
    return None


def _members(given: Mapping[str, object], names: Mapping[str | None, str]) -> Mapping[str, object]:
    return {names[name]: value for name, value in given.items()}
