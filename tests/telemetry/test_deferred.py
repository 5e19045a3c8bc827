"""An answer in parts is one operation: its span ends after everything that the last part took."""

from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.settings import Settings
from gateway.telemetry import GatewayTracer
from resolvers.sources.embedded_build import prepare_store
from tests.gateway.client import running

PAGE = """query Page { catalog(first: 3) { edges { node { id } } }
  ... @defer { recommendations(placement: HOME, first: 4, context: {}) { products { price { amount } } } } }"""
BY_MULTIPART = "multipart/mixed;incrementalSpec=v0.2,application/json"


async def spans_of_page(
    data_dir: Path, tracer: GatewayTracer, spans: InMemorySpanExporter, accept: str
) -> list[ReadableSpan]:
    """The spans of one request, in the order they ended."""
    prepare_store(data_dir)
    async with running(Settings.model_validate({"data_dir": data_dir}), tracer) as gateway:
        spans.clear()
        answer = await gateway.http.post("/graphql", json={"query": PAGE}, headers={"Accept": accept})
        assert answer.headers["content-type"].startswith(accept.partition(";")[0])
        assert answer.text.count('"amount"') == 4
        return list(spans.get_finished_spans())


@pytest.mark.parametrize("accept", [BY_MULTIPART, "text/event-stream", "application/json"])
async def test_the_operation_ends_after_its_last_part(
    tmp_path: Path, tracer: GatewayTracer, spans: InMemorySpanExporter, accept: str
) -> None:
    ended = await spans_of_page(tmp_path, tracer, spans, accept)
    names = [span.name for span in ended]
    operation, request = ended[names.index("query Page")], ended[names.index("POST /graphql")]
    below = [span.name for span in ended if span.context.trace_id == request.context.trace_id and span is not request]
    assert {"resolve recommendations", "decision", "recommendations.products.price"} <= set(below)
    assert below.index("query Page") == len(below) - 1
    assert operation.parent == request.context


async def test_items_of_a_later_part_are_folded_and_their_batch_is_seen(
    tmp_path: Path, tracer: GatewayTracer, spans: InMemorySpanExporter
) -> None:
    ended = {span.name: span for span in await spans_of_page(tmp_path, tracer, spans, BY_MULTIPART)}
    operation = ended["query Page"].context
    prices = ended["recommendations.products.price"]
    assert (prices.parent, (prices.attributes or {})["resolver.count"]) == (operation, 4)
    assert ended["resolve recommendations"].parent == operation
    assert (ended["loader prices"].attributes or {})["loader.batch_size"] == 4
