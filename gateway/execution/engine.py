"""Runs an operation against the schema, directly on graphql-core."""

import inspect
from collections.abc import Mapping, Sequence
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
    VariableNode,
    Visitor,
    default_field_resolver,
    default_type_resolver,
    visit,
)
from graphql.execution import ExperimentalIncrementalExecutionResults
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.incremental import IncrementalExecutor
from graphql.execution.values import VariableValues, get_variable_values
from graphql.type import assert_valid_schema
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.documents import Operation
from gateway.errors import UnprocessableVariables
from gateway.execution.answer_plan import AnswerPlan
from gateway.execution.executor import KeepingExecutor
from gateway.execution.forms import Forms
from gateway.execution.keeping import Keeping, Note
from gateway.execution.kept import Kept
from gateway.execution.lanes import Lanes, lanes_of
from resolvers.caching.cell import Cell
from resolvers.visit import Visit

Result = ExecutionResult | ExperimentalIncrementalExecutionResults

MAX_VARIABLE_ERRORS = 20
_MOST_HOPE = 8
"""So many plans may fail, one after the other, until what was asked for once has to be asked for again."""

_SETTLEMENTS = 16
"""How many outcomes of `@skip` and `@include` are kept ready for an operation."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An operation taken apart once, so that no request pays for it again."""

    definition: OperationDefinitionNode
    fragment_definitions: dict[str, FragmentDefinitionNode]
    fragments: dict[str, FragmentDetails]
    conditions: tuple[str, ...]
    forms: LRUCache[tuple[object, ...], Forms]


@dataclass(slots=True, eq=False)
class Ready:
    """An operation with its variables, ready for any number of visits. Two of them are never the same."""

    prepared: _Prepared
    values: VariableValues
    keeper: KeepingExecutor | None = None
    settled: bool = False
    lanes: Lanes | None = None


