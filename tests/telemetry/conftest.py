"""Telemetry that keeps its spans in memory."""

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from gateway.settings import Settings
from gateway.telemetry import GatewayTracer, Telemetry, build_telemetry


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(spans: InMemorySpanExporter) -> Telemetry:
    return build_telemetry(Settings(), exporter=spans)


@pytest.fixture
def tracer(telemetry: Telemetry) -> GatewayTracer:
    return telemetry.tracer


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()
