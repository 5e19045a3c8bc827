"""The form of a selection: what it asks for, whatever document asks, and how long and for whom the answer is good.

Two selections of one form give the same JSON for the same object, values of variables and audience. The text of a form
is canonical: aliases kept, fragments opened, `@skip` and `@include` settled, variables numbered in order of appearance.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Protocol, cast

import orjson
from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    print_ast,
)
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList

from gateway.execution.annotations import cache_control
from resolvers.cache_control import CacheControl, CacheScope
from resolvers.caching.cache import Life

CONTEXT = "Context"
TYPENAME = "__typename"
_NARROWNESS = {scope: place for place, scope in enumerate(CacheScope)}
_LONGEST = 2**31


@dataclass(frozen=True, slots=True)
class Form:
    """`id` is the hash of its text; `variables` the variables in it, in the order of their numbers.

    `keepable` says whether values of it may be kept at all. `names` are the root of metrics and tags: `Query.catalog`.
    """

    id: bytes
    name: str
    scope: CacheScope
    life: Life
    variables: tuple[str, ...]
    keepable: bool

    def key(self, identity: bytes, values: Mapping[str, Any]) -> bytes:
        """The key of a value: the form, what it is a value of, and the values of the variables in it."""
        if not self.variables:
            return self.id + identity
        given = [values.get(name, _LEFT_OUT) for name in self.variables]
        return self.id + identity + b"\0" + orjson.dumps(given, default=repr, option=orjson.OPT_SORT_KEYS)

    def keys(self, identities: Iterable[str], values: Mapping[str, Any]) -> list[bytes]:
        """The keys of the values of several objects."""
        form = self.id
        given = self.key(b"", values)[len(form) :]
        return [form + identity.encode() + given for identity in identities]


_LEFT_OUT: dict[str, bool] = {"left out": True}


@dataclass(slots=True)
class _Draft:
    """A form in the making. `max_age` and `swr` are those of what is no entity of its own."""

    text: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    scope: CacheScope = CacheScope.PUBLIC
    max_age: int = _LONGEST
    swr: int = _LONGEST
    in_parts: bool = False

    def narrow(self, policies: Iterable[CacheControl]) -> None:
        for policy in policies:
            self.scope = max(self.scope, policy.scope, key=_NARROWNESS.__getitem__)
            self.max_age, self.swr = min(self.max_age, policy.max_age), min(self.swr, policy.swr)

    def number(self, variable: str) -> str:
        if variable not in self.variables:
            self.variables.append(variable)
        return f"${self.variables.index(variable)}"


class Collector(Protocol):
    """What knows what is selected below a field: an executor."""

    def collect_subfields(
        self, return_type: GraphQLObjectType, field_details_list: FieldDetailsList
    ) -> CollectedFields:
        """What is selected on an object of a field."""
        ...


class Forms:
    """The forms of one operation, once `@skip` and `@include` are settled. Shared by all its executions.

    `entities` are the object types that are kept by themselves. `hope` says how often what is asked for the first time,
    with variables of its own, is worth a plan.
    """

    def __init__(self, schema: GraphQLSchema, entities: frozenset[str]) -> None:
        self._schema = schema
        self._entities = entities
        self._of_fields: dict[tuple[str, int], Form] = {}
        self._of_objects: dict[tuple[str, int], Form] = {}
        self.subfields: dict[tuple[str, int], CollectedFields] = {}
        self.walks: dict[tuple[int, int], Any] = {}
        self.completions: dict[tuple[int, int], Any] = {}
        self.moulds: dict[int, Any] = {}
        self.hope = 0

    def is_entity(self, type_: GraphQLNamedType) -> bool:
        """Whether objects of this type are kept by themselves."""
        return type_.name in self._entities

    def of_field(self, executor: Collector, parent: GraphQLObjectType, details: FieldDetailsList) -> Form:
        """The form of a field of an object, its arguments included."""
        key = (parent.name, id(details[0].node))
        form = self._of_fields.get(key) if len(details) == 1 else None
        if form is None:
            draft = _Draft()
            self._field(executor, parent, "", details, draft)
            form = _form(f"{parent.name}.{details[0].node.name.value}", draft)
            if len(details) == 1:
                self._of_fields[key] = form
        return form

    def of_object(self, executor: Collector, type_: GraphQLObjectType, details: FieldDetailsList) -> Form:
        """The form of what is selected on an object."""
        key = (type_.name, id(details[0].node))
        form = self._of_objects.get(key) if len(details) == 1 else None
        if form is None:
            draft = _Draft()
            draft.narrow(policy for policy in (cache_control(type_),) if policy)
            self._object(executor, type_, details, draft)
            form = _form(type_.name, draft)
            if len(details) == 1:
                self._of_objects[key] = form
        return form

    def _object(self, executor: Collector, type_: GraphQLObjectType, details: FieldDetailsList, draft: _Draft) -> None:
        grouped, deferred, _ = executor.collect_subfields(type_, details)
        draft.in_parts = draft.in_parts or bool(deferred)
        draft.text.append(f"{type_.name}{{")
        for response_name, below in grouped.items():
            self._field(executor, type_, response_name, below, draft)
        draft.text.append("}")

    def _field(
        self,
        executor: Collector,
        parent: GraphQLObjectType,
        response_name: str,
        details: FieldDetailsList,
        draft: _Draft,
    ) -> None:
        node = details[0].node
        name = node.name.value
        draft.text.append(f"{response_name}:{name}")
        draft.in_parts = draft.in_parts or any(map(is_in_parts, details))
        definition = self._schema.get_field(parent, name)
        if definition is None or name == TYPENAME:
            return
        self._arguments(node, definition, draft)
        type_ = get_named_type(definition.type)
        own = cache_control(definition)
        draft.narrow(policy for policy in (own,) if policy)
        if not is_composite_type(type_):
            return
        kinds = (
            self._schema.get_possible_types(type_) if is_abstract_type(type_) else [cast("GraphQLObjectType", type_)]
        )
        for kind in kinds:
            self._below(executor, kind, details, draft)

    def _below(self, executor: Collector, kind: GraphQLObjectType, details: FieldDetailsList, draft: _Draft) -> None:
        """What is selected on the objects of a field. Entities live by themselves, so only their scope counts here."""
        below = _Draft(draft.text, draft.variables)
        policy = cache_control(kind)
        below.narrow((policy,) if policy else ())
        self._object(executor, kind, details, below)
        draft.in_parts = draft.in_parts or below.in_parts
        if self.is_entity(kind) and below.scope is CacheScope.PUBLIC:
            return
        draft.narrow((CacheControl(max_age=below.max_age, scope=below.scope, swr=below.swr),))

    def _arguments(self, node: FieldNode, definition: GraphQLField, draft: _Draft) -> None:
        """What is asked; a context is not: a value depends on what was read of it, and that is its audience."""
        written = sorted(node.arguments or (), key=lambda argument: argument.name.value)
        texts = [
            f"{argument.name.value}:{_value(argument.value, draft)}"
            for argument in written
            if get_named_type(definition.args[argument.name.value].type).name != CONTEXT
        ]
        if texts:
            draft.text.append(f"({','.join(texts)})")


def _form(name: str, draft: _Draft) -> Form:
    text = f"{name}|{' '.join(draft.text)}"
    max_age = 0 if draft.max_age == _LONGEST else draft.max_age
    swr = 0 if draft.swr == _LONGEST else draft.swr
    keepable = not draft.in_parts and max_age > 0 and draft.scope is not CacheScope.PRIVATE
    digest = blake2b(text.encode(), digest_size=16).digest()
    return Form(digest, name, draft.scope, Life(max_age, swr), tuple(draft.variables), keepable)


def is_in_parts(details: Any) -> bool:
    """Whether a selection is deferred or streamed, or stands in a fragment with variables of its own."""
    streamed = any(directive.name.value == "stream" for directive in details.node.directives or ())
    return details.defer_usage is not None or details.fragment_variable_values is not None or streamed


def _value(node: ValueNode, draft: _Draft) -> str:
    if isinstance(node, VariableNode):
        return draft.number(node.name.value)
    if isinstance(node, ListValueNode):
        return f"[{','.join(_value(each, draft) for each in node.values)}]"
    if isinstance(node, ObjectValueNode):
        members = sorted(node.fields, key=lambda member: member.name.value)
        return f"{{{','.join(f'{member.name.value}:{_value(member.value, draft)}' for member in members)}}}"
    return print_ast(node)
