"""Walks: objects completed together, with everything that they have to wait for begun first.

graphql-core makes a task of each field that is waited for, of each object that has one, and of each item of a list of
those. A walk is what can be settled once about a selection. It comes by all objects in one go, so that what they load
shares a batch, and puts what comes into its place. Entities, and the field of an identified object, are kept on the
way. Whatever does not come out as it should is left to graphql-core, which is told what has failed already, so that
nothing is read twice.
"""

import asyncio
from collections.abc import Callable, Coroutine
from operator import attrgetter
from typing import Any, Protocol

import orjson
from graphql import (
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import VariableValues
from strawberry.types.field import StrawberryField

from gateway.execution.forms import TYPENAME, Collector, Form, Forms, is_in_parts
from gateway.execution.keeping import NOT_ALLOWED, Keeping, Unit
from gateway.execution.leaves import NotPlain, leaf, leaf_of
from gateway.execution.lookup import Lookup
from resolvers.cache_control import CacheScope
from resolvers.observing import AUDIENCE, Reads, observed
from resolvers.visit import Visit

Failed = dict[tuple[int, str | int], tuple[object, Exception]]
"""What failed, by the id of its object and its response name; the objects are held, so that ids stay theirs."""


class Executor(Collector, Protocol):
    """What takes walks: `MakingExecutor`."""

    keeping: Keeping
    schema: GraphQLSchema
    forms: Forms
    lookup: Lookup
    unit: Unit | None
    variable_values: VariableValues

    @property
    def visit(self) -> Visit:
        """Whose execution it is."""
        ...

    def missed(self, form: Form) -> None:
        """Say that a value is made because it is not kept."""
        ...

    def keep(self, form: Form, key: bytes, unit: Unit, value: Any) -> Any:
        """The value as it is kept; as it is where it may not be."""
        ...


class ItemInfo:
    """What resolvers below the root ask `info` for."""

    __slots__ = ("context",)

    def __init__(self, context: Visit) -> None:
        self.context = context


class Later:
    """A value that is not there yet: what `then` makes of `future`, or of `value` once `making` has settled."""

    __slots__ = ("future", "making", "place", "then", "value")

    def __init__(
        self,
        then: Callable[[Any, "Making"], Any],
        *,
        future: "asyncio.Future[Any] | None" = None,
        making: "Making | None" = None,
        value: Any = None,
        place: tuple[object, str] | None = None,
    ) -> None:
        self.then = then
        self.future = future
        self.making = making
        self.value = value
        self.place = place


Walk = Callable[[Any, "Making"], Any]


class Run:
    """A walk taken for one value. What `failed` in it is for graphql-core to tell.

    All entities are made with one observed visit: what one of them reads that it must not has none of them kept.
    """

    __slots__ = ("_entities", "executor", "failed", "tasks")

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.failed: Failed = {}
        self.tasks: list[asyncio.Task[Any]] = []
        self._entities: tuple[Reads, ItemInfo] | None = None

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Future[Any]":
        """Have something run while others are walked."""
        task = asyncio.ensure_future(coroutine)
        self.tasks.append(task)
        return task

    def entity(self, tag: str) -> "Making":
        """The making of an entity."""
        if self._entities is None:
            reads = Reads(NOT_ALLOWED)
            self._entities = reads, ItemInfo(observed(self.executor.visit, reads))
        reads, info = self._entities
        return Making(self, info, Unit(reads, {tag}))

    def part(self, form: Form) -> "Making":
        """The making of the field that an object is identified for."""
        unit = Unit(Reads(AUDIENCE), {form.name})
        return Making(self, ItemInfo(observed(self.executor.visit, unit.reads)), unit)

    def end(self) -> None:
        """Let go of what nobody waits for any more."""
        for task in self.tasks:
            if not task.done():
                task.cancel()
            elif not task.cancelled():
                task.exception()  # marks it retrieved: graphql-core tells it


class Making:
    """What is walked for one kept value, or for the whole: `owed` is what has to be put into its place later."""

    __slots__ = ("info", "owed", "run", "unit")

    def __init__(self, run: Run, info: ItemInfo, unit: Unit | None) -> None:
        self.run = run
        self.info = info
        self.unit = unit
        self.owed: list[tuple[Any, str | int, Later]] = []

    async def settle(self) -> None:
        """Put all that is owed into its place, and all that is owed by then; nothing once something has failed."""
        failed = self.run.failed
        for container, place, later in self.owed:  # it grows while it is gone through
            value = await self._come(later)
            if failed:
                continue
            value = later.then(value, self)
            if value.__class__ is Later:
                self.owed.append((container, place, value))
            else:
                container[place] = value

    async def _come(self, later: Later) -> Any:
        if later.future is None:
            if later.making is not None:
                await later.making.settle()
            return later.value
        try:
            return await later.future
        except Exception as error:
            if later.place is None:
                raise
            source, name = later.place
            self.run.failed[(id(source), name)] = source, error


def walked(walk: Walk, executor: Executor, value: Any, otherwise: Callable[[Failed], Any]) -> Any:
    """What the walk makes of a value, or something that gives it; `otherwise` is asked where it does not work out."""
    run = Run(executor)
    making = Making(run, ItemInfo(executor.visit), executor.unit)
    try:
        completed = walk(value, making)
    except Exception:  # whatever it is, graphql-core says it the way clients know
        run.end()
        return otherwise(run.failed)
    if completed.__class__ is Later:
        box = [completed]
        making.owed.append((box, 0, completed))
        return _settled(making, box, otherwise)
    return _settled(making, [completed], otherwise) if making.owed else completed


async def _settled(making: Making, box: list[Any], otherwise: Callable[[Failed], Any]) -> Any:
    run = making.run
    try:
        await making.settle()
    except Exception:
        completed = otherwise(run.failed)
    else:
        completed = otherwise(run.failed) if run.failed else box[0]
    finally:
        run.end()
    return await completed if hasattr(completed, "__await__") else completed


def walk_of(executor: Executor, type_: GraphQLOutputType, details: FieldDetailsList) -> Walk:
    """The walk for values of this type and what is selected on them.

    Raises:
        NotPlain: it asks for something that only graphql-core can do.
    """
    if any(map(is_in_parts, details)):
        raise NotPlain
    if isinstance(type_, GraphQLNonNull):
        return _present(walk_of(executor, type_.of_type, details))
    if isinstance(type_, GraphQLList):
        return _listed(walk_of(executor, type_.of_type, details))
    if is_leaf_type(type_):
        complete = leaf(type_)
        return lambda value, _making: complete(value)
    if not isinstance(type_, GraphQLObjectType) or type_.is_type_of is not None:
        raise NotPlain
    if type_.name in executor.keeping.kinds.entities:
        return _entity(executor, type_, details)
    return _object(executor, type_, details)


def _present(walk: Walk) -> Walk:
    def present(value: Any, making: Making) -> Any:
        completed = walk(value, making)
        if completed is None:
            raise NotPlain
        return completed

    return present


def _listed(walk: Walk) -> Walk:
    def listed(values: Any, making: Making) -> Any:
        if values is None:
            return None
        if not isinstance(values, list | tuple):
            raise NotPlain
        row: list[Any] = []
        for value in values:
            item = walk(value, making)
            if item.__class__ is Later:
                making.owed.append((row, len(row), item))
            row.append(item)
        return row

    return listed


def _object(executor: Executor, type_: GraphQLObjectType, details: FieldDetailsList) -> Walk:
    grouped, deferred, _ = executor.collect_subfields(type_, details)
    if deferred:
        raise NotPlain
    reads = [(name, _field(executor, type_, name, below)) for name, below in grouped.items()]
    tag, name_of_type = executor.keeping.kinds.tagged.get(type_.name), type_.name

    def complete(value: Any, making: Making) -> Any:
        if value is None:
            return None
        if tag is not None and making.unit is not None:
            making.unit.tags.add(f"{name_of_type}:{tag(value)}")
        row: dict[str, Any] = {}
        for name, read in reads:
            row[name] = item = read(value, making)
            if item.__class__ is Later:
                making.owed.append((row, name, item))
        return row

    return complete


def _field(executor: Executor, type_: GraphQLObjectType, name: str, details: FieldDetailsList) -> Walk:
    """What reads a field of an object and completes it."""
    node = details[0].node
    if node.name.value == TYPENAME:
        return lambda _source, _making: type_.name
    field = type_.fields[node.name.value]
    definition = field.extensions.get("strawberry-definition")
    if field.args or not isinstance(definition, StrawberryField) or any(map(is_in_parts, details)):
        raise NotPlain
    if definition.base_resolver is not None:
        return _resolved(field, name, walk_of(executor, field.type, details))
    read = attrgetter(definition.python_name)
    of_type = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
    if is_leaf_type(of_type):
        complete = leaf_of(read, of_type, required=isinstance(field.type, GraphQLNonNull))
        return lambda source, _making: complete(source)
    walk = walk_of(executor, field.type, details)
    identified = executor.keeping.kinds.identified.get(type_.name)
    if identified is not None and identified.field == node.name.value:
        return _part(executor, type_, name, details, lambda source, making: walk(read(source), making))
    return lambda source, making: walk(read(source), making)


def _resolved(field: GraphQLField, name: str, walk: Walk) -> Walk:
    """What calls a resolver; what has to be waited for is begun."""
    resolve = field.resolve
    if resolve is None:
        raise NotPlain

    def resolved(source: Any, making: Making) -> Any:
        value = resolve(source, making.info)  # ours ask it for its context alone
        if asyncio.isfuture(value):
            return Later(walk, future=value, place=(source, name))
        if asyncio.iscoroutine(value):
            return Later(walk, future=making.run.begin(value), place=(source, name))
        return walk(value, making)

    return resolved


def _entity(executor: Executor, type_: GraphQLObjectType, details: FieldDetailsList) -> Walk:
    """What finds an entity, or makes and keeps it."""
    whole, form = _object(executor, type_, details), executor.forms.of_object(executor, type_, details)
    if not form.keepable or form.scope is not CacheScope.PUBLIC:
        return whole
    identify = executor.keeping.kinds.entities[type_.name]

    def entity(value: Any, making: Making) -> Any:
        if value is None:
            return None
        ours = making.run.executor
        key = form.key(identify(value).encode(), ours.variable_values.coerced)
        kept = ours.lookup.find(form, key)
        if kept is not None:
            return kept
        if not ours.keeping.cache.has_second_tier:
            return made(value, making, key)
        fetched = ours.keeping.fetch(key)
        return Later(lambda _none, now: ours.lookup.find(form, key) or made(value, now, key), future=fetched)

    def made(value: Any, making: Making, key: bytes) -> Any:
        making.run.executor.missed(form)
        return _kept(form, key, making.run.entity(f"{form.name}:{identify(value)}"), value, whole)

    return entity


def _part(executor: Executor, type_: GraphQLObjectType, name: str, details: FieldDetailsList, walk: Walk) -> Walk:
    """What finds the field that an object is identified for, or makes and keeps it."""
    form = executor.forms.of_field(executor, type_, details)

    def part(source: Any, making: Making) -> Any:
        ours = making.run.executor
        if ours.unit is not None:
            return walk(source, making)
        if source.kept is not None and name in source.kept:
            return source.kept[name]
        if source.identity is None or not form.keepable:
            return walk(source, making)
        ours.missed(form)
        key = form.key(orjson.dumps(source.identity), ours.variable_values.coerced)
        return _kept(form, key, making.run.part(form), source, walk)

    return part


def _kept(form: Form, key: bytes, making: Making, value: Any, walk: Walk) -> Any:
    """A value made by a walk and kept, once all of it is there."""
    executor, unit = making.run.executor, making.unit
    completed = walk(value, making)
    if unit is None:
        return completed
    if making.owed:
        return Later(lambda whole, _making: executor.keep(form, key, unit, whole), making=making, value=completed)
    return executor.keep(form, key, unit, completed)
