"""What an operation is seen doing: its span, one for each personalized field below it, one for each path of items.

A resolver that runs once an item is never given a span of its own: its runs are folded into one span per field path.
Where the operation is not recorded, an instrumented resolver costs one attribute check.
"""

from asyncio import Future
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import isawaitable
from statistics import median_low
from time import perf_counter, perf_counter_ns, time_ns
from typing import Any, cast

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    SelectionSetNode,
)
from graphql.pyutils import Path
from opentelemetry.context import attach, detach
from opentelemetry.trace import Span, StatusCode, Tracer, get_current_span, set_span_in_context
from prometheus_client import CollectorRegistry, Counter, Histogram
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

Resolver = Callable[..., Any]
Info = GraphQLResolveInfo[Any]

CONTEXT_ARGUMENT = "context"
LONGEST_NAME = 64
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Fold:
    """All runs of the resolver of one field path, to become one span."""

    __slots__ = ("durations", "ended", "errors", "name", "started", "waiting")

    def __init__(self, name: str, started: int) -> None:
        self.name = name
        self.started = started
        self.ended = started
        self.durations: list[int] = []
        self.errors = 0
        self.waiting: list[tuple[Future[Any], int]] = []

    def add(self, started: int) -> None:
        """Note a run that began at `started` and ended now (nanoseconds of `perf_counter_ns`)."""
        self.ended = ended = perf_counter_ns()
        self.durations.append(ended - started)

    def settle(self, _future: "Future[Any]") -> None:
        """Note the runs that waited for a future and have it. What one batch brings is noted in one go."""
        self.ended = ended = perf_counter_ns()
        waiting, self.waiting = self.waiting, []
        for future, started in waiting:
            if not future.done():
                self.waiting.append((future, started))
                continue
            self.durations.append(ended - started)
            if future.cancelled() or future.exception() is not None:
                self.errors += 1
        if self.waiting:
            self.waiting[0][0].add_done_callback(self.settle)

    async def awaited(self, result: Awaitable[Any], started: int) -> Any:
        """What `result` gives, noting when it was there."""
        try:
            value = await result
        except BaseException:
            self.errors += 1
            self.add(started)
            raise
        self.add(started)
        return value

    def attributes(self) -> dict[str, int]:
        """How often it ran, the median and the longest run in microseconds, and how many runs failed."""
        return {
            "resolver.count": len(self.durations),
            "resolver.p50_us": median_low(self.durations) // 1000,
            "resolver.max_us": max(self.durations) // 1000,
            "resolver.errors": self.errors,
        }


class Place:
    """Where a field was resolved last: the path of the list, and the key between an item and the field, if any.

    The path of a list is one object for all its items and stands two steps above the field (`products[3].price`) or
    three (`edges[3].node.price`). To know the next item by it is what makes a traced item cheap.
    """

    __slots__ = ("fold", "list_path", "step")

    def __init__(self, fold: Fold, list_path: Path, step: str | None) -> None:
        self.fold = fold
        self.list_path = list_path
        self.step = step

    def holds(self, path: Path) -> bool:
        """Whether the path of a field of that name is another item's."""
        above: Any = path[0]
        if self.step is not None:
            if above is None or above[1] != self.step:
                return False
            above = above[0]
        return above is not None and above[0] is self.list_path


