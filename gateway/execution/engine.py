"""Runs an operation against the schema, directly on graphql-core."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from cachetools import LRUCache
from graphql import (
    REMOVE,
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    Visitor,
    default_field_resolver,
    default_type_resolver,
    visit,
)
from graphql.execution import ExperimentalIncrementalExecutionResults
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.incremental import IncrementalExecutor
from graphql.execution.values import get_variable_values
from graphql.type import assert_valid_schema
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.documents import Operation
from gateway.errors import UnprocessableVariables

Result = ExecutionResult | ExperimentalIncrementalExecutionResults

MAX_VARIABLE_ERRORS = 20


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An operation taken apart once, so that no request pays for it again."""

    definition: OperationDefinitionNode
    fragment_definitions: dict[str, FragmentDefinitionNode]
    fragments: dict[str, FragmentDetails]


class Engine:
    """Executes operations of one schema.

    `executor_class` is Strawberry's executor, which gives resolvers the `info` they expect, or one below it.
    The operations it has taken apart are kept, at most `prepared` of them.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        executor_class: type[IncrementalExecutor] = StrawberryGraphQLCoreExecutionContext,
        prepared: int = 1000,
        hide_suggestions: bool = False,
    ) -> None:
        assert_valid_schema(schema)
        self._schema = schema
        self._executor_class = executor_class
        self._hide_suggestions = hide_suggestions
        self._prepared: LRUCache[tuple[str, str | None, bool], _Prepared] = LRUCache(prepared)

    async def run(
        self, operation: Operation, variables: Mapping[str, object] | None, visit: object, *, in_parts: bool
    ) -> Result:
        """Execute an operation with `visit` as the resolvers' context.

        With `in_parts`, `@defer` and `@stream` may give incremental results; without, they are as if not written,
        so that the one answer has every member its types promise. Errors of fields are in the result, unmasked.

        Raises:
            UnprocessableVariables: the variables do not fit; nothing was executed.
        """
        whole = operation.incremental and not in_parts
        executor = self._executor(self._prepare(operation, whole), variables, visit)
        result = executor.execute_operation()
        return await result if inspect.isawaitable(result) else result

    def _executor(
        self, prepared: _Prepared, variables: Mapping[str, object] | None, visit: object
    ) -> IncrementalExecutor:
        # This is graphql-core's `Executor.build` without what was done at start-up or once for the operation.
        values = get_variable_values(
            self._schema,
            prepared.definition.variable_definitions or (),
            cast("dict[str, Any]", variables or {}),
            max_errors=MAX_VARIABLE_ERRORS,
            hide_suggestions=self._hide_suggestions,
        )
        if isinstance(values, list):
            raise UnprocessableVariables("the variables do not fit the operation", errors=values)
        return self._executor_class(
            self._schema,
            prepared.fragment_definitions,
            prepared.fragments,
            None,
            visit,
            prepared.definition,
            values,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            enable_early_execution=True,
            is_awaitable=optimized_is_awaitable,
            hide_suggestions=self._hide_suggestions,
        )

    def _prepare(self, operation: Operation, whole: bool) -> _Prepared:
        key = (operation.hash, operation.name, whole)
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._prepared[key] = _take_apart(operation, whole)
        return prepared


def _take_apart(operation: Operation, whole: bool) -> _Prepared:
    place = next(i for i, each in enumerate(operation.document.definitions) if each is operation.definition)
    document: DocumentNode = visit(operation.document, _InOnePiece()) if whole else operation.document
    definitions = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    return _Prepared(
        definition=cast("OperationDefinitionNode", document.definitions[place]),
        fragment_definitions=definitions,
        fragments={name: FragmentDetails(definition) for name, definition in definitions.items()},
    )


class _InOnePiece(Visitor):
    """Takes `@defer` and `@stream` off."""

    def enter_directive(self, node: DirectiveNode, *_: object) -> object:
        return REMOVE if node.name.value in ("defer", "stream") else None
