"""One HTTP request on its way to the last byte of its answer: its span, its metrics, its log line."""

from collections.abc import Sequence
from time import perf_counter

import structlog
from opentelemetry.trace import Span, StatusCode
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import Message, Scope, Send
from structlog.typing import FilteringBoundLogger

from personalization.tracing import traceparent

QUIET_ROUTES = frozenset({"/live", "/ready", "/metrics"})
QUIET_PATHS = "/console/api/"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestLog:
    """The logger of requests, made anew only when logging was configured anew: that costs as much as a look-up."""

    __slots__ = ("_logger", "_processors", "_wrapper")

    def __init__(self) -> None:
        self._wrapper: object = None
        self._processors: object = None
        self._logger: FilteringBoundLogger | None = None

    @property
    def logger(self) -> FilteringBoundLogger:
        """What logs by the configuration of now."""
        config = structlog.get_config()
        logger = self._logger
        if (
            logger is None
            or config["wrapper_class"] is not self._wrapper
            or config["processors"] is not self._processors
        ):
            self._wrapper, self._processors = config["wrapper_class"], config["processors"]
            logger = self._logger = structlog.get_logger("gateway.request").bind()
        return logger


class RequestMetrics:
    """What is counted, and logged, of every request; routes are templates, so their number is bounded."""

    __slots__ = ("_requests", "_seconds", "_series", "in_flight", "log")

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "gateway_requests", "Requests answered.", ("route", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "gateway_request_seconds",
            "Time from a request to the last byte of its answer.",
            ("route",),
            registry=registry,
            buckets=SECONDS,
        )
        self.in_flight = Gauge(
            "gateway_requests_in_flight", "Requests being answered.", registry=registry, multiprocess_mode="livesum"
        )
        self.log = RequestLog()
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, route: str, method: str, status: int, seconds: float, *, quietly: bool = False) -> None:
        """Count and log one answered request."""
        self.all_answered(route, method, status, (seconds,), quietly=quietly)

    def all_answered(
        self, route: str, method: str, status: int, took: Sequence[float], *, quietly: bool = False
    ) -> None:
        """Count and log requests that were answered alike."""
        series = self._series.get((route, method, status))
        if series is None:
            series = (self._requests.labels(route, method, str(status)), self._seconds.labels(route))
            self._series[(route, method, status)] = series
        series[0].inc(len(took))
        report = self.log.logger.debug if quietly else self.log.logger.info
        for seconds in took:
            series[1].observe(seconds)
            report("request", route=route, method=method, status=status, ms=round(seconds * 1000, 2))


def quiet(path: str) -> bool:
    """Whether requests for it are neither traced nor logged: probes and the console ask every moment."""
    return path in QUIET_ROUTES or path.startswith(QUIET_PATHS)


def known_method(scope: Scope) -> str:
    """The request's method, or `_OTHER`: clients may invent methods without end."""
    method: str = scope["method"]
    return method if method in METHODS else "_OTHER"


def route_of(scope: Scope) -> str:
    """The template of the route that matched, or `unmatched`."""
    return getattr(scope.get("route"), "path", None) or "unmatched"


class TracedAnswer:
    """One request on its way to the last byte of its answer."""

    __slots__ = ("_done", "_metrics", "_scope", "_send", "_started", "span", "status")

    def __init__(self, scope: Scope, send: Send, span: Span, metrics: RequestMetrics) -> None:
        self.span = span
        self.status = 0
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._started = perf_counter()
        self._done = False

    async def send(self, message: Message) -> None:
        """Pass a message on, with the trace's headers on the first and the end noted at the last."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                *trace_headers(traceparent(self.span.get_span_context())),
            ]
            await self._send(message)
            return
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.finish(self.status)

    def finish(self, status: int, error: BaseException | None = None) -> None:
        """End the span, count and log the request; only the first call counts."""
        if self._done:
            return
        self._done = True
        seconds = perf_counter() - self._started
        route, method = route_of(self._scope), known_method(self._scope)
        self._metrics.answered(route, method, status, seconds, quietly=quiet(route))
        if self.span.is_recording():
            self._describe(route, method, status, error)
        self.span.end()

    def _describe(self, route: str, method: str, status: int, error: BaseException | None) -> None:
        self.span.set_attribute("http.response.status_code", status)
        if route != "unmatched":
            self.span.update_name(f"{method} {route}")
            self.span.set_attribute("http.route", route)
        if status >= 500 or error is not None:
            self.span.set_attribute("error.type", type(error).__qualname__ if error is not None else str(status))
            self.span.set_status(StatusCode.ERROR)


def trace_headers(parent: str | None) -> Sequence[tuple[bytes, bytes]]:
    """Response headers that tell the trace by its `traceparent`; none for none."""
    if parent is None:
        return ()
    value = parent.encode()
    return ((b"traceresponse", value), (b"server-timing", b'traceparent;desc="%b"' % value))