class OperationTrace:
    """The record of one operation that is being traced. A visit holds it as `trace`, and None when not recorded."""

    __slots__ = ("_by_keys", "_by_name", "_context", "_epoch", "_places", "_tracer", "span")

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self.span = span
        self._tracer = tracer
        self._context = set_span_in_context(span)
        self._epoch = time_ns() - perf_counter_ns()
        self._places: dict[str, Place] = {}
        self._by_keys: dict[tuple[str, ...], Fold] = {}
        self._by_name: dict[str, Fold] = {}

    def measure(self, resolve: Resolver, source: object, info: Info, arguments: dict[str, Any] | None = None) -> Any:
        """What `resolve` gives, folding the run into the span of its field path."""
        place = self._places.get(info.field_name)
        fold = place.fold if place is not None and place.holds(info.path) else self._fold(info)
        started = perf_counter_ns()
        try:
            result = resolve(source, info, **arguments) if arguments else resolve(source, info)
        except BaseException:
            fold.errors += 1
            fold.add(started)
            raise
        if result.__class__ is Future:
            if not fold.waiting:
                result.add_done_callback(fold.settle)
            fold.waiting.append((result, started))
            return result
        if info.is_awaitable(result):
            return fold.awaited(result, started)
        fold.add(started)
        return result

    def _fold(self, info: Info) -> Fold:
        keys = response_keys(info.path)
        fold = self._by_keys.get(keys)
        if fold is None:
            name = field_path(info)
            fold = self._by_name.get(name)
            if fold is None:
                fold = self._by_name[name] = Fold(name, perf_counter_ns())
            self._by_keys[keys] = fold
        self._remember(info.field_name, fold, info.path)
        return fold

    def _remember(self, field: str, fold: Fold, path: Path) -> None:
        above = path[0]
        step: str | None = None
        if above is not None and above[1].__class__ is str:
            step, above = str(above[1]), above[0]
        if above is not None and above[1].__class__ is int and above[0] is not None:
            self._places[field] = Place(fold, above[0], step)

    def child(self, name: str) -> Span:
        """A new span below the operation's; the caller ends it."""
        return self._tracer.start_span(name, self._context)

    def note_segments(self, segments: frozenset[str]) -> None:
        """Which segments the viewer was taken for, separated by commas; nothing where none is known."""
        if segments:
            self.span.set_attribute("gateway.segment", ",".join(sorted(segments)))

    def note_errors(self, count: int) -> None:
        """Say that the answer carries `count` errors (nothing happens for zero)."""
        if count:
            self.span.set_attribute("graphql.error.count", count)
            self.span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """Emit the folded spans and end the operation's. Safe to call twice."""
        if not self.span.is_recording():
            return
        for fold in self._by_name.values():
            if fold.durations:
                span = self._tracer.start_span(
                    fold.name, self._context, attributes=fold.attributes(), start_time=self._epoch + fold.started
                )
                span.end(self._epoch + fold.ended)
        self.span.end()


@contextmanager
def operation_span(
    tracer: Tracer, name: str | None, kind: str, document_hash: str | None
) -> Iterator[OperationTrace | None]:
    """The span of an operation (`query Home`), current while the block runs; None when it is not recorded.

    `kind` is `query`, `mutation` or `subscription`. Leave the block when the last part of the answer is out.
    """
    above = get_current_span()
    if above.get_span_context().is_valid and not above.is_recording():
        yield None
        return
    span = tracer.start_span(_title(name, kind), attributes=_attributes(name, kind, document_hash))
    if not span.is_recording():
        yield None
        return
    trace = OperationTrace(tracer, span)
    token = attach(set_span_in_context(span))
    try:
        yield trace
    except BaseException as error:
        mark_failed(span, error)
        raise
    finally:
        detach(token)
        trace.end()


def _title(name: str | None, kind: str) -> str:
    return f"{kind} {name[:LONGEST_NAME]}" if name else kind


def _attributes(name: str | None, kind: str, document_hash: str | None) -> dict[str, str]:
    attributes = {"graphql.operation.type": kind}
    if name:
        attributes["graphql.operation.name"] = name[:LONGEST_NAME]
    if document_hash:
        attributes["graphql.document.hash"] = document_hash
    return attributes


def mark_failed(span: Span, error: BaseException) -> None:
    """Say on the span what kind of error happened; its message may hold what a client sent, so it stays out."""
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(StatusCode.ERROR)


def response_keys(path: Path | None) -> tuple[str, ...]:
    """The keys of a response path from leaf to root, list indexes dropped."""
    keys = []
    while path is not None:
        key = path[1]
        if key.__class__ is str:
            keys.append(key)
        path = path[0]
    return tuple(keys)


def field_path(info: Info) -> str:
    """Field names from the root to this field, `catalog.edges.node.price`: never a client's aliases."""
    names = [info.field_name]
    path = info.path.prev
    while path is not None:
        if isinstance(path.key, str):
            if not _is_field(info.schema, path):
                return _unaliased_path(info)
            names.append(path.key)
        path = path.prev
    return ".".join(reversed(names))


def _is_field(schema: GraphQLSchema, path: Path) -> bool:
    parent = schema.type_map.get(path.typename or "")
    return isinstance(parent, GraphQLObjectType) and path.key in parent.fields


def _unaliased_path(info: Info) -> str:
    names = []
    selections = [info.operation.selection_set]
    for key in reversed(response_keys(info.path)):
        nodes = [node for node in _fields(selections, info) if (node.alias or node.name).value == key]
        names.append(nodes[0].name.value)
        selections = [node.selection_set for node in nodes if node.selection_set is not None]
    return ".".join(names)


