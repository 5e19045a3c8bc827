"""What `Cache-Control` says of an operation's answer, from the `@cacheControl` policies of all it selects."""

from collections.abc import Iterator, Mapping, Sequence

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_abstract_type,
)

from gateway.execution.annotations import cache_control
from gateway.execution.selections import level, spread_order
from resolvers.cache_control import CacheControl, CacheScope

_UNKNOWN = CacheControl(max_age=0, scope=CacheScope.PRIVATE, swr=0)
_NARROWNESS = {scope: place for place, scope in enumerate(CacheScope)}


def answer_policy(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> CacheControl | None:
    """The policy of an answer without errors; None for what may not be kept at all.

    The shortest life and the narrowest scope win, of all fields selected anywhere and of the types they give. Fields
    where both are silent have their parent's; at the root they may not be kept. PUBLIC only when everything in it is.
    """
    if operation.operation is not OperationType.QUERY:
        return None
    policies = list(_policies(schema, operation, fragments)) or [_UNKNOWN]
    return CacheControl(
        max_age=min(policy.max_age for policy in policies),
        scope=max((policy.scope for policy in policies), key=_NARROWNESS.__getitem__),
        swr=min(policy.swr for policy in policies),
    )


def cache_header(policy: CacheControl | None, *, shared: bool = False) -> str:
    """The header's text. `shared` is for the answer to a whole audience, which others may keep for it."""
    if policy is None:
        return "no-store"
    if policy.scope is CacheScope.PRIVATE:
        return "private, no-store"  # personal answers stay off the disks of shared devices
    visibility = "public" if shared or policy.scope is CacheScope.PUBLIC else "private"
    if policy.max_age <= 0:
        return f"{visibility}, no-cache"
    swr = f", stale-while-revalidate={policy.swr}" if policy.swr > 0 else ""
    return f"{visibility}, max-age={policy.max_age}{swr}"


def _policies(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[CacheControl]:
    root = schema.query_type.name if schema.query_type else ""
    levels = [(operation.selection_set, root)]
    levels += [(each.selection_set, each.type_condition.name.value) for each in spread_order(operation, fragments)]
    while levels:
        for parent, node in level(*levels.pop()):
            if not isinstance(node, FieldNode) or node.name.value == "__typename":
                continue
            definition = _definition(schema.type_map[parent], node)
            found = list(_of_field(schema, parent, node, definition)) if definition else []
            yield from found or ([_UNKNOWN] if parent == root else [])
            if definition and node.selection_set:
                levels.append((node.selection_set, get_named_type(definition.type).name))


def _of_field(schema: GraphQLSchema, parent: str, node: FieldNode, definition: GraphQLField) -> Iterator[CacheControl]:
    for owner in _kinds(schema, schema.type_map[parent]):
        for type_ in _kinds(schema, get_named_type(definition.type)):
            field = _definition(owner, node) or definition
            yield from (policy for policy in (cache_control(field), cache_control(type_)) if policy)


def _kinds(schema: GraphQLSchema, type_: GraphQLNamedType) -> Sequence[GraphQLNamedType]:
    """A type and, when it is an interface or a union, all that it may turn out to be."""
    return [type_, *schema.get_possible_types(type_)] if is_abstract_type(type_) else [type_]


def _definition(type_: GraphQLNamedType, node: FieldNode) -> GraphQLField | None:
    fields: Mapping[str, GraphQLField] = getattr(type_, "fields", {})
    return fields.get(node.name.value)
