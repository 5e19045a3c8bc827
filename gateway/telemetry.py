"""Traces and metrics: how they are made and how they leave. The only importer of the OpenTelemetry SDK."""

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from time import time_ns
from typing import cast
from uuid import uuid4

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    use_span,
)
from opentelemetry.util.types import AnyValue, Attributes
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)

from gateway.otlp import FinishedSpan, SpanEncoder
from gateway.settings import Settings

DISTRIBUTION = "persona-gateway"
MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"
FLUSH_S = 3.0
EXPORT_TIMEOUT_S = 5.0
EXPORT_EVERY_MS = 1000
QUEUED_SPANS = 16_384
UNSET = Status(StatusCode.UNSET)
SAMPLED = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
UNSAMPLED = TraceFlags(TraceFlags.RANDOM_TRACE_ID)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The tracer and the registry that every part is handed. Tests and processes make their own; nothing is global."""

    tracer: "GatewayTracer"
    registry: CollectorRegistry
    processor: SpanProcessor | None = None

    async def shutdown(self) -> None:
        """Send the spans that are left, waiting at most `FLUSH_S` seconds; safe to call twice."""
        if self.processor is None:
            return
        thread = threading.Thread(target=self.processor.shutdown, name="telemetry-flush", daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, FLUSH_S)


def build_telemetry(settings: Settings, *, exporter: SpanExporter | None = None) -> Telemetry:
    """Telemetry for this process.

    With an `exporter` each span goes there the moment it ends; with `otlp_endpoint` set, spans go there in batches;
    with neither nothing is recorded, but trace ids exist and the caller's trace context is passed on.
    """
    processor: SpanProcessor | None = None
    if exporter is not None:
        processor = SimpleSpanProcessor(exporter)
    elif settings.otlp_endpoint is not None:
        processor = _batches_to(settings.otlp_endpoint.rstrip("/") + "/v1/traces")
    return Telemetry(GatewayTracer(processor, settings.trace_sample_ratio), build_registry(), processor)


def build_registry() -> CollectorRegistry:
    """A registry to build metrics on; alone in a process it also tells of the process itself."""
    registry = CollectorRegistry()
    if MULTIPROCESS_DIR not in os.environ:
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
    return registry


def _batches_to(address: str) -> BatchSpanProcessor:
    return BatchSpanProcessor(
        WireExporter(address, EXPORT_TIMEOUT_S),
        max_queue_size=QUEUED_SPANS,
        schedule_delay_millis=EXPORT_EVERY_MS,
    )


def _resource() -> Resource:
    return Resource.create(
        {SERVICE_NAME: DISTRIBUTION, SERVICE_VERSION: package_version(), SERVICE_INSTANCE_ID: str(uuid4())}
    )


def package_version() -> str:
    """The version of this package, `0` where it is not installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0"


class RecordedSpan(ReadableSpan, Span):
    """A span that is recorded: what the SDK's is, at a fifth of its cost, and unable to hold an error's message.

    It belongs to one thread at a time. Attribute values are single values or sequences of them, from our own code.
    """

    _instrumentation_info = None

    def __init__(
        self,
        tracer: "GatewayTracer",
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Attributes,
        links: Sequence[Link] | None,
        start_time: int | None,
    ) -> None:
        # Not the base class's, which costs more than all of this.
        self._tracer = tracer
        self._name = name
        self._context: SpanContext = context
        self._parent = parent
        self._kind = kind
        self._attributes: dict[str, AnyValue] = dict(attributes) if attributes else {}
        self._links: list[Link] = list(links) if links else []
        self._events: list[Event] = []
        self._status = UNSET
        self._resource = tracer.resource
        self._instrumentation_scope = tracer.scope
        self._start_time = start_time or time_ns()
        self._end_time: int | None = None

    def get_span_context(self) -> SpanContext:
        return self._context

    def is_recording(self) -> bool:
        return self._end_time is None

    def set_attribute(self, key: str, value: AnyValue) -> None:
        self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        self._attributes.update(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        self._events.append(Event(name, attributes, timestamp))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        self._links.append(Link(context, attributes))

    def update_name(self, name: str) -> None:
        self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Keep the code; a description is left out, because it repeats what an error says."""
        self._status = Status(status.status_code if isinstance(status, Status) else status)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Keep the kind of the exception; its message and trace may repeat what a client sent."""
        self._attributes["error.type"] = type(exception).__qualname__

    def end(self, end_time: int | None = None) -> None:
        if self._end_time is None:
            self._end_time = end_time or time_ns()
            self._tracer.finished(self)


class GatewayTracer(Tracer):
    """Hands each finished span to a processor of the SDK. Without a processor it records nothing.

    A trace begun elsewhere is recorded if it is sampled there, one begun here by its id, for a share of `ratio`. What
    is not recorded passes the caller's context on unchanged, or has an id of its own.
    """

    def __init__(self, processor: SpanProcessor | None = None, ratio: float = 1.0) -> None:
        self.resource = _resource()
        self.scope = InstrumentationScope("gateway", package_version())
        self._processor = processor
        self._bound = TraceIdRatioBased.get_bound_for_rate(ratio) if processor is not None else 0
        self._ids = RandomIdGenerator()

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        span = get_current_span(context)
        parent = span.get_span_context()
        if parent.is_valid:
            if self._processor is None or not parent.trace_flags.sampled:
                return span
            made = SpanContext(
                parent.trace_id, self._ids.generate_span_id(), False, parent.trace_flags, parent.trace_state
            )
            return RecordedSpan(self, name, made, parent, kind, attributes, links, start_time)
        return self.start_trace(name, kind, attributes, links, start_time)

    def start_trace(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
    ) -> Span:
        """As `start_span` in an empty context, in a third of its time."""
        trace_id = self._ids.generate_trace_id()
        sampled = trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound
        made = SpanContext(trace_id, self._ids.generate_span_id(), False, SAMPLED if sampled else UNSAMPLED)
        if not sampled:
            return NonRecordingSpan(made)
        return RecordedSpan(self, name, made, None, kind, attributes, links, start_time)

    @contextmanager
    def start_as_current_span(  # type: ignore[override]
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        span = self.start_span(name, context, kind, attributes, links, start_time)
        above = get_current_span(context)
        with use_span(span, end_on_exit and span is not above, record_exception, set_status_on_exception):
            yield span

    def finished(self, span: RecordedSpan) -> None:
        """Hand a span on; called by the span when it ends."""
        if self._processor is not None:
            self._processor.on_end(span)


class WireExporter(OTLPSpanExporter):
    """The SDK's exporter (connection, retries, shutdown) with our encoding."""

    def __init__(self, address: str, timeout: float) -> None:
        super().__init__(address, timeout=timeout)
        self._encoder: SpanEncoder | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans of one resource and scope."""
        if self._encoder is None:
            sample = encode_spans(spans[:1]).resource_spans[0]
            resource, scope = sample.resource, sample.scope_spans[0].scope
            self._encoder = SpanEncoder(resource.SerializeToString(), scope.SerializeToString(), encode_one)
        sent = self._client.export(self._encoder.request(spans))
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE


def encode_one(span: FinishedSpan) -> bytes:
    """A `Span` message, by the SDK's encoder."""
    encoded: bytes = (
        encode_spans([cast("ReadableSpan", span)]).resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    )
    return encoded
