"""What an operation costs: weights and list sizes from the schema, folded once for each document into a short plan.

The cost of a field is `size * (weight + cost of all below it)`; of an operation, the sum over its root fields. `weight`
is `@cost`, else 1 for an object and 0 for a leaf; `size` is what `@listSize` says, else 1. Fields selected twice count
twice, and `@skip`, `@include` and excluding type conditions are not looked at: the cost is an upper bound.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphql import (
    ArgumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    value_from_ast_untyped,
)

from gateway.execution.annotations import annotation
from gateway.execution.limits import CEILING
from gateway.execution.selections import level, spread_order
from resolvers.cost import Cost, ListSize
from resolvers.sources.source import MAX_PAGE

INTROSPECTION_COST: Mapping[str, int] = {"__schema": 500, "__type": 50, "__typename": 0}
"""What the fields that every schema has cost, with all below them."""

Variables = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class VariableSize:
    """A size that a variable gives; `default` where the request leaves it out.

    `counted` when the argument is a list, whose length is the size.
    """

    name: str
    default: int | None
    counted: bool

    def given(self, variables: Variables) -> int | None:
        """The size in this request; None when it is null."""
        return size_of(variables[self.name], self.counted) if self.name in variables else self.default


@dataclass(frozen=True, slots=True)
class Size:
    """How many items a field gives: the largest size that was given, else what the schema assumes."""

    written: int | None
    variables: tuple[VariableSize, ...]
    assumed: int

    def items(self, variables: Variables) -> int:
        """The number of items in this request."""
        largest = self.written
        for variable in self.variables:
            size = variable.given(variables)
            if size is not None and (largest is None or size > largest):
                largest = size
        return self.assumed if largest is None else largest


@dataclass(frozen=True, slots=True)
class Step:
    """A subtotal that depends on variables: `size * (constant + the subtotals named by parts)`."""

    size: Size
    constant: int
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CostPlan:
    """The cost of an operation as a sum: a constant and, where variables give sizes, subtotals of earlier steps."""

    constant: int
    parts: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()

    def cost(self, variables: Variables) -> int:
        """The cost with these variables, which need not fit the operation; 0 to `CEILING`."""
        if not self.parts:
            return self.constant
        totals: list[int] = []
        for step in self.steps:
            inner = step.constant
            for part in step.parts:
                inner += totals[part]
            totals.append(min(CEILING, step.size.items(variables) * inner))
        return min(CEILING, self.constant + sum(totals[part] for part in self.parts))


def size_of(value: object, counted: bool) -> int | None:
    """The number of items an argument's value asks for; the largest page for what does not fit the argument."""
    if value is None:
        return None
    if counted:
        return len(value) if isinstance(value, list | tuple) else 1
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return MAX_PAGE
    return min(value, CEILING)


def wrong_list_sizes(schema: GraphQLSchema) -> list[str]:
    """The slicing arguments that `@listSize` names and their field does not have, as `Type.field(argument:)`."""
    return [
        f"{type_.name}.{name}({argument}:)"
        for type_ in schema.type_map.values()
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
        for name, field in type_.fields.items()
        if (listed := annotation(field, ListSize))
        for argument in listed.slicing_arguments or ()
        if argument not in field.args
    ]


