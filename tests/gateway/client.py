"""A client of the gateway under test."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import orjson
from prometheus_client import CollectorRegistry

from gateway.app import build_app
from gateway.keys import keys_of
from gateway.settings import Settings
from gateway.telemetry import GatewayTracer, Telemetry, build_telemetry
from personalization.clock import Clock, SystemClock
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile

HOME = (Path(__file__).parents[2] / "docs" / "home.graphql").read_text()


@dataclass(frozen=True, slots=True)
class GatewayClient:
    """Sends operations, and looks at what they left behind."""

    http: httpx.AsyncClient
    settings: Settings
    registry: CollectorRegistry

    async def ask(
        self, query: str, variables: Mapping[str, object] | None = None, token: str | None = None
    ) -> dict[str, Any]:
        """The answer to an operation."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        body: dict[str, Any] = answer.json()
        return body

    async def home(self, context: Mapping[str, object] | None = None, **variables: object) -> dict[str, Any]:
        """The answer to the home query."""
        return await self.ask(HOME, {**variables, **({"context": context} if context is not None else {})})

    def token(self, customer: str, **claims: object) -> str:
        """A token that this gateway takes."""
        return signed(self.settings, customer, **claims)

    def counted(self, name: str, **labels: str) -> float:
        """The value of a metric; zero where nothing was counted."""
        return self.registry.get_sample_value(name, labels) or 0.0

    async def events(self, topic: str) -> list[dict[str, Any]]:
        """All events of a topic, as another process would read them."""
        hub = SqliteHub(HubFile(self.settings.data_dir / "hub.sqlite3"), SystemClock(), lambda: "reader")
        try:
            async with hub.consumer("test", [topic]) as consumer:
                found = await consumer.poll_batch(1000, 2.0)
        finally:
            await hub.aclose()
        return [orjson.loads(each.event.value) for each in found]


def signed(settings: Settings, customer: str, **claims: object) -> str:
    """A token that a gateway with these settings takes."""
    key = keys_of(settings).token
    assert key is not None
    expires = SystemClock().now() + timedelta(hours=1)
    return jwt.encode({"sub": customer, "exp": expires, **claims}, key, algorithm="HS256")


@asynccontextmanager
async def running(
    settings: Settings, tracer: GatewayTracer | None = None, clock: Clock | None = None
) -> AsyncIterator[GatewayClient]:
    """A gateway with these settings, open until the block ends."""
    telemetry = build_telemetry(settings)
    if tracer is not None:
        telemetry = Telemetry(tracer, telemetry.registry)
    app = build_app(settings, telemetry=telemetry, clock=clock)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://g") as http:
        yield GatewayClient(http, settings, telemetry.registry)
