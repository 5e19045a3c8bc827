"""What must hold in the schema, as a list of findings: empty when all is well."""

from collections.abc import Iterable, Iterator

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    IntValueNode,
    get_named_type,
    is_nullable_type,
    is_specified_directive,
)
from graphql.utilities import get_default_value_ast

CONTEXT = "Context"


def findings(schema: GraphQLSchema, plain: Iterable[str], personalized: Iterable[str]) -> list[str]:
    """Everything that breaks a rule, in the order of the rules and of the schema."""
    return [
        *_context_on_plain(schema, plain),
        *_context_on_personalized(schema, personalized),
        *_unsorted(schema, {*plain, *personalized}),
        *_undescribed(schema),
        *_unpaged(schema),
    ]


def _context_on_plain(schema: GraphQLSchema, plain: Iterable[str]) -> Iterator[str]:
    """Neither a plain field nor anything that can be reached through one takes a context."""
    roots = [(f"Query.{name}", _query(schema).fields[name]) for name in plain]
    for path, field in _reachable(roots):
        for name, argument in field.args.items():
            if name == "context" or get_named_type(argument.type).name == CONTEXT:
                yield f"{path} is plain and must not take `{name}`"


def _context_on_personalized(schema: GraphQLSchema, personalized: Iterable[str]) -> Iterator[str]:
    for name in personalized:
        context = _query(schema).fields[name].args.get("context")
        if context is None or get_named_type(context.type).name != CONTEXT:
            yield f"Query.{name} is personalized and must take `context: Context`"
        elif not is_nullable_type(context.type):
            yield f"Query.{name} must not demand its `context`"


def _unsorted(schema: GraphQLSchema, sorted_names: set[str]) -> Iterator[str]:
    for name in _query(schema).fields:
        if name not in sorted_names:
            yield f"Query.{name} is neither among the plain nor among the personalized fields"


def _undescribed(schema: GraphQLSchema) -> Iterator[str]:
    for type_ in _own_types(schema):
        if not type_.description:
            yield f"{type_.name} has no description"
        if isinstance(type_, GraphQLObjectType | GraphQLInputObjectType):
            for name, field in type_.fields.items():
                if not field.description:
                    yield f"{type_.name}.{name} has no description"
        if isinstance(type_, GraphQLObjectType):
            for name, object_field in type_.fields.items():
                for argument_name, argument in object_field.args.items():
                    if not argument.description:
                        yield f"{type_.name}.{name}({argument_name}:) has no description"
    for directive in schema.directives:
        if not is_specified_directive(directive) and not directive.description:
            yield f"@{directive.name} has no description"


def _unpaged(schema: GraphQLSchema) -> Iterator[str]:
    """A connection is asked for with `first` and `after`, and `first` has a default a page may have."""
    for type_ in _own_types(schema):
        if not isinstance(type_, GraphQLObjectType):
            continue
        for name, field in type_.fields.items():
            if get_named_type(field.type).name.endswith("Connection") and not {"first", "after"} <= field.args.keys():
                yield f"{type_.name}.{name} is a connection and must take `first` and `after`"
            first = field.args.get("first")
            if first is not None and not _is_page_size(first):
                yield f"{type_.name}.{name}(first:) must have a default from 1 to 100"


def _is_page_size(argument: GraphQLArgument) -> bool:
    default = get_default_value_ast(argument)
    return isinstance(default, IntValueNode) and 1 <= int(default.value) <= 100


def _query(schema: GraphQLSchema) -> GraphQLObjectType:
    if schema.query_type is None:
        raise ValueError("the schema has no Query")
    return schema.query_type


def _own_types(schema: GraphQLSchema) -> Iterator[GraphQLNamedType]:
    builtin = {"String", "Int", "Float", "Boolean", "ID"}
    return (type_ for name, type_ in schema.type_map.items() if not name.startswith("__") and name not in builtin)


def _reachable(roots: list[tuple[str, GraphQLField]]) -> Iterator[tuple[str, GraphQLField]]:
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        path, field = waiting.pop()
        yield path, field
        type_ = get_named_type(field.type)
        if isinstance(type_, GraphQLObjectType) and type_.name not in seen:
            seen.add(type_.name)
            waiting.extend((f"{type_.name}.{name}", below) for name, below in type_.fields.items())
