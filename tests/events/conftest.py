"""The intake over a real hub file."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from gateway.collector import Ga4Collector
from gateway.tags import EventIntake
from personalization.assembly import Personalization, open_personalization
from personalization.clock import SystemClock
from tests.events.parts import rate, viewer_of


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def parts(tmp_path: Path, registry: CollectorRegistry) -> AsyncIterator[Personalization]:
    async with await open_personalization(
        tmp_path / "var", SystemClock(), NoOpTracer(), registry, max_bytes=400 * 1024
    ) as parts:
        yield parts


@pytest.fixture
async def page(parts: Personalization, registry: CollectorRegistry) -> AsyncIterator[httpx.AsyncClient]:
    """A page, which sends as `navigator.sendBeacon` does."""
    intake = EventIntake(parts.outcomes, viewer_of, rate())
    app = Starlette(routes=[intake.route(), *Ga4Collector(intake, registry).routes()])
    headers = {"content-type": "text/plain;charset=UTF-8", "x-session": "s1"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client