def compile_cost(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> CostPlan:
    """The plan of an operation that has passed validation, in time linear in its document."""
    root = schema.get_root_type(operation.operation)
    if root is None:
        return CostPlan(0)
    compiler = _Compiler(schema, _defaults(operation))
    for fragment in spread_order(operation, fragments):
        compiler.add_fragment(fragment)
    total = compiler.total(operation.selection_set, root.name)
    return CostPlan(total.constant, total.parts, tuple(compiler.steps))


@dataclass(frozen=True, slots=True)
class _Sum:
    constant: int
    parts: tuple[int, ...] = ()


_ONCE = Size(written=1, variables=(), assumed=1)


class _Compiler:
    def __init__(self, schema: GraphQLSchema, defaults: Variables) -> None:
        self._schema = schema
        self._defaults = defaults
        self._fragments: dict[str, _Sum] = {}
        self.steps: list[Step] = []

    def add_fragment(self, fragment: FragmentDefinitionNode) -> None:
        """Make a fragment known; its own step, so that spreading it often does not repeat its parts."""
        total = self.total(fragment.selection_set, fragment.type_condition.name.value)
        self._fragments[fragment.name.value] = self._step(_ONCE, total) if total.parts else total

    def total(self, selection_set: SelectionSetNode, condition: str) -> _Sum:
        """The cost of all that is selected on one object."""
        constant, parts = 0, list[int]()
        for parent, node in level(selection_set, condition):
            part = (
                self._fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else self._field(node, parent)
            )
            constant = min(CEILING, constant + part.constant)
            parts.extend(part.parts)
        return _Sum(constant, tuple(parts))

    def _field(self, node: FieldNode, parent: str) -> _Sum:
        if node.name.value in INTROSPECTION_COST:
            return _Sum(INTROSPECTION_COST[node.name.value])
        field: GraphQLField = self._schema.type_map[parent].fields[node.name.value]  # type: ignore[attr-defined]
        type_ = get_named_type(field.type)
        weighed = annotation(field, Cost)
        weight = weighed.weight if weighed else int(not is_leaf_type(type_))
        below = self.total(node.selection_set, type_.name) if node.selection_set else _Sum(0)
        return self._times(self._size(node, field), _Sum(weight + below.constant, below.parts))

    def _times(self, size: Size | None, item: _Sum) -> _Sum:
        if size is None:
            return item
        if size.variables or item.parts:
            return self._step(size, item)
        return _Sum(min(CEILING, size.items({}) * item.constant))

    def _step(self, size: Size, item: _Sum) -> _Sum:
        self.steps.append(Step(size, item.constant, item.parts))
        return _Sum(0, (len(self.steps) - 1,))

    def _size(self, node: FieldNode, field: GraphQLField) -> Size | None:
        listed = annotation(field, ListSize)
        if not listed:
            return None
        given = {argument.name.value: argument for argument in node.arguments or ()}
        sizes = [self._argument(given.get(name), field.args[name]) for name in listed.slicing_arguments or ()]
        written = [size for size in sizes if isinstance(size, int)]
        variables = tuple(size for size in sizes if isinstance(size, VariableSize))
        assumed = listed.assumed_size if isinstance(listed.assumed_size, int) else MAX_PAGE  # UNSET is not None
        return Size(max(written, default=None), variables, assumed)

    def _argument(self, node: ArgumentNode | None, argument: GraphQLArgument) -> int | VariableSize | None:
        counted = is_list_type(get_nullable_type(argument.type))
        if node is None:
            return size_of(_default(argument), counted)
        if isinstance(node.value, VariableNode):
            name = node.value.name.value
            default = self._defaults[name] if name in self._defaults else _default(argument)
            return VariableSize(name, size_of(default, counted), counted)
        if isinstance(node.value, ListValueNode) and counted:
            return len(node.value.values)
        return size_of(value_from_ast_untyped(node.value), counted)


def _default(argument: GraphQLArgument) -> object:
    """The value an argument has when it is left out; None when it has none."""
    if argument.default is not None:
        literal = argument.default.literal
        return argument.default.value if literal is None else value_from_ast_untyped(literal)
    return None if argument.default_value is Undefined else argument.default_value


def _defaults(operation: OperationDefinitionNode) -> Variables:
    return dict(_default_values(operation))


def _default_values(operation: OperationDefinitionNode) -> Iterator[tuple[str, object]]:
    for variable in operation.variable_definitions or ():
        if variable.default_value is not None:
            yield variable.variable.name.value, value_from_ast_untyped(variable.default_value)
