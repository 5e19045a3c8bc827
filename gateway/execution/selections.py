"""Walks over the selections of a document, linear in its size whatever its fragments do, and safe before validation."""

from collections.abc import Iterator, Mapping

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

Definition = OperationDefinitionNode | FragmentDefinitionNode


def fragments_of(document: DocumentNode) -> Mapping[str, FragmentDefinitionNode]:
    """The document's fragments by name; of several with one name, the last."""
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def selections(definition: Definition) -> Iterator[SelectionNode]:
    """Every field, spread and inline fragment written in a definition, in no particular order."""
    stack = [definition.selection_set]
    while stack:
        for node in stack.pop().selections:
            yield node
            if isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
                stack.append(node.selection_set)


def spread_order(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> tuple[FragmentDefinitionNode, ...]:
    """The fragments an operation reaches, each once and after all those it spreads itself.

    A spread that closes a cycle or names no fragment is passed over; validation reports it.
    """
    ordered: list[FragmentDefinitionNode] = []
    seen: set[str] = set()
    walk: list[tuple[Definition, Iterator[str]]] = [(operation, _spreads(operation))]
    while walk:
        definition, names = walk[-1]
        name = next((name for name in names if name in fragments and name not in seen), None)
        if name is not None:
            seen.add(name)
            walk.append((fragments[name], _spreads(fragments[name])))
            continue
        walk.pop()
        if isinstance(definition, FragmentDefinitionNode):
            ordered.append(definition)
    return tuple(ordered)


def level(selection_set: SelectionSetNode, condition: str) -> Iterator[tuple[str, FieldNode | FragmentSpreadNode]]:
    """The fields and spreads that belong to one object, inline fragments opened, each with the name of its type.

    `condition` names the type that the selection set is on.
    """
    stack = [(condition, selection_set)]
    while stack:
        parent, current = stack.pop()
        for node in current.selections:
            if isinstance(node, InlineFragmentNode):
                stack.append((node.type_condition.name.value if node.type_condition else parent, node.selection_set))
            elif isinstance(node, FieldNode | FragmentSpreadNode):
                yield parent, node


def _spreads(definition: Definition) -> Iterator[str]:
    return (node.name.value for node in selections(definition) if isinstance(node, FragmentSpreadNode))
