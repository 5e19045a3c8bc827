"""Every request is a span, a figure and a line; the caller's trace is taken on and told; nothing personal is kept."""

from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, set_span_in_context
from starlette.types import Message, Receive, Scope, Send

from gateway.health import Readiness
from gateway.request_tracing import TraceMiddleware, Tracing
from gateway.settings import Settings
from gateway.telemetry import GatewayTracer, Telemetry, build_telemetry
from tests.telemetry.small_app import build_app

TRACE, PAGE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
async def client(telemetry: Telemetry) -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(telemetry, Readiness())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as opened:
        yield opened


def request_span(spans: InMemorySpanExporter) -> ReadableSpan:
    (found,) = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    return found


async def test_the_trace_begun_by_the_page_goes_on(client: httpx.AsyncClient, spans: InMemorySpanExporter) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PAGE}-01", "tracestate": "shop=1"}
    answer = await client.get("/products/Zoe/home?email=mary", headers=headers)
    span = request_span(spans)
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}", span.parent.is_remote) == (TRACE, PAGE, True)
    assert span.context.trace_state.to_header() == "shop=1"
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert answer.headers["server-timing"] == f'traceparent;desc="{answer.headers["traceresponse"]}"'


async def test_a_request_span_knows_the_route_and_nothing_of_the_client(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    headers = {"authorization": "Bearer mary", "cookie": "visitor=mary", "user-agent": "mary"}
    await client.get("/products/Zoe/home?email=mary", headers=headers)
    assert dict(request_span(spans).attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/products/{id}/home",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
    }
    assert request_span(spans).name == "GET /products/{id}/home"
    everything = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "mary" not in everything
    assert "Zoe" not in everything


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", "hello")],
        [("traceparent", f"00-{TRACE}-{PAGE}-01-more")],
        [("traceparent", f"ff-{TRACE}-{PAGE}-01")],
        [("traceparent", f"00-{'0' * 32}-{PAGE}-01")],
        [("traceparent", f"00-{TRACE}-{'0' * 16}-01")],
        [("traceparent", f"00-{TRACE}-{PAGE}-01" + " " * 5000)],
        [("traceparent", f"00-{TRACE}-{PAGE}-01"), ("traceparent", f"00-{TRACE}-{PAGE}-01")],
        [("tracestate", "shop=1")],
    ],
)
async def test_a_malformed_trace_is_ignored(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, headers: list[tuple[str, str]]
) -> None:
    assert (await client.get("/products/1/home", headers=headers)).status_code == 200
    span = request_span(spans)
    assert span.parent is None
    assert f"{span.context.trace_id:032x}" != TRACE


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_header_breaks_the_middleware(parent: bytes, state: bytes) -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("not called")

    scope = {"path": "/", "method": "GET", "scheme": "http", "http_version": "1.1"}
    headers = [(b"traceparent", parent), (b"tracestate", state)]
    span = Tracing(build_telemetry(Settings())).of({**scope, "headers": headers})
    assert span.get_span_context().is_valid


async def test_an_unsampled_trace_is_passed_on_unrecorded(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    answer = await client.get("/products/1/home", headers={"traceparent": f"00-{TRACE}-{PAGE}-00"})
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{PAGE}-00"
    assert spans.get_finished_spans() == ()


async def test_an_error_is_told_by_kind(client: httpx.AsyncClient, spans: InMemorySpanExporter) -> None:
    assert (await client.get("/broken")).status_code == 500
    span = request_span(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["http.response.status_code"] == 500
    assert "mary" not in span.to_json()


@pytest.mark.parametrize("path", ["/live", "/ready", "/metrics"])
async def test_probes_are_no_spans(client: httpx.AsyncClient, spans: InMemorySpanExporter, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert "traceresponse" not in answer.headers
    assert spans.get_finished_spans() == ()


async def test_what_clients_make_up_is_counted_under_one_name(client: httpx.AsyncClient, telemetry: Telemetry) -> None:
    for number in range(5):
        await client.request(f"INVENTED{number}", f"/nowhere/{number}")
    labels = {"route": "unmatched", "method": "_OTHER", "status": "404"}
    assert telemetry.registry.get_sample_value("gateway_requests_total", labels) == 5
    assert telemetry.registry.get_sample_value("gateway_requests_in_flight") == 0


async def test_the_span_of_a_stream_ends_with_its_last_byte(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    finished: list[int] = []

    async def streams(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for more in (True, True, False):
            finished.append(len(spans.get_finished_spans()))
            await send({"type": "http.response.body", "body": b".", "more_body": more})
        finished.append(len(spans.get_finished_spans()))

    async def send(message: Message) -> None:
        """Take it."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "path": "/", "method": "GET", "scheme": "http", "http_version": "1.1", "headers": []}
    await TraceMiddleware(streams, Tracing(telemetry))(scope, receive, send)
    assert finished == [0, 0, 0, 1]


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_without_a_processor_the_callers_context_is_passed_on_unchanged(trace: int, above: int, sampled: bool) -> None:
    context = SpanContext(trace, above, is_remote=True, trace_flags=TraceFlags(int(sampled)))
    span = GatewayTracer().start_span("x", set_span_in_context(NonRecordingSpan(context)))
    assert span.get_span_context() == context
    assert not span.is_recording()


def test_a_share_of_new_traces_is_recorded(spans: InMemorySpanExporter) -> None:
    tracer = build_telemetry(Settings(trace_sample_ratio=0.5), exporter=spans).tracer
    for _ in range(400):
        tracer.start_span("x").end()
    recorded = {span.context.trace_id for span in spans.get_finished_spans()}
    assert 100 < len(recorded) < 300, "400 throws of a fair coin are farther off once in 10^23"


def test_a_finished_span_is_handed_on_once(spans: InMemorySpanExporter, telemetry: Telemetry) -> None:
    span = telemetry.tracer.start_span("x")
    span.end(5)
    span.end(6)
    assert [finished.end_time for finished in spans.get_finished_spans()] == [5]


async def test_shutting_down_twice_is_fine(telemetry: Telemetry) -> None:
    await telemetry.shutdown()
    await telemetry.shutdown()
    await build_telemetry(Settings()).shutdown()


@pytest.mark.parametrize("path", ["/events", "/events/ga4/g/collect"])
async def test_a_beacon_has_its_trace_in_the_query(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, path: str
) -> None:
    await client.post(f"{path}?v=2&traceparent=00-{TRACE}-{PAGE}-01")
    parent = request_span(spans).parent
    assert parent is not None
    assert (f"{parent.trace_id:032x}", f"{parent.span_id:016x}") == (TRACE, PAGE)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/products/1/home?traceparent=00-{TRACE}-{PAGE}-01", {}),
        (f"/events?traceparent=00-{TRACE}-{PAGE}-01&traceparent=00-{TRACE}-{PAGE}-01", {}),
        (f"/events?traceparent=00-{'0' * 32}-{PAGE}-01", {}),
        (f"/events?xtraceparent=00-{TRACE}-{PAGE}-01", {}),
        (f"/events?traceparent=00-{TRACE}-{PAGE}-01", {"traceparent": f"00-{'1' * 32}-{PAGE}-01"}),
    ],
)
async def test_the_query_speaks_for_beacons_only_and_a_header_goes_before_it(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, path: str, headers: dict[str, str]
) -> None:
    await client.get(path, headers=headers)
    assert f"{request_span(spans).context.trace_id:032x}" != TRACE
