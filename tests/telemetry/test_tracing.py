"""What of an operation becomes spans and metrics, and that nothing of a client gets into them."""

import asyncio
from collections.abc import Sequence

from graphql import ExecutionResult, GraphQLSchema, parse
from graphql.execution import execute
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer, get_current_span
from prometheus_client import CollectorRegistry

from gateway.execution.tracing import LONGEST_NAME, operation_span
from gateway.settings import Settings
from gateway.telemetry import GatewayTracer, build_telemetry
from resolvers.batching import LoaderMetrics
from tests.telemetry.home import HOME, build_schema, build_visit


async def run(schema: GraphQLSchema, tracer: Tracer, query: str = HOME, name: str | None = "Home") -> ExecutionResult:
    metrics = LoaderMetrics(CollectorRegistry())
    with operation_span(tracer, name, "query", "sha256:1") as trace:
        result = execute(schema, parse(query), context_value=build_visit(tracer, metrics, trace))
        answer = result if isinstance(result, ExecutionResult) else await result
        assert isinstance(answer, ExecutionResult)
        if trace is not None:
            trace.note_errors(len(answer.errors or ()))
    return answer


def names(spans: Sequence[ReadableSpan]) -> list[str]:
    return sorted(span.name for span in spans)


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = [span for span in spans.get_finished_spans() if span.name == name]
    return found


async def test_the_home_query_makes_few_spans(
    spans: InMemorySpanExporter, tracer: Tracer, registry: CollectorRegistry
) -> None:
    answer = await run(build_schema(registry), tracer)
    assert answer.errors is None
    assert set(names(spans.get_finished_spans())) == {
        "query Home",
        "catalog",
        "resolve recommendations",
        "resolve components",
        *(f"catalog.edges.node.{each}" for each in ("price", "stock", "category")),
        *(f"recommendations.products.{each}" for each in ("price", "stock", "category")),
        *(f"loader {each}" for each in ("prices", "stock", "categories")),
    }
    operation = named(spans, "query Home")
    assert dict(operation.attributes or {}) == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Home",
        "graphql.document.hash": "sha256:1",
    }
    others = [span for span in spans.get_finished_spans() if span is not operation]
    assert all(span.parent == operation.context for span in others)


async def test_items_are_folded_into_one_span_that_covers_them(
    spans: InMemorySpanExporter, tracer: Tracer, registry: CollectorRegistry
) -> None:
    await run(build_schema(registry), tracer)
    operation, price = named(spans, "query Home"), named(spans, "catalog.edges.node.price")
    told = price.attributes or {}
    assert (told["resolver.count"], told["resolver.errors"]) == (24, 0)
    p50, longest = told["resolver.p50_us"], told["resolver.max_us"]
    assert isinstance(p50, int)
    assert isinstance(longest, int)
    assert 0 <= p50 <= longest
    assert operation.start_time is not None
    assert operation.end_time is not None
    assert price.start_time is not None
    assert price.end_time is not None
    # The two clocks that these come from differ by less than a millisecond.
    assert operation.start_time - 1_000_000 <= price.start_time <= price.end_time <= operation.end_time + 1_000_000


async def test_aliases_stay_out_and_their_items_are_folded_together(
    spans: InMemorySpanExporter, tracer: Tracer, registry: CollectorRegistry
) -> None:
    query = """{ mary: catalog(first: 2) { e: edges { n: node { ...P } } }
        jane: catalog(first: 3) { e: edges { ... on Edge { n: node { ...P } } } } }
        fragment P on Product { p4711: price { amount } }"""
    await run(build_schema(registry), tracer, query, None)
    folded = named(spans, "catalog.edges.node.price")
    assert (folded.attributes or {})["resolver.count"] == 5
    assert {"query", "catalog", "catalog.edges.node.price", "loader prices"} == set(names(spans.get_finished_spans()))


async def test_failures_are_told_by_kind_only(
    spans: InMemorySpanExporter, tracer: Tracer, registry: CollectorRegistry
) -> None:
    query = '{ failing(context: {persona: "Zoe"}) catalog(first: 3) { edges { node { broken } } } }'
    answer = await run(build_schema(registry), tracer, query)
    assert answer.errors is not None
    assert (named(spans, "catalog.edges.node.broken").attributes or {})["resolver.errors"] == 3
    failing, operation = named(spans, "resolve failing"), named(spans, "query Home")
    assert (failing.attributes or {})["error.type"] == "ValueError"
    assert failing.status.status_code is StatusCode.ERROR
    assert operation.status.status_code is StatusCode.ERROR
    assert (operation.attributes or {})["graphql.error.count"] == 4
    everything = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "mary" not in everything
    assert "Zoe" not in everything


async def test_a_cancelled_operation_is_told_and_ends(
    spans: InMemorySpanExporter, tracer: Tracer, registry: CollectorRegistry
) -> None:
    task = asyncio.create_task(run(build_schema(registry), tracer))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (named(spans, "query Home").attributes or {})["error.type"] == "CancelledError"


async def test_unrecorded_operations_have_no_trace_and_the_same_answer(registry: CollectorRegistry) -> None:
    schema = build_schema(registry)
    spans = InMemorySpanExporter()
    unsampled = build_telemetry(Settings(trace_sample_ratio=0), exporter=spans).tracer
    plain = await run(build_schema(None), GatewayTracer())
    for tracer in (unsampled, GatewayTracer()):
        with operation_span(tracer, "Home", "query", None) as trace:
            assert trace is None
        assert (await run(schema, tracer)).data == plain.data
    assert spans.get_finished_spans() == ()


async def test_an_operation_below_an_unsampled_request_is_not_recorded(
    spans: InMemorySpanExporter, tracer: Tracer
) -> None:
    unrecorded = GatewayTracer().start_as_current_span("POST")
    with unrecorded as request, operation_span(tracer, "Home", "query", None) as trace:
        assert trace is None
        assert get_current_span() is request
    assert spans.get_finished_spans() == ()


def test_a_name_without_end_is_cut(spans: InMemorySpanExporter, tracer: Tracer) -> None:
    with operation_span(tracer, "N" * 5000, "query", None):
        pass
    (span,) = spans.get_finished_spans()
    assert span.name == "query " + "N" * LONGEST_NAME


async def test_root_fields_are_counted_and_timed(tracer: Tracer, registry: CollectorRegistry) -> None:
    schema = build_schema(registry)
    await run(schema, tracer, "{ components { name } failing catalog { edges { node { id } } } }")
    await run(schema, GatewayTracer(), "{ components { name } failing }")

    def seconds(field: str) -> float | None:
        return registry.get_sample_value("gateway_field_seconds_count", {"field": field})

    def errors(field: str) -> float | None:
        return registry.get_sample_value("gateway_field_errors_total", {"field": field})

    assert [seconds(field) for field in ("components", "failing", "catalog")] == [2, 1, 1]
    assert [errors(field) for field in ("components", "failing", "catalog")] == [0, 2, 0]