def _fields(selections: list[SelectionSetNode], info: Info) -> Iterator[FieldNode]:
    """The fields selected there, looking through fragments; the operation is valid, so they do not form a circle."""
    for selection_set in selections:
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, FragmentSpreadNode):
                yield from _fields([info.fragments[node.name.value].selection_set], info)
            else:
                yield from _fields([cast("SelectionSetNode", getattr(node, "selection_set"))], info)  # noqa: B009


class RootField:
    """The resolver of a field at the root: timed and counted, and with a span of its own if it is personalized."""

    __slots__ = ("_errors", "_resolve", "_seconds", "_title")

    def __init__(self, resolve: Resolver, title: str | None, seconds: Histogram, errors: Counter) -> None:
        self._resolve = resolve
        self._title = title
        self._seconds = seconds
        self._errors = errors

    def given(self, arguments: Mapping[str, Any]) -> "RootField":
        """The same for fixed arguments, where the resolver can take them once for many calls."""
        given: Callable[[Mapping[str, Any]], Resolver] = getattr(self._resolve, "given")  # noqa: B009
        return RootField(given(arguments), self._title, self._seconds, self._errors)

    def __call__(self, source: object, info: Info, **arguments: Any) -> Any:
        started = perf_counter()
        trace: OperationTrace | None = info.context.trace
        try:
            if trace is None:
                result = self._resolve(source, info, **arguments)
            elif self._title is None:
                result = trace.measure(self._resolve, source, info, arguments)
            else:
                result = self._in_span(trace.child(self._title), source, info, arguments)
        except Exception:
            self._errors.inc()
            raise
        if info.is_awaitable(result):
            return self._awaited(result, started)
        self._seconds.observe(perf_counter() - started)
        return result

    async def _awaited(self, result: Awaitable[Any], started: float) -> Any:
        try:
            return await result
        except Exception:
            self._errors.inc()
            raise
        finally:
            self._seconds.observe(perf_counter() - started)

    async def _in_span(self, span: Span, source: object, info: Info, arguments: dict[str, Any]) -> Any:
        token = attach(set_span_in_context(span))
        try:
            result = self._resolve(source, info, **arguments)
            return await result if isawaitable(result) else result
        except BaseException as error:
            mark_failed(span, error)
            raise
        finally:
            detach(token)
            span.end()


def per_item(resolve: Resolver, *, takes_arguments: bool) -> Resolver:
    """`resolve`, folded into the span of its field path whenever the operation is recorded."""
    if not takes_arguments:

        def bare_item(source: object, info: Info) -> Any:
            trace: OperationTrace | None = info.context.trace
            return resolve(source, info) if trace is None else trace.measure(resolve, source, info)

        return bare_item

    def item(source: object, info: Info, **arguments: Any) -> Any:
        trace: OperationTrace | None = info.context.trace
        if trace is None:
            return resolve(source, info, **arguments)
        return trace.measure(resolve, source, info, arguments)

    return item


def instrument(schema: GraphQLSchema, registry: CollectorRegistry) -> None:
    """Wrap the resolvers of a schema that Strawberry built; fields that only read an attribute are left alone.

    The context of every later execution must have a member `trace`: an `OperationTrace` or None.
    Builds `gateway_field_seconds` and `gateway_field_errors_total` on the registry, so call it once.
    """
    seconds = Histogram(
        "gateway_field_seconds", "Time to resolve a root field.", ("field",), registry=registry, buckets=SECONDS
    )
    errors = Counter("gateway_field_errors", "Root fields that failed.", ("field",), registry=registry)
    roots = {root.name for root in (schema.query_type, schema.mutation_type) if root is not None}
    for graphql_type in schema.type_map.values():
        if not isinstance(graphql_type, GraphQLObjectType) or graphql_type.name.startswith("__"):
            continue
        for name, field in graphql_type.fields.items():
            if field.resolve is None or not has_resolver(field):
                continue
            if graphql_type.name in roots:
                title = f"resolve {name}" if CONTEXT_ARGUMENT in field.args else None
                field.resolve = RootField(field.resolve, title, seconds.labels(name), errors.labels(name))
            else:
                field.resolve = per_item(field.resolve, takes_arguments=bool(field.args))


def has_resolver(field: GraphQLField) -> bool:
    """Whether the field is more than an attribute of its object."""
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return isinstance(definition, StrawberryField) and not definition.is_basic_field
