"""Telemetry that keeps its spans in memory."""

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from gateway.settings import Settings
from gateway.telemetry import Telemetry, build_telemetry


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(spans: InMemorySpanExporter) -> Telemetry:
    return build_telemetry(Settings(), exporter=spans)


@pytest.fixture
def tracer(telemetry: Telemetry) -> Tracer:
    return telemetry.tracer


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()
