"""What a load balancer and a scraper see."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.request import Request, urlopen

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette

from gateway.health import Readiness, health_routes
from resolvers.sources.embedded_build import prepare_store
from tests.gateway.server import gateway_process


@pytest.fixture
def readiness() -> Readiness:
    return Readiness(("flags", "shop"))


@pytest.fixture
async def asked(readiness: Readiness) -> AsyncIterator[httpx.AsyncClient]:
    registry = CollectorRegistry()
    Counter("gateway_things", "Things.", registry=registry).inc()
    app = Starlette(routes=health_routes(readiness, registry))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://g") as client:
        yield client


async def test_it_is_live_before_it_is_ready(asked: httpx.AsyncClient) -> None:
    assert (await asked.get("/live")).status_code == 200
    assert (await asked.get("/ready")).status_code == 503


async def test_it_says_what_it_waits_for(asked: httpx.AsyncClient, readiness: Readiness) -> None:
    readiness.done("flags")
    assert (await asked.get("/ready")).json() == {"status": "warming", "waiting": ["shop"]}
    readiness.done("shop")
    ready = await asked.get("/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "waiting": []})


async def test_a_draining_process_is_not_ready_any_more(asked: httpx.AsyncClient, readiness: Readiness) -> None:
    readiness.done("flags")
    readiness.done("shop")
    readiness.drain()
    drained = await asked.get("/ready")
    assert (drained.status_code, drained.json()["status"]) == (503, "draining")
    assert (await asked.get("/live")).status_code == 200


def test_what_would_hold_up_the_draining_is_called_once_when_it_begins(readiness: Readiness) -> None:
    called: list[str] = []
    readiness.on_drain(lambda: called.append("streams"))
    readiness.on_drain(lambda: called.append("more"))
    assert called == []
    readiness.drain()
    readiness.drain()
    assert sorted(called) == ["more", "streams"]


async def test_metrics_are_prometheus_text(asked: httpx.AsyncClient) -> None:
    shown = await asked.get("/metrics")
    assert shown.headers["content-type"].startswith("text/plain")
    assert "gateway_things_total 1.0" in shown.text


def test_metrics_count_the_requests_of_all_workers(tmp_path: Path) -> None:
    prepare_store(tmp_path)
    body = json.dumps({"query": "{ segment { persona } }"}).encode()
    with gateway_process(tmp_path, workers="2") as url:
        for _ in range(30):  # each on a connection of its own, so that both workers get some
            urlopen(Request(f"{url}/graphql", body, {"Content-Type": "application/json"}), timeout=10).close()
        for _ in range(100):  # a request is counted when it is over, which may be after its answer is here
            with urlopen(f"{url}/metrics", timeout=10) as answer:
                shown = answer.read().decode()
            counted = [line for line in shown.splitlines() if line.startswith("gateway_requests_total")]
            requests = sum(float(line.rpartition(" ")[2]) for line in counted if "/graphql" in line)
            if requests >= 30:
                break
            time.sleep(0.05)
    assert requests == 30
