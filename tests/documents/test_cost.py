"""The compiled cost equals the cost worked out field by field."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLOutputType,
    InlineFragmentNode,
    IntValueNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    build_schema,
    get_named_type,
    parse,
    print_ast,
    validate,
    visit,
)
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from hypothesis_graphql import queries
from prometheus_client import CollectorRegistry

from gateway.documents import Documents
from gateway.errors import LimitExceeded, StartRefused
from gateway.execution.cost import CostPlan, compile_cost, size_of, wrong_list_sizes
from gateway.execution.limits import CEILING
from gateway.execution.selections import fragments_of
from gateway.settings import Settings
from tests.documents.shop import SDL, asked, documents, shop

SCHEMA = shop()

WEIGHTS = {("Query", "search"): 5, ("Product", "price"): 2, ("Product", "related"): 2, ("Product", "score"): 4}
LEAVES = {"id", "name", "amount", "decision", "title", "text", "clock"}
SIZES: dict[tuple[str, str], tuple[int, dict[str, int | None]]] = {
    ("Query", "products"): (7, {"ids": None}),
    ("Query", "catalog"): (100, {"first": 24, "last": None}),
    ("Query", "components"): (10, {}),
    ("Product", "related"): (3, {"first": None}),
}
TYPES = {
    ("Query", "product"): "Product",
    ("Query", "products"): "Product",
    ("Query", "catalog"): "Connection",
    ("Query", "shelf"): "Shelf",
    ("Query", "components"): "Component",
    ("Query", "search"): "Found",
    ("Query", "basket"): "Basket",
    ("Product", "price"): "Price",
    ("Product", "related"): "Product",
    ("Connection", "edges"): "Edge",
    ("Edge", "node"): "Product",
    ("Shelf", "products"): "Product",
}


def plan(text: str) -> CostPlan:
    document = parse(text)
    assert validate(SCHEMA, document) == []
    return compile_cost(SCHEMA, operation_of(document), fragments_of(document))


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    return next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("{clock}", 0),
        ("{product{id name}}", 1),
        ("{product{score}}", 5),
        ("{product{price{amount}}}", 3),
        ("{product{related{id}}}", 1 + 3 * 2),
        ("{product{related(first:5){price{amount}}}}", 1 + 5 * (2 + 2)),
        ("{product{related(first:null){id}}}", 1 + 3 * 2),
        ("{catalog{edges{node{id}}}}", 24 * 3),
        ("{catalog(last:30){edges{node{id}}}}", 30 * 3),
        ("{catalog(last:30 first:40){edges{node{id}}}}", 40 * 3),
        ("{catalog(first:null){edges{node{id}}}}", 100 * 3),
        ("{products(ids:[1,2,3,4]){id}}", 4),
        ("{products(ids:1){id}}", 1),
        ("{products{id}}", 7),
        ("{components{name}}", 10),
        ("{search{... on Page{title} ... on Story{text}}}", 5),
        ("{product{...A} p:product{...A}} fragment A on Product{price{amount}}", 6),
        ("{__typename}", 0),
        ("{__schema{types{name}}}", 500),
        ('{__type(name:"Product"){name}}', 50),
        ("mutation{add{id}}", 1),
    ],
)
def test_a_cost_known_beforehand_is_a_constant(text: str, cost: int) -> None:
    assert plan(text) == CostPlan(cost)


@pytest.mark.parametrize(
    ("value", "items"),
    [
        *[(0, 0), (1, 1), (100, 100), (250, 250), (24.0, 24), (None, 100), (-1, 100), ("5", 100), (True, 100)],
        *[([1], 100), ({"a": 1}, 100), (2.5, 100), (float("inf"), 100), (10**30, CEILING)],
    ],
)
def test_a_variable_that_does_not_fit_counts_as_the_largest_page(value: object, items: int) -> None:
    document = "query($n:Int){catalog(first:$n){edges{node{id}}}}"
    assert plan(document).cost({"n": value}) == min(CEILING, items * 3)


def test_variables_and_defaults_are_found_in_the_order_that_graphql_knows() -> None:
    both = plan("query($n:Int=5){catalog(first:$n){edges{node{id}}}}")
    assert (both.cost({"n": 2}), both.cost({}), both.cost({"other": 9})) == (6, 15, 15)
    argument = plan("query($n:Int){catalog(first:$n){edges{node{id}}}}")
    assert argument.cost({}) == 24 * 3
    ids = plan("query($ids:[ID!]){products(ids:$ids){id}}")
    assert [ids.cost({"ids": value}) for value in (["a", "b"], [], "a", None)] == [2, 0, 1, 7]
    written = plan("query($id:ID!){products(ids:[$id,$id,$id]){id}}")
    assert written == CostPlan(3)


def test_a_cost_over_the_limit_is_refused_by_what_the_request_asks_for() -> None:
    strict = documents(max_cost=100)
    text = "query Q($n:Int){catalog(first:$n){edges{node{id}}}}"
    assert strict.operation(asked(text, n=33)).cost({"n": 33}) == 99
    with pytest.raises(LimitExceeded) as caught:
        strict.operation(asked(text, n=34))
    assert dict(caught.value.details) == {"limit": "cost", "received": 102, "allowed": 100}


def test_list_sizes_that_name_no_argument_stop_the_start() -> None:
    wrong = build_schema(SDL.replace('slicingArguments: ["ids"]', 'slicingArguments: ["keys"]'))
    assert wrong_list_sizes(wrong) == ["Query.products(keys:)"]
    with pytest.raises(StartRefused, match=r"Query\.products\(keys:\)"):
        Documents(wrong, Settings(), CollectorRegistry())


@trying(deadline=None)
@given(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.lists(st.integers())), st.booleans())
def test_a_size_is_never_negative_nor_without_end(value: object, counted: bool) -> None:
    size = size_of(value, counted)
    assert size is None or 0 <= size <= CEILING


# The reference: the cost of an operation worked out by recursion, with tables of its own.


@dataclass
class Reference:
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, object]
    defaults: Mapping[str, object] = field(default_factory=dict)

    def total(self, selection_set: SelectionSetNode, parent: str) -> int:
        return sum(self.one(node, parent) for node in selection_set.selections)

    def one(self, node: object, parent: str) -> int:
        if isinstance(node, FragmentSpreadNode):
            fragment = self.fragments[node.name.value]
            return self.total(fragment.selection_set, fragment.type_condition.name.value)
        if isinstance(node, InlineFragmentNode):
            return self.total(node.selection_set, node.type_condition.name.value if node.type_condition else parent)
        assert isinstance(node, FieldNode)
        name = (parent, node.name.value)
        if node.name.value == "__typename":
            return 0
        weight = WEIGHTS.get(name, 0 if node.name.value in LEAVES else 1)
        below = self.total(node.selection_set, TYPES[name]) if node.selection_set else 0
        return self.items(node, name) * (weight + below)

    def items(self, node: FieldNode, name: tuple[str, str]) -> int:
        if name not in SIZES:
            return 1
        assumed, arguments = SIZES[name]
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        sizes = [self.size(given[key]) if key in given else default for key, default in arguments.items()]
        # an argument that is given as a variable nobody set has the argument's default
        for place, (key, default) in enumerate(arguments.items()):
            value = given.get(key)
            if isinstance(value, VariableNode) and self.unset(value.name.value):
                sizes[place] = default
        known = [size for size in sizes if size is not None]
        return max(known) if known else assumed

    def unset(self, name: str) -> bool:
        return name not in self.variables and name not in self.defaults

    def size(self, node: object) -> int | None:
        if isinstance(node, IntValueNode):
            return int(node.value) if int(node.value) >= 0 else 100
        if isinstance(node, VariableNode):
            value = self.variables.get(node.name.value, self.defaults.get(node.name.value))
            return None if value is None else value if type(value) is int and value >= 0 else 100
        values = getattr(node, "values", None)
        if values is not None:
            return len(values)
        return None if node is None or type(node).__name__ == "NullValueNode" else 1


class Reshape(Visitor):
    """Turns some sizes into variables and some selections into fragments, as `draw` has it."""

    def __init__(self, info: TypeInfo, draw: st.DataObject) -> None:
        super().__init__()
        self.info = info
        self.draw = draw
        self.fragments: list[FragmentDefinitionNode] = []
        self.variables: dict[str, object] = {}
        self.definitions: list[VariableDefinitionNode] = []

    def leave_argument(self, node: ArgumentNode, *_: object) -> ArgumentNode | None:
        if node.name.value not in {"first", "last"} or not self.draw.draw(st.booleans()):
            return None
        name = f"v{len(self.definitions)}"
        default = self.draw.draw(st.none() | st.integers(0, 200))
        self.definitions.append(
            VariableDefinitionNode(
                variable=VariableNode(name=NameNode(value=name)),
                type=NamedTypeNode(name=NameNode(value="Int")),
                default_value=None if default is None else IntValueNode(value=str(default)),
                directives=(),
            )
        )
        if self.draw.draw(st.booleans()):
            self.variables[name] = self.draw.draw(
                st.none() | st.integers(-5, 300) | st.text(max_size=2) | st.booleans()
            )
        return ArgumentNode(name=node.name, value=VariableNode(name=NameNode(value=name)))

    def leave_field(self, node: FieldNode, *_: object) -> FieldNode | None:
        type_: GraphQLOutputType | None = self.info.get_type()
        if node.selection_set is None or type_ is None or not self.draw.draw(st.booleans()):
            return None
        name = NameNode(value=f"F{len(self.fragments)}")
        condition = NamedTypeNode(name=NameNode(value=get_named_type(type_).name))
        self.fragments.append(
            FragmentDefinitionNode(name=name, type_condition=condition, directives=(), selection_set=node.selection_set)
        )
        spread = FragmentSpreadNode(name=name, directives=())
        twice = (spread, spread) if self.draw.draw(st.booleans()) else (spread,)
        return FieldNode(
            name=node.name,
            alias=node.alias,
            arguments=node.arguments,
            directives=node.directives,
            selection_set=SelectionSetNode(selections=twice),
        )


@trying(deadline=None, max_examples=150)
@given(queries(SDL, allow_x00=False), st.data())
def test_the_plan_costs_what_recursion_costs(text: str, data: st.DataObject) -> None:
    info = TypeInfo(SCHEMA)
    reshape = Reshape(info, data)
    document: DocumentNode = visit(parse(text), TypeInfoVisitor(info, reshape))
    operation = operation_of(document)
    operation = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=tuple(reshape.definitions),
        directives=operation.directives,
        selection_set=operation.selection_set,
    )
    whole = parse(print_ast(DocumentNode(definitions=(operation, *reshape.fragments))))
    defaults = {
        definition.variable.name.value: int(definition.default_value.value)
        for definition in reshape.definitions
        if isinstance(definition.default_value, IntValueNode)
    }
    fragments = fragments_of(whole)
    expected = Reference(fragments, reshape.variables, defaults).total(operation_of(whole).selection_set, "Query")
    compiled = compile_cost(SCHEMA, operation_of(whole), fragments)
    assert compiled.cost(reshape.variables) == min(CEILING, expected)
