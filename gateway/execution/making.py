"""The executor that makes values: by walks where there are some, otherwise as graphql-core does, and to be kept."""

from collections.abc import Awaitable, Callable
from copy import copy
from typing import Any, Self, cast

from graphql import GraphQLField, GraphQLList, GraphQLObjectType, GraphQLOutputType, GraphQLResolveInfo
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList
from graphql.execution.executor import CollectedErrors
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.execution.forms import Form, Forms
from gateway.execution.keeping import Keeping, Unit
from gateway.execution.kept import Kept, has_absence, take_apart
from gateway.execution.leaves import NotPlain
from gateway.execution.lookup import Lookup
from gateway.execution.walks import Failed, Walk, walk_of, walked
from resolvers.caching.cache import Made
from resolvers.errors import UndeclaredRead
from resolvers.observing import observed
from resolvers.visit import Visit


class MakingExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor over a cache, for all below the root. `unit` is what it makes, if that is to be kept.

    `failed` is set where a walk did not work out and graphql-core completes everything: what failed already, to be told
    and not to be read again.
    """

    keeping: Keeping
    forms: Forms
    lookup: Lookup
    began: float
    epoch: int
    unit: Unit | None = None
    failed: Failed | None = None

    @property
    def visit(self) -> Visit:
        """Whose execution it is."""
        return cast("Visit", self.context_value)

    def collect_subfields(
        self, return_type: GraphQLObjectType, field_details_list: FieldDetailsList
    ) -> CollectedFields:
        """As of the base class, but once for all executions of an operation: the lists stay the same objects."""
        first = field_details_list[0]
        if len(field_details_list) > 1 or first.fragment_variable_values is not None or first.defer_usage is not None:
            return super().collect_subfields(return_type, field_details_list)
        known = self.forms.subfields
        key = (return_type.name, id(first.node))
        found = known.get(key)
        if found is None:
            found = known[key] = super().collect_subfields(return_type, field_details_list)
        return found

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """The completed value of a field; one that failed already is not resolved again."""
        known = self.failed.get((id(source), path[1])) if self.failed else None
        if known is not None:
            field = parent_type.fields[field_details_list[0].node.name.value]
            return self.complete_awaited(field, field_details_list, parent_type, path, _raising(known[1]))
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    def complete_list_value(
        self,
        return_type: GraphQLList[GraphQLOutputType],
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """A completed list, by a walk where there is one for it."""

        def itemwise(executor: MakingExecutor) -> Any:
            complete = super().complete_list_value
            return complete(return_type, field_details_list, info, path, result, position_context)

        return self._completed(return_type, field_details_list, result, position_context, itemwise)

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """A completed object, or what is kept of an entity; by a walk where there is one for it."""

        def fieldwise(executor: MakingExecutor) -> Any:
            return executor.object_fieldwise(return_type, field_details_list, info, path, result, position_context)

        return self._completed(return_type, field_details_list, result, position_context, fieldwise)

    def _completed(
        self,
        type_: GraphQLOutputType,
        details: FieldDetailsList,
        result: Any,
        position: Any,
        otherwise: "Callable[[MakingExecutor], Any]",
    ) -> Any:
        walk = self._walk(type_, details) if position is None and self.failed is None else None
        if walk is None:
            return otherwise(self)

        def without(failed: Failed) -> Any:
            by_fields = copy(self)
            by_fields.failed = failed
            return otherwise(by_fields)

        return walked(walk, self, result, without)

    def _walk(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Walk | None:
        """The walk for a selection; None where there is none, and where each field is to be traced."""
        if len(details) > 1 or self.visit.trace is not None:
            return None
        walks, key = self.forms.walks, (id(type_), id(details[0].node))
        if key not in walks:
            try:
                walks[key] = walk_of(self, type_, details)
            except NotPlain:
                walks[key] = None
        return cast("Walk | None", walks[key])

    def object_fieldwise(
        self,
        return_type: GraphQLObjectType,
        details: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position: Any,
    ) -> Any:
        """A completed object, field by field."""
        if self.unit is not None and (tag := self.keeping.kinds.tagged.get(return_type.name)) is not None:
            self.unit.tags.add(f"{return_type.name}:{tag(result)}")
        return super().complete_object_value(return_type, details, info, path, result, position)

    async def complete_awaited(
        self,
        field: GraphQLField,
        details: FieldDetailsList,
        parent: GraphQLObjectType,
        path: Path,
        outcome: Awaitable[Any],
    ) -> Any:
        """The completed value of a field that was resolved elsewhere, with this outcome."""
        info = self.build_resolve_info(field, [each.node for each in details], parent, path)
        return await self.settled(self.complete_awaitable_value(field.type, details, info, path, outcome, None))

    def keep(self, form: Form, key: bytes, unit: Unit, value: Any, *, failed: bool = False) -> Any:
        """The value as it is kept; as it is where it may not be."""
        reason = "error" if failed else self._objection(form, unit)
        if reason is not None:
            self.keeping.cache.metrics.bypassed(form.name, reason)
            self.lookup.tell(form, f"bypass: {reason}", None)
            self.hand_up(unit)
            return value
        cache = self.keeping.cache
        cell = cache.keep(key, form.name, self.made(form, unit, value))
        text = cell.text(cache.now()) if cell is not None else None
        if cell is None or text is None:
            self.hand_up(unit)
            return value
        self.lookup.noted(form, "miss", cell)
        return Kept(cell, text)

    def made(self, form: Form, unit: Unit, value: Any) -> Made:
        """A value as the cache takes it."""
        parts, holes = take_apart(value)
        life = form.life.brief() if has_absence(value) else form.life
        return Made(parts, holes, frozenset(unit.tags | unit.reads.tags), life, self.began, self.epoch)

    def _objection(self, form: Form, unit: Unit) -> str | None:
        if unit.reads.fell_back:
            return "fallback"
        if unit.reads.private:
            return "private"
        if not unit.reads.undeclared:
            return None
        if self.keeping.strict:
            raise UndeclaredRead(f"{form.name} is of scope {form.scope.name} and read {sorted(unit.reads.undeclared)}")
        return "undeclared"

    def hand_up(self, unit: Unit) -> None:
        """What is not kept by itself is part of what is being made around it."""
        above = self.unit
        if above is not None:
            above.tags |= unit.tags
            above.reads.take(unit.reads)

    def within(self, unit: Unit) -> Self:
        """An executor for what is being made: its errors are its own, and its visit is observed."""
        within = copy(self)
        within.collected_errors = CollectedErrors()
        within.unit = unit
        within.context_value = observed(self.visit, unit.reads)
        return within

    @property
    def has_failed(self) -> bool:
        """Whether anything that it executed has failed."""
        return bool(self.collected_errors.errors)

    def take_errors(self, within: "MakingExecutor", path: Path) -> None:
        """Take the errors of what was made there."""
        for number, error in enumerate(within.collected_errors.errors):
            # Each in a place of its own: an error hides others only below the place that it made null.
            self.collected_errors.add(error, Path(path, number, None))

    def missed(self, form: Form) -> None:
        """Say that a value is made because it is not kept."""
        self.keeping.cache.metrics.looked(form.name, "miss")
        self.lookup.traced(form, "miss")

    async def settled(self, value: Any) -> Any:
        """A value, waited for if it has to be."""
        return await value if self.is_awaitable(value) else value


async def _raising(error: Exception) -> Any:
    raise error
