"""Finding what is kept, for one execution. Nothing here waits; what is stale is made anew in the background."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import orjson
import structlog
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, get_named_type, get_nullable_type, is_list_type
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList
from graphql.execution.values import VariableValues
from graphql.pyutils import Path

from gateway.execution.forms import Form
from gateway.execution.keeping import PRIVATE, Identified, Keeping, Note
from gateway.execution.kept import Kept, Told
from resolvers.cache_control import CacheScope
from resolvers.caching.cache import FragmentCache
from resolvers.caching.cell import Cell, texts_of
from resolvers.context import Context, EffectiveContext
from resolvers.errors import NotRenewed
from resolvers.observing import MEMBERS
from resolvers.visit import ReadyPlace, Visit

_log = structlog.get_logger()


Left = list[Callable[[], object]]
"""What is left to be done once an answer is out."""


class Maker(Protocol):
    """What makes the values of an operation with its variables: `KeepingExecutor`."""

    keeping: Keeping
    schema: GraphQLSchema
    query_type: GraphQLObjectType | None
    variable_values: VariableValues
    roots: dict[str | int, FieldDetailsList]
    places: dict[tuple[str, str], "tuple[Place, ...]"]

    def collect_subfields(
        self, return_type: GraphQLObjectType, field_details_list: FieldDetailsList
    ) -> CollectedFields:
        """What is selected on an object of a field."""
        ...

    def form_of(self, parent: GraphQLObjectType, details: FieldDetailsList) -> Form:
        """The form of a field."""
        ...

    def form_of_object(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Form:
        """The form of what is selected on an object."""
        ...

    async def root_anew(
        self, visit: Visit, form: Form, details: FieldDetailsList, path: Path, *, from_nothing: bool = False
    ) -> Any:
        """Make a root field's value and keep it; `from_nothing` that is kept."""
        ...

    async def field_anew(self, visit: Visit, source: Any, place: "Place") -> Any:
        """Make the field of an identified object and keep it."""
        ...

    def field_of_kept(self, ids: Sequence[str], place: "Place", key: bytes, left: Left) -> Told | None:
        """As `field_anew`, of entities of these ids that are all kept; otherwise None. To keep it is left to do."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where, below a root field, the field of an identified object stands.

    `entities` is the form of what is selected on entities, where the field lists some.
    """

    name: str
    form: Form
    parent: GraphQLObjectType
    identified: Identified
    details: FieldDetailsList
    path: Path
    entities: Form | None


