"""One trace from the page to the shop: what `gateway serve` exports to a real OTLP receiver, decoded."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from urllib.request import Request, urlopen

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.keys import keys_of
from gateway.settings import Settings
from gateway.tokens import Claims, mint
from tests.gateway.client import HOME
from tests.gateway.server import gateway_process

TRACE, PAGE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PERSON = "jane-4711"


class Receiver:
    """Takes OTLP over HTTP in, as a collector does."""

    def __init__(self) -> None:
        self.raw = b""
        self.spans: list[Span] = []

    def take(self, body: bytes) -> None:
        """Decode and keep one export."""
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def of_the_page(self) -> dict[str, Span]:
        """Spans of the page's trace by name, once the last ones to end are there: the request's and the operation's."""
        until = monotonic() + 20
        while monotonic() < until:
            found = {span.name: span for span in self.spans if span.trace_id.hex() == TRACE}
            if "POST /graphql" in found and any(name.startswith("query") for name in found):
                return found
            sleep(0.05)
        raise AssertionError(f"the request's span never came, only {sorted({span.name for span in self.spans})}")


@contextmanager
def receiving() -> Iterator[tuple[Receiver, str]]:
    """A receiver and its address."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the test looks at what came."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


def ask(url: str, token: str) -> str:
    """Send the home query as a page would, in its trace; the `traceresponse` of the answer."""
    body = json.dumps({"query": HOME, "variables": {"context": {"region": PERSON}}}).encode()
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {token}",
        "traceparent": f"00-{TRACE}-{PAGE}-01",
    }
    with urlopen(Request(f"{url}/graphql", body, headers), timeout=10) as answer:
        assert json.load(answer)["data"]["components"]
        told: str = answer.headers["traceresponse"]
        return told


def attributes(span: Span) -> dict[str, object]:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}


def test_a_trace_goes_from_the_page_through_everything(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir)
    key = keys_of(settings).token
    assert key is not None
    token = mint(key, settings, Claims(PERSON, None, None, frozenset()), datetime.now(UTC), timedelta(hours=1))
    with receiving() as (receiver, endpoint), gateway_process(data_dir, otlp_endpoint=endpoint) as url:
        told = ask(url, token)
        spans = receiver.of_the_page()

    assert told.split("-")[1] == TRACE
    request = spans["POST /graphql"]
    assert request.kind == Span.SPAN_KIND_SERVER
    assert request.parent_span_id.hex() == PAGE
    operation = spans["query Home"]
    assert operation.parent_span_id == request.span_id
    assert attributes(operation)["graphql.operation.type"] == "query"
    kept = {name: value for name, value in attributes(operation).items() if name.startswith("gateway.cache.")}
    assert kept == {"gateway.cache.Query.components": "miss", "gateway.cache.Recommendations.products": "miss"}
    for name in ("resolve recommendations", "resolve components", "resolve segment"):
        assert spans[name].parent_span_id == operation.span_id
    assert "loader prices" in spans
    assert attributes(spans["loader prices"])["loader.batch_size"]

    prices = spans["catalog.edges.node.price"]
    assert prices.parent_span_id == operation.span_id
    assert attributes(prices)["resolver.count"] == 24
    assert attributes(prices)["resolver.errors"] == 0
    assert PERSON.encode() not in receiver.raw


def test_a_decision_is_a_span_that_says_how_it_came_to_be(data_dir: Path) -> None:
    body = json.dumps({"query": "{ recommendations(placement: HOME, context: {}) { decision { id } } }"}).encode()
    headers = {"Content-Type": "application/json", "traceparent": f"00-{TRACE}-{PAGE}-01"}
    with receiving() as (receiver, endpoint), gateway_process(data_dir, otlp_endpoint=endpoint) as url:
        with urlopen(Request(f"{url}/graphql", body, headers), timeout=10) as answer:
            decision = json.load(answer)["data"]["recommendations"]["decision"]
        spans = receiver.of_the_page()
    span = spans["decision"]
    assert span.parent_span_id == spans["resolve recommendations"].span_id
    told = attributes(span)
    assert told["decision.id"] == decision["id"]
    assert told["decision.policy"] == "uniform@1"
    assert told["decision.probability"] == 0.25
