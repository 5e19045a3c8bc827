"""The fragments of component versions, held against a schema: what does not fit, and what they select."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    Source,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    extend_schema,
    is_composite_type,
    parse,
    validate,
    visit,
)
from graphql.utilities import BreakingChange, find_schema_changes

from flags.errors import InvalidComponent, SchemaUnreadable
from flags.registry import FRAGMENT, MANIFEST, ComponentVersion

_MAX_TOKENS: Final = 5_000


@dataclass(frozen=True, slots=True)
class SchemaText:
    """A schema to hold fragments against: its text, and how messages call it."""

    name: str
    text: str


class FragmentSchema:
    """A schema with a place at its root for a fragment on any of its types, so that each can be validated whole."""

    def __init__(self, given: SchemaText) -> None:
        """Raises `SchemaUnreadable` when the text is no schema."""
        self.name = given.name
        try:
            self.schema: GraphQLSchema = build_schema(given.text)
            self._root = self.schema.query_type.name if self.schema.query_type else "Query"
            self._extended = extend_schema(self.schema, parse(self._places()))
        except (GraphQLError, TypeError) as error:
            raise SchemaUnreadable(f"{given.name} is no GraphQL schema: {error}") from error

    def problems(self, version: ComponentVersion) -> tuple[str, ...]:
        """What of the version's fragment does not fit, each with file and line; empty when all does."""
        try:
            document = self._operation(version)
        except InvalidComponent as error:
            return (str(error),)
        return tuple(_told(error, version) for error in validate(self._extended, document))

    def selected(self, version: ComponentVersion) -> frozenset[str]:
        """What a fragment without problems selects: fields, `Query.product`, and arguments, `Query.product(id:)`."""
        info = TypeInfo(self._extended)
        fields = _Fields(info)
        visit(fragment_of(version), TypeInfoVisitor(info, fields))
        return frozenset(fields.found)

    def _operation(self, version: ComponentVersion) -> DocumentNode:
        """The fragment in an operation that declares the manifest's variables."""
        fragment = fragment_of(version)
        manifest, on = version.manifest, fragment.type_condition.name.value
        if not is_composite_type(self.schema.get_type(on)):
            raise InvalidComponent(f"{_line(fragment)}the schema has no object, interface or union {on!r}")
        declared = ", ".join(f"${name}: {type_}" for name, type_ in manifest.variables.items())
        spread = f"{{ ...{manifest.fragment_name} }}"
        body = spread if on == self._root else f"{{ {_place(on)} {spread} }}"
        try:
            operation = parse(f"query {manifest.fragment_name}{f'({declared})' if declared else ''} {body}")
        except GraphQLError as error:
            raise InvalidComponent(f"{MANIFEST}: variables: {error.message}") from error
        if len(operation.definitions) > 1:
            raise InvalidComponent(f"{MANIFEST}: variables: a type is not one type alone")
        return DocumentNode(definitions=(*operation.definitions, fragment))

    def _places(self) -> str:
        roots = {root.name for root in (self.schema.mutation_type, self.schema.subscription_type) if root}
        types = [
            name
            for name, type_ in self.schema.type_map.items()
            if is_composite_type(type_) and not name.startswith("__") and name not in (self._root, *roots)
        ]
        fields = "\n".join(f"{_place(name)}: {name}" for name in (*types, self._root))
        return f"extend type {self._root} {{ {fields} }}"


def fragment_of(version: ComponentVersion) -> FragmentDefinitionNode:
    """The one fragment that a version's file holds.

    Raises:
        InvalidComponent: it is no GraphQL, or holds anything but one fragment with the version's name.
    """
    manifest = version.manifest
    try:
        document = parse(Source(version.fragment, FRAGMENT), max_tokens=_MAX_TOKENS)
    except GraphQLError as error:
        raise InvalidComponent(_told(error, version)) from error
    named = [definition for definition in document.definitions if isinstance(definition, FragmentDefinitionNode)]
    if len(document.definitions) != 1 or len(named) != 1 or named[0].name.value != manifest.fragment_name:
        received = ", ".join(_title(definition) for definition in document.definitions)
        raise InvalidComponent(f"{FRAGMENT}: received {received}; write one fragment {manifest.fragment_name}")
    return named[0]


def changed(before: FragmentSchema, after: FragmentSchema, selected: Iterable[str]) -> tuple[str, ...]:
    """The breaking changes between two schemas that speak of what is selected, as graphql-core words them."""
    wanted = frozenset(selected)
    return tuple(
        change.description
        for change in find_schema_changes(before.schema, after.schema)
        if isinstance(change, BreakingChange) and wanted & frozenset(change.description.rstrip(".").split())
    )


class _Fields(Visitor):
    """Collects the fields and arguments of a document."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self._info = info
        self.found: set[str] = set()

    def enter_field(self, node: FieldNode, *_rest: object) -> None:
        """Called by `visit` for each field."""
        parent = self._info.get_parent_type()
        if parent is not None:
            field = f"{parent.name}.{node.name.value}"
            self.found.update((field, *(f"{field}({argument.name.value}:)" for argument in node.arguments or ())))


def _place(type_name: str) -> str:
    return f"componentDataOn{type_name}"


def _told(error: GraphQLError, version: ComponentVersion) -> str:
    """The error with its place in the fragment; what is said of the operation around it is about the manifest."""
    ours = _first_line(error)
    if ours is not None:
        hint = f"; declare it in the variables of {MANIFEST}" if "is not defined by operation" in error.message else ""
        return f"{FRAGMENT}:{ours}: {error.message.rstrip('.')}{hint}"
    return f"{MANIFEST}: variables: {error.message.rstrip('.')}"


def _first_line(error: GraphQLError) -> int | None:
    if error.source is not None and error.source.name == FRAGMENT and error.locations:
        return error.locations[0].line
    return None


def _line(node: FragmentDefinitionNode) -> str:
    return f"{FRAGMENT}:{node.loc.start_token.line if node.loc else 1}: "


def _title(definition: object) -> str:
    name = getattr(getattr(definition, "name", None), "value", None)
    kind = "fragment" if isinstance(definition, FragmentDefinitionNode) else "something else"
    return f"{kind} {name}" if name else kind
