"""Our encoding of spans is the SDK's, byte for byte once decoded."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from gateway.otlp import SpanEncoder, varint
from gateway.settings import Settings
from gateway.telemetry import build_telemetry, encode_one

Value = str | int | float | bool
values = st.one_of(
    st.text(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
    st.lists(st.text(max_size=3)),
)
ids = st.integers(1, 2**64 - 1)


def request_of(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    """What a receiver decodes of our bytes."""
    sample = encode_spans(spans[:1]).resource_spans[0]
    resource, scope = sample.resource.SerializeToString(), sample.scope_spans[0].scope.SerializeToString()
    received = ExportTraceServiceRequest()
    received.ParseFromString(SpanEncoder(resource, scope, encode_one).request(spans))
    return received


def above(trace_id: int, span_id: int, *, is_remote: bool, state: TraceState | None = None) -> NonRecordingSpan:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return NonRecordingSpan(SpanContext(trace_id, span_id, is_remote, flags, state))


@given(
    names=st.lists(st.text(max_size=300), min_size=1, max_size=5),
    kind=st.sampled_from(SpanKind),
    code=st.sampled_from(StatusCode),
    attributes=st.dictionaries(st.text(min_size=1), values, max_size=6),
    trace_id=st.integers(1, 2**128 - 1),
    parent=st.one_of(st.none(), st.tuples(ids, st.booleans())),
)
def test_a_receiver_reads_what_the_sdk_would_have_sent(
    names: list[str],
    kind: SpanKind,
    code: StatusCode,
    attributes: dict[str, Value | list[str]],
    trace_id: int,
    parent: tuple[int, bool] | None,
) -> None:
    exporter = InMemorySpanExporter()
    tracer = build_telemetry(Settings(), exporter=exporter).tracer
    context = None if parent is None else set_span_in_context(above(trace_id, parent[0], is_remote=parent[1]))
    for name in names:
        span = tracer.start_span(name, context, kind, attributes)
        span.set_status(code)
        span.end()
    spans = exporter.get_finished_spans()
    assert request_of(spans) == encode_spans(spans)


def test_what_is_unusual_is_encoded_too(spans: InMemorySpanExporter) -> None:
    tracer = build_telemetry(Settings(), exporter=spans).tracer
    other = above(7, 8, is_remote=True).get_span_context()
    with tracer.start_as_current_span("linked", links=[Link(other, {"why": "batch"})]) as span:
        span.add_event("swapped", {"to": "uniform@2"})
    state = TraceState([("vendor", "value")])
    tracer.start_span("stated", set_span_in_context(above(1, 2, is_remote=True, state=state))).end()
    finished = spans.get_finished_spans()
    assert request_of(finished) == encode_spans(finished)
    linked, stated = request_of(finished).resource_spans[0].scope_spans[0].spans
    assert (linked.links[0].span_id, linked.events[0].name) == ((8).to_bytes(8, "big"), "swapped")
    assert stated.trace_state == "vendor=value"


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16383, "ff7f"), (16384, "808001"), (2**64 - 1, "ff" * 9 + "01")],
)
def test_varints_are_those_of_the_specification(number: int, encoded: str) -> None:
    assert varint(number).hex() == encoded