class Lookup:
    """What one execution finds. While `renewing` only what is fresh counts, and nothing while `verifying`."""

    __slots__ = ("_cache", "_maker", "notes", "renewing", "verifying", "visit")

    def __init__(self, maker: Maker, visit: Visit) -> None:
        self._maker = maker
        self._cache = maker.keeping.cache
        self.visit = visit
        self.notes: list[Note] | None = None
        self.renewing = False
        self.verifying = False

    def find(self, form: Form, key: bytes) -> Kept | None:
        """What is kept under a key and still good; while renewing, only what is fresh."""
        cache = self._cache
        cell = cache.find(key) if not self.verifying else None
        if cell is None:
            return None
        now = cache.now()
        text = cache.text(cell, now)
        if text is None:
            return None
        fresh = cell.is_fresh(now)
        if self.renewing and not cell.is_fresh(now + self._maker.keeping.ahead(form)):
            return None
        cache.metrics.looked(form.name, "hit" if fresh else "stale")
        if self.visit.trace is not None or self.notes is not None:
            self.tell(form, "hit" if fresh else "stale", cell)
        return Kept(cell, text, fresh)

    def find_all(self, form: Form, keys: Sequence[bytes], left: Left) -> tuple[Sequence[Cell], Sequence[bytes]] | None:
        """What is kept under all these keys and its texts; None unless all of it is good. To count it is left to do."""
        peek, now = self._cache.peek, self._cache.now()
        cells = [cell for key in keys if (cell := peek(key)) is not None]
        texts = texts_of(cells, now) if len(cells) == len(keys) else None
        if texts is None:
            return None
        left.append(partial(self._count, form, cells, now))
        return cells, texts

    def _count(self, form: Form, cells: Sequence[Cell], now: float) -> None:
        for cell in cells:
            self._cache.find(cell.key)
        fresh = sum(cell.is_fresh(now) for cell in cells)
        for state, times in (("hit", fresh), ("stale", len(cells) - fresh)):
            if times:
                self._cache.metrics.looked(form.name, state, times)

    def found(self, form: Form, key: bytes, details: FieldDetailsList, path: Path) -> Kept | None:
        """What is kept of a root field; if it is stale, it is made anew in the background."""
        kept = self.find(form, key)
        if kept is not None:
            self.tend(kept, form, details, path)
        return kept

    @property
    def is_watched(self) -> bool:
        """Whether some of what is served is to be compared."""
        return self._maker.keeping.is_watched

    def tend(self, kept: Kept, form: Form, details: FieldDetailsList, path: Path) -> None:
        """Have what is served of a root field made anew in the background, if it is stale or to be compared."""
        if not kept.fresh and not self.renewing:
            self._cache.renew(kept.cell, partial(self._renew, form, details, path))
        if self._maker.keeping.is_sampled():
            verify = partial(self._verify, form, details, path, kept.text, self._cache.epoch)
            self._cache.renew(kept.cell, verify)

    def place(self, root: str, field: str, identity: object) -> ReadyPlace:
        """What `resolvers.visit.Keeper` promises."""
        return _Ready(self, identity, () if self.renewing else self._keyed(root, field, identity))

    def standing_place(self, root: str, field: str, identity: object) -> "_Standing":
        """What `resolvers.visit.Keeper` promises."""
        return _Standing(self, identity, self._keyed(root, field, identity), self._cache)

    def _keyed(self, root: str, field: str, identity: object) -> Sequence[tuple[Place, bytes]]:
        """The places of a field of this object, and their keys; none where nothing can be kept."""
        places = self._maker.places.get((root, field)) or self._places(root, field)
        if not all(place.form.keepable for place in places):
            return ()
        text, values = orjson.dumps(identity), self._maker.variable_values.coerced
        return [(place, place.form.key(text, values)) for place in places]

    def ready(self, identity: object, place: Place, key: bytes) -> Kept | None:
        """What is kept of the field of an identified object; if it is stale, it is made anew in the background."""
        kept = self.find(place.form, key)
        if kept is not None and not kept.fresh:
            self.refill(kept.cell, identity, place)
        return kept

    def refill(self, cell: Cell, identity: object, place: Place) -> None:
        """Have what is stale of an identified object made anew in the background."""
        self._cache.renew(cell, partial(self._refill, identity, place))

    def fill(
        self, ids: Sequence[str], left: Left, places: Sequence[tuple[Place, bytes]]
    ) -> Mapping[str, object] | None:
        """The field of an identified object at these places, of entities that are kept; None where more is needed."""
        if self._cache.has_second_tier:
            return None
        found: dict[str, object] = {}
        for place, key in places:
            told = self._maker.field_of_kept(ids, place, key, left)
            if told is None:
                return None
            found[place.name] = told
        return found or None

    def everyones_key(self, form: Form) -> bytes:
        """The key of a value for those who claim no context."""
        return form.key(b"everyone", self._maker.variable_values.coerced)

    async def audience_key(self, form: Form, claimed: Context | None) -> bytes | None:
        """The key for those whom the context that is claimed belongs to; None where values are known to be private."""
        if claimed is None:
            return self.everyones_key(form)
        if PRIVATE in self._cache.audience(form.id):
            return None
        return self.key_for(form, await self.visit.contexts.resolve(claimed))

    def key_for(self, form: Form, context: EffectiveContext) -> bytes | None:
        """As `audience_key`, for a context that is known."""
        audience, viewer = self._cache.audience(form.id), self.visit.viewer
        if PRIVATE in audience:
            return None
        read = [getattr(context if name in MEMBERS else viewer, name) for name in audience]
        return self.key_of(form, audience, read)

    def key_of(self, form: Form, audience: Sequence[str], read: Sequence[object]) -> bytes:
        """The key for those of whom these members were read, as these values."""
        return form.key(orjson.dumps([audience, read]), self.values)

    @property
    def values(self) -> Mapping[str, Any]:
        """The values of the operation's variables."""
        return self._maker.variable_values.coerced

    def audience(self, form: Form) -> tuple[str, ...]:
        """The members that values of a form depend on, as far as is known."""
        return self._cache.audience(form.id)

    def tell(self, form: Form, state: str, cell: Cell | None) -> None:
        """Have the operation's span, and whoever wants it explained, know what became of a value."""
        self.traced(form, state)
        self.noted(form, state, cell)

    def traced(self, form: Form, state: str) -> None:
        """Have the operation's span say what became of a personalized value; kept ones have no span of their own."""
        if form.scope is CacheScope.SEGMENT and self.visit.trace is not None:
            self.visit.trace.span.set_attribute(f"gateway.cache.{form.name}", state)

    def noted(self, form: Form, state: str, cell: Cell | None) -> None:
        """Note what became of a value, where that is to be explained."""
        if self.notes is not None:
            self.notes.append(Note(form, state, cell))

    def _places(self, root: str, field: str) -> Sequence[Place]:
        maker = self._maker
        details, query = maker.roots.get(root), cast("GraphQLObjectType", maker.query_type)
        definition = maker.schema.get_field(query, details[0].node.name.value) if details is not None else None
        if details is None or definition is None:
            return ()
        type_ = cast("GraphQLObjectType", get_named_type(definition.type))
        identified, above = maker.keeping.kinds.identified[type_.name], Path(None, root, query.name)
        places = maker.places[(root, field)] = tuple(
            Place(
                name,
                maker.form_of(type_, below),
                type_,
                identified,
                below,
                Path(above, name, type_.name),
                self._entities(type_.fields[field], below),
            )
            for name, below in maker.collect_subfields(type_, details).grouped_field_set.items()
            if below[0].node.name.value == field
        )
        return places

    def _entities(self, field: GraphQLField, details: FieldDetailsList) -> Form | None:
        item = cast("GraphQLObjectType", get_named_type(field.type))
        lists = is_list_type(get_nullable_type(field.type)) and item.name in self._maker.keeping.kinds.entities
        return self._maker.form_of_object(item, details) if lists else None

    async def _renew(self, form: Form, details: FieldDetailsList, path: Path) -> None:
        async with self._again() as visit:
            _check(await self._maker.root_anew(visit, form, details, path), form)

    async def _verify(self, form: Form, details: FieldDetailsList, path: Path, served: bytes, epoch: int) -> None:
        """Make a value anew from nothing that is kept, and compare it with what was served in this epoch.

        What was purged since, whatever it was, may have been right then and be another value now.
        """
        async with self._again() as visit:
            value = await self._maker.root_anew(visit, form, details, path, from_nothing=True)
        if isinstance(value, Kept) and value.text != served and self._cache.epoch == epoch:
            self._cache.metrics.mismatched(form.name)
            _log.error("cache_mismatch", field=form.name, form=form.id.hex())
            await self._cache.purge((form.name,))

    async def _refill(self, identity: object, place: Place) -> None:
        async with self._again() as visit:
            source = await place.identified.refill(visit, identity)
            _check(await self._maker.field_anew(visit, source, place), place.form)

    def _again(self) -> AbstractAsyncContextManager[Visit]:
        again = self.visit.again
        if again is None:
            raise NotRenewed("this visit cannot be made again")
        return again()


