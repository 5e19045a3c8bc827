"""The short way through an operation whose values are kept.

Each root field has a lane: what is kept under a key that is known beforehand is taken from there; what must be fresh
(a shelf's decision, a page's components) is resolved and completed by compiled code. Whatever does not come out that
way is executed by the executor, in the midst of the others, and comes out the same. For viewers of whom nothing has to
be read, all lanes together can be planned (answer_plan.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import isawaitable
from typing import Any, cast

import orjson
from graphql import ExecutionResult, GraphQLError, GraphQLField, GraphQLObjectType, OperationType
from graphql.execution.collect_fields import FieldDetailsList, collect_fields
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path

from gateway.execution.answer_plan import AnswerPlan, KeptStep, Make, OwnKey, PlannedStep
from gateway.execution.completion import Complete, NotPlain, completion_of
from gateway.execution.executor import KeepingExecutor
from gateway.execution.forms import TYPENAME, Form
from gateway.execution.keeping import PRIVATE
from gateway.execution.kept import Kept
from gateway.execution.lookup import Lookup
from gateway.execution.telling import Moulds, Telling
from personalization.errors import PersonaError
from resolvers.cache_control import CacheScope
from resolvers.context import Context, EffectiveContext
from resolvers.observing import AUDIENCE, SELF
from resolvers.plans import Planning
from resolvers.schema import CONVERT, planning_of
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
    """A root field that is resolved each time; `arguments` are the resolver's."""

    name: str
    path: Path
    details: FieldDetailsList
    field: GraphQLField
    resolve: Resolve
    complete: Complete
    arguments: Mapping[str, Any]
    planning: Planning | None

    @property
    def claimed(self) -> Context | None:
        """The context that it is asked for."""
        return self.arguments.get("context")


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
        self._keeping = [(2 * n + 1, lane) for n, lane in enumerate(lanes) if isinstance(lane, KeptLane)]
        self._fresh_each_time = [(2 * n + 1, lane) for n, lane in enumerate(lanes) if isinstance(lane, FreshLane)]
        self._text = _frame([lane.name for lane in lanes])
        self.warm = False

    def plan(self, visit: Visit, executor: KeepingExecutor) -> AnswerPlan | None:
        """A plan for all who have the context of this visit; None where something has to be read to have one.

        The executor is that visit's, and is held on to, to make what is not kept.
        """
        lookup = executor.lookup
        kept: list[KeptStep] = []
        planned: list[PlannedStep] = []
        for place, lane in self._keeping:
            key = lane.key or _key_at_hand(lane, visit, lookup)
            if key is None:
                return None
            kept.append(KeptStep(place, lane.form, key, lane.details, lane.path, _making(lane, visit, executor)))
        for place, fresh in self._fresh_each_time:
            context = _context_at_hand(fresh.claimed, visit) if fresh.claimed is not None else None
            if (context is None) is not (fresh.claimed is None) or fresh.planning is None:
                return None
            plan = fresh.planning(visit, fresh.name, context, fresh.arguments)
            if plan is None:
                return None
            planned.append(PlannedStep(place, plan, _telling(fresh, executor)))
        if len(visit.contexts.used) > 1:  # they are told in the order in which the ordinary way comes by them
            return None
        return AnswerPlan(self._text, kept, planned, lookup, executor.keeping.cache, visit.extensions())

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
            except NotPlain:  # products have to be read for a shelf, which is no reason to leave the lanes
                pass
            except Exception:  # whatever it is, graphql-core says it the way clients know
                self.warm = False
        return await executor.complete_awaited(lane.field, lane.details, self._root, lane.path, outcome())


def _making(lane: KeptLane, visit: Visit, executor: KeepingExecutor) -> Make | None:
    """What makes the value when it is not kept; None where that takes more, or its key may not hold all it reads."""
    fresh, cache = lane.fresh, executor.keeping.cache
    if fresh is None or fresh.planning is None or lane.claimed is None or cache.has_second_tier:
        return None
    if not AUDIENCE.issubset(executor.lookup.audience(lane.form)):
        return None
    plan = fresh.planning(visit, fresh.name, _context_at_hand(lane.claimed, visit), fresh.arguments)
    return partial(executor.planned, lane.form, plan, _telling(fresh, executor)) if plan is not None else None


def _telling(lane: FreshLane, executor: KeepingExecutor) -> Telling:
    """What tells the values of a field, the same way in all plans of it."""
    known, node = executor.forms.moulds, lane.details[0].node
    return Telling(lane.complete, known.setdefault(id(node), Moulds()) if len(lane.details) == 1 else Moulds())


def _key_at_hand(lane: KeptLane, visit: Visit, lookup: Lookup) -> bytes | OwnKey | None:
    """The key for those whom the claimed context belongs to; None when that is to be waited for, or is forbidden."""
    context = _context_at_hand(lane.claimed, visit) if lane.claimed is not None else None
    audience = lookup.audience(lane.form)
    if context is None or PRIVATE in audience:
        return None
    read = [getattr(context, name, None) for name in audience]
    if SELF.isdisjoint(audience):
        return lookup.key_of(lane.form, audience, read)
    return OwnKey(lane.form, lookup.values, audience, read)


def _context_at_hand(claimed: Context, visit: Visit) -> EffectiveContext | None:
    """The context of a claim; None when a customer has to be read for it, or it may not be claimed."""
    try:
        return visit.contexts.at_hand(claimed)
    except PersonaError:
        return None


def _taken(field: GraphQLField, arguments: dict[str, Any]) -> dict[str, Any]:
    """Coerced arguments as the resolver takes them."""
    convert = field.extensions.get(CONVERT)
    taken: dict[str, Any] = convert(arguments) if convert is not None else {}
    return taken


def _frame(names: Sequence[str]) -> list[bytes]:
    """An object of these members in bytes, with a gap for each value: at 1, 3, 5, ..."""
    row = [b"{"]
    for name in names:
        row[-1] += orjson.dumps(name) + b":"
        row += [b"", b","]
    row[-1] = b"}" if names else b"{}"
    return row


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
    complete = completion_of(executor, field.type, details)
    resolve, taken = cast("Resolve", given(arguments)), _taken(field, arguments)
    return FreshLane(name, path, details, field, resolve, complete, taken, planning_of(field))


def _kept_lane(executor: KeepingExecutor, field: GraphQLField, lane: KeptLane, arguments: dict[str, Any]) -> KeptLane:
    values = executor.variable_values.coerced
    if lane.form.scope is CacheScope.PUBLIC:
        return replace(lane, key=lane.form.key(b"", values))
    claimed: Context | None = _taken(field, arguments).get("context")
    if claimed is None:
        return replace(lane, key=lane.form.key(b"everyone", values))
    try:
        fresh = _fresh_lane(executor, field, lane.name, lane.path, lane.details, arguments)
    except NotPlain:
        fresh = None
    return replace(lane, claimed=claimed, fresh=fresh)
