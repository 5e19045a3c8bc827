"""The span, the metrics and the log line of each HTTP request: where they begin, and what sees them end."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.telemetry import Telemetry
from gateway.traced_answer import RequestMetrics, TracedAnswer, known_method, quiet

LONGEST_HEADER: Final = 512
CLIENT_GONE: Final = 499
BEACONS: Final = "/events"
_IN_QUERY = re.compile(rb"(?:^|&)traceparent=([0-9a-f-]{55})(?=&|$)")
_SPAN: Final = "gateway.span"


class Tracing:
    """Begins the spans of requests. One for an application: it builds the metrics of requests."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.metrics = RequestMetrics(telemetry.registry)
        self._tracer = telemetry.tracer
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, scope: Scope) -> Span:
        """The request's span, which the middleware goes on with: whether it is recorded is decided once."""
        span = scope[_SPAN] = self._begun(scope)
        return span

    def of(self, scope: Scope) -> Span:
        """The request's span, begun now unless it was before."""
        begun: Span | None = scope.pop(_SPAN, None)
        return begun if begun is not None else self._begun(scope)

    def _begun(self, scope: Scope) -> Span:
        method = known_method(scope)
        if quiet(scope["path"]):
            return INVALID_SPAN
        attributes = {
            "http.request.method": method,
            "url.scheme": scope["scheme"],
            "network.protocol.version": scope["http_version"],
        }
        above = self._above(scope)
        if above is None:
            return self._tracer.start_trace(method, SpanKind.SERVER, attributes)
        return self._tracer.start_span(method, above, SpanKind.SERVER, attributes)

    def _above(self, scope: Scope) -> Context | None:
        """The caller's trace context; None where it sent none, or several, and empty where it is malformed.

        Beacons cannot carry headers, so what is sent to the events' addresses may have it in the query.
        """
        headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        parents = [value for name, value in headers if name == b"traceparent"]
        if not parents and scope["path"].startswith(BEACONS):
            parents = _IN_QUERY.findall(scope.get("query_string", b""))
        if len(parents) != 1:
            return None
        carrier = {"traceparent": parents[0].decode("latin-1")}
        states = b",".join(value for name, value in headers if name == b"tracestate")
        if states and len(states) <= LONGEST_HEADER:
            carrier["tracestate"] = states.decode("latin-1")
        return self._propagator.extract(carrier, Context()) if len(parents[0]) <= LONGEST_HEADER else Context()


class TraceMiddleware:
    """A server span, metrics and a log line for each HTTP request; takes the caller's trace on and tells it the id.

    The answer carries `traceresponse` and `Server-Timing: traceparent`, which a page's script can read. The span lasts
    to the last byte. Paths, queries, addresses and headers stay out of spans and logs: only the route's template is in.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        metrics = self._tracing.metrics
        answer = TracedAnswer(scope, send, self._tracing.of(scope), metrics)
        token = attach(set_span_in_context(answer.span))
        metrics.in_flight.inc()
        try:
            await self._app(scope, receive, answer.send)
        except asyncio.CancelledError:
            answer.finish(answer.status or CLIENT_GONE)
            raise
        except BaseException as error:
            answer.finish(500, error)
            raise
        else:
            answer.finish(answer.status or CLIENT_GONE)
        finally:
            metrics.in_flight.dec()
            detach(token)
