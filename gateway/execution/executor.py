"""The executor that keeps: root fields, entities, and fields of identified objects are executed once and then served.

What may be kept is decided by `@cacheControl` (gateway/execution/forms.py). Everything else is executed as ever.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, cast

import orjson
from graphql import (
    FieldNode,
    GraphQLInputType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    get_named_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path

from gateway.execution.forms import CONTEXT, Form, Forms
from gateway.execution.keeping import NOT_ALLOWED, PRIVATE, Keeping, Unit
from gateway.execution.kept import Kept, Told
from gateway.execution.lookup import Left, Lookup, Place
from gateway.execution.making import MakingExecutor
from gateway.execution.telling import Telling, listed
from resolvers.cache_control import CacheScope
from resolvers.caching.cache import Made
from resolvers.caching.cell import Cell
from resolvers.context import Context
from resolvers.observing import AUDIENCE, Reads
from resolvers.plans import GivenList, Plan, Turn
from resolvers.schema import CONVERT
from resolvers.visit import Visit


class KeepingExecutor(MakingExecutor):
    """Strawberry's executor over a cache. Made by `Keeping.executor`; `context_value` is our visit."""

    def equip(self, keeping: "Keeping", forms: Forms) -> None:
        """Take what belongs to all executions of this operation with these variables."""
        self.keeping = keeping
        self.forms = forms
        self.roots: dict[str | int, FieldDetailsList] = {}
        self.places: dict[tuple[str, str], tuple[Place, ...]] = {}
        self.claims: dict[int, Context | None] = {}
        self.query_type = self.schema.query_type

    def for_visit(self, visit: Visit) -> "KeepingExecutor":
        """An executor like this one, for one execution."""
        executor = cast("KeepingExecutor", self.create_sub_executor())
        executor.pending_incremental_futures = set()
        executor.background_futures = set()
        executor.context_value = visit
        executor.begin()
        executor.lookup = visit.keeper = Lookup(executor, visit)
        return executor

    def begin(self) -> None:
        """Make from here on: what is purged from now on is not kept."""
        self.began, self.epoch = self.keeping.cache.now(), self.keeping.cache.epoch

    def form_of(self, parent: GraphQLObjectType, details: FieldDetailsList) -> Form:
        """The form of a field."""
        return self.forms.of_field(self, parent, details)

    def form_of_object(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Form:
        """The form of what is selected on an object."""
        return self.forms.of_object(self, type_, details)

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """The completed value of a field, or what is kept of it."""
        if path[0] is None and parent_type is self.query_type and self.unit is None:
            form = self.form_of(parent_type, field_details_list)
            if form.keepable:
                return self._root(form, field_details_list, path, position_context)
            self.roots[path[1]] = field_details_list
        elif (identified := self.keeping.kinds.identified.get(parent_type.name)) is not None and self.unit is None:
            if source.kept is not None and path[1] in source.kept:
                return source.kept[path[1]]
            name = field_details_list[0].node.name.value
            if name == identified.field and source.identity is not None:
                form = self.form_of(parent_type, field_details_list)
                if form.keepable:
                    return self._filling(form, parent_type, source, field_details_list, path, position_context)
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    def object_fieldwise(
        self,
        return_type: GraphQLObjectType,
        details: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position: Any,
    ) -> Any:
        """A completed object, or what is kept of an entity."""
        identify = self.keeping.kinds.entities.get(return_type.name)
        if identify is not None:
            form = self.forms.of_object(self, return_type, details)
            if form.keepable and form.scope is CacheScope.PUBLIC:
                return self._entity(form, identify(result), return_type, details, info, path, result)
        return super().object_fieldwise(return_type, details, info, path, result, position)

    def _root(self, form: Form, details: FieldDetailsList, path: Path, position: Any) -> Any:
        if form.scope is CacheScope.PUBLIC:
            key = form.key(b"", self.variable_values.coerced)
            return self.lookup.found(form, key, details, path) or self._made_once(form, key, details, path, position)
        return self._for_audience(form, details, path, position)

    async def _for_audience(self, form: Form, details: FieldDetailsList, path: Path, position: Any) -> Any:
        try:
            key = await self._audience_key(form, details)
        except Exception:  # the field's own resolver will say what is wrong with the context
            key = None
        if key is None:
            return await self.settled(self._execute(details, path, position))
        return self.lookup.found(form, key, details, path) or await self._made_once(form, key, details, path, position)

    async def _audience_key(self, form: Form, details: FieldDetailsList) -> bytes | None:
        return await self.lookup.audience_key(form, self._claimed(details))

    def _claimed(self, details: FieldDetailsList) -> Context | None:
        """The context that a root field is asked for; converted once for all executions."""
        node = details[0].node
        if id(node) not in self.claims:
            self.claims[id(node)] = self._converted(node)
        return self.claims[id(node)]

    def _converted(self, node: FieldNode) -> Context | None:
        parent = cast("GraphQLObjectType", self.query_type)
        definition = self.schema.get_field(parent, node.name.value)
        if definition is None or not any(names_context(argument.type) for argument in definition.args.values()):
            return None
        arguments = get_argument_values(definition, node, self.variable_values)
        convert = definition.extensions[CONVERT]
        claimed: Context | None = convert(arguments).get("context")
        return claimed

    async def _made_once(self, form: Form, key: bytes, details: FieldDetailsList, path: Path, position: Any) -> Any:
        """Make the value, unless somebody is at it already: then wait for theirs."""
        cache = self.keeping.cache
        flying = cache.flight(key)
        if flying is not None:
            await asyncio.shield(flying)
            kept = await self._found_again(form, key, details)
            if kept is not None:
                cache.metrics.looked(form.name, "shared")
                return kept
            return await self._make_root(form, details, path, position)
        try:
            if cache.has_second_tier:
                await cache.fetch([key])
                kept = self.lookup.find(form, key)
                if kept is not None:
                    return kept
            return await self._make_root(form, details, path, position)
        finally:
            cache.land(key)

    async def _found_again(self, form: Form, key: bytes, details: FieldDetailsList) -> Kept | None:
        """What is there now; by another key where more may be known of the audience."""
        now = key if form.scope is CacheScope.PUBLIC else await self._audience_key(form, details)
        return None if now is None else self.lookup.find(form, now)

    async def _make_root(self, form: Form, details: FieldDetailsList, path: Path, position: Any) -> Any:
        self.missed(form)
        unit = Unit(Reads(AUDIENCE if form.scope is CacheScope.SEGMENT else NOT_ALLOWED), {form.name})
        within = self.within(unit)
        try:
            value = await self.settled(within._execute(details, path, position))
        finally:
            self.take_errors(within, path)
        if form.scope is not CacheScope.SEGMENT:
            return self.keep(form, form.key(b"", self.variable_values.coerced), unit, value, failed=within.has_failed)
        if self._claimed(details) is not None:
            self.keeping.cache.learn(form.id, unit.reads.names | ({PRIVATE} if unit.reads.private else set()))
        key = await self._audience_key(form, details)
        return value if key is None else self.keep(form, key, unit, value, failed=within.has_failed)

    def making(self, form: Form) -> "KeepingExecutor":
        """An executor whose observed visit is for making a value of this form."""
        self.missed(form)
        return self.within(Unit(Reads(AUDIENCE if form.scope is CacheScope.SEGMENT else NOT_ALLOWED), {form.name}))

    async def keep_for_audience(self, form: Form, claimed: Context, within: "KeepingExecutor", value: Any) -> Any:
        """The completed value that `within` made, kept for those whom the claim's context belongs to."""
        unit = cast("Unit", within.unit)
        self.keeping.cache.learn(form.id, unit.reads.names | ({PRIVATE} if unit.reads.private else set()))
        key = await self.lookup.audience_key(form, claimed)
        return value if key is None else self.keep(form, key, unit, value, failed=within.has_failed)

    def _execute(self, details: FieldDetailsList, path: Path, position: Any) -> Any:
        parent = cast("GraphQLObjectType", self.query_type)
        return super().execute_field(parent, self.root_value, details, path, position)

    async def _filling(
        self, form: Form, parent: GraphQLObjectType, source: Any, details: FieldDetailsList, path: Path, position: Any
    ) -> Any:
        """The field of an identified object, made now."""
        self.missed(form)
        unit = Unit(Reads(AUDIENCE), {form.name})
        within = self.within(unit)
        try:
            execute = super(KeepingExecutor, within).execute_field
            value = await self.settled(execute(parent, source, details, path, position))
        finally:
            self.take_errors(within, path)
        key = form.key(orjson.dumps(source.identity), self.variable_values.coerced)
        return self.keep(form, key, unit, value, failed=within.has_failed)

    def _entity(
        self,
        form: Form,
        identity: str,
        return_type: GraphQLObjectType,
        details: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
    ) -> Any:
        key = form.key(identity.encode(), self.variable_values.coerced)
        kept = self.lookup.find(form, key)
        if kept is not None:
            return kept
        make = partial(self._make_entity, form, key, identity, return_type, details, info, path, result)
        return self._fetched(form, key, make) if self.keeping.cache.has_second_tier else make()

    async def _fetched(self, form: Form, key: bytes, make: Callable[[], Any]) -> Any:
        await self.keeping.fetch(key)
        kept = self.lookup.find(form, key)
        return kept if kept is not None else await self.settled(make())

    def _make_entity(
        self,
        form: Form,
        key: bytes,
        identity: str,
        return_type: GraphQLObjectType,
        details: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
    ) -> Any:
        self.missed(form)
        unit = Unit(Reads(NOT_ALLOWED), {f"{form.name}:{identity}"})
        within = self.within(unit)
        try:
            value = super(KeepingExecutor, within).object_fieldwise(return_type, details, info, path, result, None)
        except Exception:
            self.take_errors(within, path)
            raise
        if self.is_awaitable(value):
            return self._keep_awaited(form, key, unit, within, value, path)
        self.take_errors(within, path)
        return self.keep(form, key, unit, value, failed=within.has_failed)

    async def _keep_awaited(
        self, form: Form, key: bytes, unit: Unit, within: "KeepingExecutor", value: Awaitable[Any], path: Path
    ) -> Any:
        try:
            completed = await value
        finally:
            self.take_errors(within, path)
        return self.keep(form, key, unit, completed, failed=within.has_failed)

    async def root_anew(
        self, visit: Visit, form: Form, details: FieldDetailsList, path: Path, *, from_nothing: bool = False
    ) -> Any:
        """What `Maker` promises."""
        anew = self._anew(visit)
        anew.lookup.verifying = from_nothing
        return await anew._make_root(form, details, path, None)

    async def field_anew(self, visit: Visit, source: Any, place: Place) -> Any:
        """What `Maker` promises."""
        filling = self._anew(visit)._filling
        return await filling(place.form, place.parent, source, place.details, place.path, None)

    def field_of_kept(self, ids: Sequence[str], place: Place, key: bytes, left: Left) -> Told | None:
        """What `Maker` promises."""
        entities = place.entities
        if entities is None:
            return None
        self.begin()
        found = self.lookup.find_all(entities, entities.keys(ids, self.variable_values.coerced), left)
        if found is None:
            return None
        cells, texts = found
        left.append(partial(self._keep_listed, place.form, key, cells, (self.began, self.epoch)))
        return Told(listed(texts))

    def planned(self, form: Form, plan: Plan, telling: Telling, turn: Turn, key: bytes) -> bytes | None:
        """The list that a plan gives whoever asks, to be kept under their key; None where it gives none.

        For forms whose keys hold all that their values may depend on.
        """
        self.begin()
        given = plan.given(turn)
        if not isinstance(given, GivenList):
            return None
        texts = telling.items(given)
        turn.left.append(partial(self._keep_planned, form, key, given, texts, (self.began, self.epoch)))
        return listed(texts)

    def _keep_listed(self, form: Form, key: bytes, cells: Sequence[Cell], since: tuple[float, int]) -> None:
        """Keep a list of what is kept, unless it was purged since then."""
        self.missed(form)
        parts = [b"[", *[b","] * (len(cells) - 1), b"]"] if cells else [b"[]"]
        self.keeping.cache.keep(key, form.name, Made(parts, cells, frozenset({form.name}), form.life, *since))

    def _keep_planned(
        self, form: Form, key: bytes, given: GivenList, texts: Sequence[bytes], since: tuple[float, int]
    ) -> None:
        """Keep a list that a plan gave, unless it was purged since then."""
        self.missed(form)
        life = form.life.brief() if b"null" in texts else form.life
        made = Made([listed(texts)], (), given.tags() | {form.name}, life, *since)
        self.keeping.cache.keep(key, form.name, made)

    def _anew(self, visit: Visit) -> "KeepingExecutor":
        anew = self.for_visit(visit)
        anew.lookup.renewing = True
        anew.unit = None
        return anew


def names_context(type_: GraphQLInputType) -> bool:
    """Whether an argument of this type claims a context."""
    return get_named_type(type_).name == CONTEXT