class Engine:
    """Executes operations of one schema.

    `executor_class` is Strawberry's executor, which gives resolvers the `info` they expect, or one below it. With
    `keeping` values are kept as ready JSON (gateway/execution/keeping.py): results hold `Kept` values. Who has a
    preview is never served what was kept.
    The operations it has taken apart are kept, at most `prepared` of them.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        executor_class: type[IncrementalExecutor] = StrawberryGraphQLCoreExecutionContext,
        prepared: int = 1000,
        hide_suggestions: bool = False,
        keeping: Keeping | None = None,
    ) -> None:
        assert_valid_schema(schema)
        self._schema = schema
        self._executor_class = executor_class
        self._hide_suggestions = hide_suggestions
        self._keeping = keeping
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
        return await self.execute(self.ready(operation, variables, in_parts=in_parts), visit)

    def ready(self, operation: Operation, variables: Mapping[str, object] | None, *, in_parts: bool) -> Ready:
        """All that can be done before it is known who asks; good for any number of executions.

        Raises:
            UnprocessableVariables: the variables do not fit.
        """
        prepared = self._prepare(operation, operation.incremental and not in_parts)
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
        return Ready(prepared, values)

    async def execute(self, ready: Ready, visit: object, notes: list[Note] | None = None) -> Result:
        """Execute what is ready, for one visit; as `run`. `notes` is where to say what became of each value."""
        if self._keeping is None or getattr(visit, "preview", None) is not None:
            result = self._executor(self._executor_class, ready, visit).execute_operation()
            return await result if inspect.isawaitable(result) else result
        ours = cast("Visit", visit)
        executor = self._keeper(ready, self._keeping).for_visit(ours)
        executor.lookup.notes = notes
        lanes = ready.lanes
        if lanes is not None and lanes.warm:
            return await lanes.run(ours, executor)
        result = executor.execute_operation()
        completed = await result if inspect.isawaitable(result) else result
        if lanes is not None and isinstance(completed, ExecutionResult) and not completed.errors:
            lanes.warm = True
            _raise_hope(executor.forms, 1)
        return completed

    def plan(self, ready: Ready, visit: Visit) -> AnswerPlan | None:
        """A plan for all who have the context of this visit, which has no preview; None where there can be none.

        The visit is held on to by the plan, to make others like it.
        """
        keeping = self._keeping
        if keeping is None:
            return None
        if ready.keeper is None:
            return self._first_plan(ready, visit, keeping)
        lanes = ready.lanes
        return lanes.plan(visit, ready.keeper.for_visit(visit)) if lanes is not None and lanes.warm else None

    def _first_plan(self, ready: Ready, visit: Visit, keeping: Keeping) -> AnswerPlan | None:
        """A plan for what was not executed yet, as long as such plans find what they look for."""
        forms = self._forms(ready.prepared, ready.values.coerced, keeping)
        if not forms.hope:
            return None
        forms.hope -= 1
        self._keeper(ready, keeping)  # asked for again at once, it builds the lanes
        executor = self._keeper(ready, keeping).for_visit(visit)
        plan = ready.lanes.plan(visit, executor) if ready.lanes is not None else None
        if plan is not None and plan.is_promising:
            _raise_hope(forms, 2)
        return plan

    def age(self, result: ExecutionResult) -> int:
        """Seconds since the oldest kept value in a result was made; 0 where nothing was kept."""
        return self.age_of([each.cell for each in (result.data or {}).values() if isinstance(each, Kept)])

    def age_of(self, cells: Sequence[Cell]) -> int:
        """Seconds since the oldest value in these cells was made; 0 for none."""
        if self._keeping is None or not cells:
            return 0
        return max(0, int(self._keeping.cache.now() - min(cell.oldest() for cell in cells)))

    def is_kept(self, result: ExecutionResult) -> bool:
        """Whether all of a result is kept: nothing in it fell back, was late or depends on the moment."""
        return result.data is not None and all(isinstance(value, Kept) for value in result.data.values())

    def explained(self, notes: Sequence[Note]) -> list[dict[str, object]]:
        """What `extensions.cache` says: one line for each value that was looked for."""
        return [self._keeping.explained(note) for note in notes] if self._keeping is not None else []

    def _keeper(self, ready: Ready, keeping: Keeping) -> KeepingExecutor:
        """What executors for visits are made after; lanes are built when it is asked for again."""
        if ready.keeper is None:
            ready.keeper = cast("KeepingExecutor", self._executor(KeepingExecutor, ready, None))
            ready.keeper.equip(keeping, self._forms(ready.prepared, ready.values.coerced, keeping))
        elif not ready.settled:
            ready.settled = True
            ready.lanes = lanes_of(ready.keeper)
        return ready.keeper

    def _executor(self, executor_class: type[IncrementalExecutor], ready: Ready, visit: object) -> IncrementalExecutor:
        return executor_class(
            self._schema,
            ready.prepared.fragment_definitions,
            ready.prepared.fragments,
            None,
            visit,
            ready.prepared.definition,
            ready.values,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            enable_early_execution=True,
            is_awaitable=optimized_is_awaitable,
            hide_suggestions=self._hide_suggestions,
        )

    def _forms(self, prepared: _Prepared, values: Mapping[str, object], keeping: Keeping) -> Forms:
        settled = tuple(values.get(name) for name in prepared.conditions)
        forms = prepared.forms.get(settled)
        if forms is None:
            forms = prepared.forms[settled] = Forms(self._schema, frozenset(keeping.kinds.entities))
        return forms

    def _prepare(self, operation: Operation, whole: bool) -> _Prepared:
        key = (operation.hash, operation.name, whole)
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._prepared[key] = _take_apart(operation, whole)
        return prepared


def _raise_hope(forms: Forms, by: int) -> None:
    forms.hope = min(_MOST_HOPE, forms.hope + by)


def _take_apart(operation: Operation, whole: bool) -> _Prepared:
    place = next(i for i, each in enumerate(operation.document.definitions) if each is operation.definition)
    document: DocumentNode = visit(operation.document, _InOnePiece()) if whole else operation.document
    definitions = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    return _Prepared(
        definition=cast("OperationDefinitionNode", document.definitions[place]),
        fragment_definitions=definitions,
        fragments={name: FragmentDetails(definition) for name, definition in definitions.items()},
        conditions=_conditions(document),
        forms=LRUCache(_SETTLEMENTS),
    )


def _conditions(document: DocumentNode) -> tuple[str, ...]:
    """The variables that say what is selected at all."""
    found = _Conditions()
    visit(document, found)
    return tuple(dict.fromkeys(found.names))


class _Conditions(Visitor):
    """Looks for variables in `if` of `@skip`, `@include`, `@defer` and `@stream`."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def enter_directive(self, node: DirectiveNode, *_: object) -> object:
        self.names += [each.value.name.value for each in node.arguments or () if isinstance(each.value, VariableNode)]
        return None


class _InOnePiece(Visitor):
    """Takes `@defer` and `@stream` off."""

    def enter_directive(self, node: DirectiveNode, *_: object) -> object:
        return REMOVE if node.name.value in ("defer", "stream") else None