class _Ready:
    """What `resolvers.visit.ReadyPlace` promises; nothing is kept where there are no places."""

    __slots__ = ("_identity", "_lookup", "_places")

    def __init__(self, lookup: Lookup, identity: object, places: Sequence[tuple[Place, bytes]]) -> None:
        self._lookup = lookup
        self._identity = identity
        self._places = places

    def __call__(self) -> Mapping[str, object] | None:
        found: dict[str, object] = {}
        for place, key in self._places:
            kept = self._lookup.ready(self._identity, place, key)
            if kept is None:
                return None
            found[place.name] = kept
        return found or None


class _Standing(_Ready):
    """What `resolvers.visit.StandingPlace` promises."""

    __slots__ = ("_cache", "_served")

    def __init__(
        self, lookup: Lookup, identity: object, places: Sequence[tuple[Place, bytes]], cache: FragmentCache
    ) -> None:
        super().__init__(lookup, identity, places)
        self._cache = cache
        self._served = [{True: 0, False: 0} for _ in places]

    def look(self) -> Mapping[str, object] | None:
        cache, found, now = self._cache, {}, self._cache.now()
        for (place, key), served in zip(self._places, self._served, strict=True):
            cell = cache.find(key)
            text = cache.text(cell, now) if cell is not None else None
            if cell is None or text is None:
                return None
            fresh = cell.is_fresh(now)
            if not fresh:
                self._lookup.refill(cell, self._identity, place)
            served[fresh] += 1
            found[place.name] = Kept(cell, text, fresh)
        return found or None

    def fill(self, ids: Sequence[str], left: Left) -> Mapping[str, object] | None:
        return self._lookup.fill(ids, left, self._places)

    def settle(self) -> None:
        for (place, _), served in zip(self._places, self._served, strict=True):
            for fresh, times in served.items():
                if times:
                    self._cache.metrics.looked(place.form.name, "hit" if fresh else "stale", times)
                    served[fresh] = 0


def _check(value: object, form: Form) -> None:
    if not isinstance(value, Kept):
        raise NotRenewed(f"{form.name} could not be made anew")
