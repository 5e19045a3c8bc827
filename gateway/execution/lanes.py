"""The short way through an operation whose values are kept.

Each root field has a lane: what is kept under a key that is known beforehand is taken from there; what must be fresh
(a shelf's decision, a page's components) is resolved and completed by compiled code. Whatever does not come out that
way is executed by the executor, in the midst of the others, and comes out the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import Any, cast

from graphql import ExecutionResult, GraphQLError, GraphQLField, GraphQLObjectType, OperationType
from graphql.execution.collect_fields import FieldDetailsList, collect_fields
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path

from gateway.execution.completion import Complete, NotPlain, compiled
from gateway.execution.executor import KeepingExecutor
from gateway.execution.forms import TYPENAME, Form
from gateway.execution.kept import Kept
from resolvers.cache_control import CacheScope
from resolvers.context import Context
from resolvers.schema import CONVERT
from resolvers.visit import Visit

Resolve = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class KeptLane:
    """A root field whose value is kept under `key`; without one, under a key for those whom `claimed` belongs to."""

    name: str
    path: Path
    details: FieldDetailsList
    form: Form
    key: bytes | None
    claimed: Context | None = None
    fresh: "FreshLane | None" = None


@dataclass(frozen=True, slots=True)
class FreshLane:
    """A root field that is resolved each time."""

    name: str
    path: Path
    details: FieldDetailsList
    field: GraphQLField
    resolve: Resolve
    complete: Complete


class LaneInfo:
    """What resolvers of root fields ask `info` for."""

    __slots__ = ("context", "path")

    def __init__(self, context: Visit, path: Path) -> None:
        self.context = context
        self.path = path

    is_awaitable = staticmethod(isawaitable)


class Lanes:
    """The lanes of an operation with its variables.

    `warm` says that the last time nothing had to be made. Otherwise the executor is the better way: it does everything
    at once, where lanes do one thing after the other.
    """

    def __init__(self, root: GraphQLObjectType, lanes: Sequence[KeptLane | FreshLane]) -> None:
        self._root = root
        self._lanes = lanes
        self.warm = False

    async def run(self, visit: Visit, executor: KeepingExecutor) -> ExecutionResult:
        """The result, in the order of the operation."""
        data: dict[str, Any] = {}
        missing: dict[str, asyncio.Future[Any]] = {}
        try:
            for lane in self._lanes:
                if isinstance(lane, KeptLane):
                    data[lane.name] = kept = await self._kept(lane, executor)
                    if kept is None and lane.fresh is not None and lane.claimed is not None:
                        data[lane.name] = await self._made(lane, lane.fresh, lane.claimed, executor)
                    elif kept is None:
                        missing[lane.name] = self._begun(executor, lane)
                else:
                    data[lane.name] = await self._fresh(lane, visit, executor)
            for name, making in missing.items():
                data[name] = await making
        except GraphQLError as error:  # of a field that must not be null: there is no data at all then
            executor.collected_errors.add(error, None)
            executor.settle_in_background(list(missing.values()))
            return ExecutionResult(None, executor.collected_errors.errors)
        except BaseException:
            for making in missing.values():
                making.cancel()
            raise
        return ExecutionResult(data, executor.collected_errors.errors or None)

    async def _kept(self, lane: KeptLane, executor: KeepingExecutor) -> Kept | None:
        key = lane.key
        if key is None:
            try:
                key = await executor.lookup.audience_key(lane.form, lane.claimed)
            except Exception:  # the field's own resolver will say what is wrong with the context
                return None
        return executor.lookup.found(lane.form, key, lane.details, lane.path) if key is not None else None

    def _begun(self, executor: KeepingExecutor, lane: KeptLane) -> "asyncio.Future[Any]":
        self.warm = False
        executing = executor.execute_field(self._root, None, lane.details, lane.path, None)
        return asyncio.ensure_future(executing if isawaitable(executing) else _giving(executing))

    async def _made(self, lane: KeptLane, fresh: FreshLane, claimed: Context, executor: KeepingExecutor) -> Any:
        """A value for this viewer's audience, made the short way and kept."""
        within = executor.making(lane.form)
        errors = len(executor.collected_errors.errors)
        value = await self._fresh(fresh, within.visit, executor)
        if len(executor.collected_errors.errors) > errors:
            return value
        return await executor.keep_for_audience(lane.form, claimed, within, value)

    async def _fresh(self, lane: FreshLane, visit: Visit, executor: KeepingExecutor) -> Any:
        try:
            value = lane.resolve(None, LaneInfo(visit, lane.path))
            if isawaitable(value):
                value = await value
            outcome: Callable[[], Awaitable[Any]] = lambda: _giving(value)  # noqa: E731
        except Exception as raised:
            error = raised
            outcome = lambda: _raising(error)  # noqa: E731
        else:
            try:
                return lane.complete(value)
            except Exception:  # whatever it is, graphql-core says it the way clients know
                self.warm = False
        return await executor.complete_awaited(lane.field, lane.details, self._root, lane.path, outcome())


async def _giving(value: Any) -> Any:
    return value


async def _raising(error: Exception) -> Any:
    raise error


def lanes_of(executor: KeepingExecutor) -> Lanes | None:
    """The lanes of the executor's operation; None where it has to be executed as a whole."""
    root = executor.query_type
    if root is None or executor.operation.operation is not OperationType.QUERY:
        return None
    collected = collect_fields(
        executor.schema, executor.fragments, executor.variable_values, root, executor.operation, True
    )
    if collected.new_defer_usages:
        return None
    try:
        lanes = [_lane(executor, root, name, below) for name, below in collected.grouped_field_set.items()]
    except (NotPlain, GraphQLError):  # an argument that does not fit, for one, is told by graphql-core
        return None
    executor.roots.update({lane.name: lane.details for lane in lanes})
    return Lanes(root, lanes)


def _lane(
    executor: KeepingExecutor, root: GraphQLObjectType, name: str, details: FieldDetailsList
) -> KeptLane | FreshLane:
    node = details[0].node
    field = root.fields.get(node.name.value)
    if field is None or node.name.value == TYPENAME:
        raise NotPlain
    path = Path(None, name, root.name)
    form = executor.forms.of_field(executor, root, details)
    arguments = get_argument_values(field, node, executor.variable_values)
    if form.keepable:
        return _kept_lane(executor, field, KeptLane(name, path, details, form, None), arguments)
    return _fresh_lane(executor, field, name, path, details, arguments)


def _fresh_lane(
    executor: KeepingExecutor,
    field: GraphQLField,
    name: str,
    path: Path,
    details: FieldDetailsList,
    arguments: dict[str, Any],
) -> FreshLane:
    given = getattr(field.resolve, "given", None)
    if given is None:
        raise NotPlain
    complete = compiled(executor, field.type, details)
    return FreshLane(name, path, details, field, cast("Resolve", given(arguments)), complete)


def _kept_lane(executor: KeepingExecutor, field: GraphQLField, lane: KeptLane, arguments: dict[str, Any]) -> KeptLane:
    values = executor.variable_values.coerced
    if lane.form.scope is CacheScope.PUBLIC:
        return replace(lane, key=lane.form.key(b"", values))
    claimed: Context | None = field.extensions[CONVERT](arguments).get("context")
    if claimed is None:
        return replace(lane, key=lane.form.key(b"everyone", values))
    try:
        fresh = _fresh_lane(executor, field, lane.name, lane.path, lane.details, arguments)
    except NotPlain:
        fresh = None
    return replace(lane, claimed=claimed, fresh=fresh)
