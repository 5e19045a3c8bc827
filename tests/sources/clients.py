"""Upstream clients for tests: what they count, trace and close."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from personalization.clock import Clock, Deadline, SystemClock
from resolvers.sources.upstream_client import UpstreamClient


@dataclass(slots=True)
class Telling:
    """A tracer and a registry, and what was told to them."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    provider: TracerProvider = field(default_factory=lambda: TracerProvider(shutdown_on_exit=False))

    def __post_init__(self) -> None:
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def tracer(self) -> Tracer:
        return self.provider.get_tracer("tests")

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def calls(self, operation: str, outcome: str) -> float:
        labels = {"operation": operation, "outcome": outcome}
        return self.registry.get_sample_value("gateway_upstream_calls_total", labels) or 0.0

    def retries(self, operation: str) -> float:
        return self.registry.get_sample_value("gateway_upstream_retries_total", {"operation": operation}) or 0.0

    def circuit_open(self) -> float | None:
        return self.registry.get_sample_value("gateway_upstream_circuit_open")


@asynccontextmanager
async def connected(url: str, telling: Telling | None = None, **changed: Any) -> AsyncIterator[UpstreamClient]:
    """A client of this address, closed at the end; `changed` are constructor arguments that matter to the test."""
    told = telling or Telling()
    arguments: dict[str, Any] = {
        "clock": SystemClock(),
        "timeout": 20.0,
        "connections": 8,
        "retries": 2,
        "breaker_threshold": 1000,
        "breaker_recovery": 0.05,
        **changed,
    }
    client = UpstreamClient(url, tracer=told.tracer, registry=told.registry, **arguments)
    try:
        yield client
    finally:
        await client.aclose()


def soon(seconds: float = 20.0, clock: Clock | None = None) -> Deadline:
    """A deadline far enough away not to matter."""
    return Deadline.after(seconds, clock or SystemClock())
