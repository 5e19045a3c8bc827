"""What the tests of the intake share: a viewer, generous bounds, and a look at what is in the hub."""

from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry
from starlette.requests import Request

from gateway.event_rate import EventRate
from personalization.assembly import Personalization
from personalization.clock import Clock, SystemClock
from personalization.codec import decode_exposure_event, decode_outcome
from personalization.events import ExposureEvent, Outcome
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import EXPOSURE_EVENTS, OUTCOMES, Hub, StoredEvent
from resolvers.errors import Unauthenticated
from resolvers.viewer import Viewer

DECISION = "0198c0de-0000-7000-8000-000000000001"
EXPOSURE = "4f1c0de0-7a5e-8bad-a111-0123456789ab"


async def viewer_of(request: Request) -> Viewer:
    """A visitor with the session that a header names; a new one when it names none."""
    if request.headers.get("authorization") == "Bearer forged":
        raise Unauthenticated("the token is not valid, sign in again")
    session = request.headers.get("x-session")
    return Viewer(subject="visitor:1", session=session or "new", fresh_session=session is None)


def rate(per_session: int = 10**6, per_address: int = 10**6, clock: Clock | None = None) -> EventRate:
    return EventRate(
        per_session=per_session,
        per_address=per_address,
        clock=clock or SystemClock(),
        registry=CollectorRegistry(),
    )


async def read(hub: Hub, topic: str) -> list[StoredEvent]:
    """All that is in a topic."""
    async with hub.consumer("checking", [topic]) as consumer:
        events: list[StoredEvent] = []
        while batch := await consumer.poll_batch(500, 0):
            events.extend(batch)
    return events


async def read_file(path: Path, topic: str) -> list[StoredEvent]:
    """The same of a hub's file, which other processes may have open."""
    hub = SqliteHub(HubFile(path), SystemClock(), lambda: "reader")
    try:
        return await read(hub, topic)
    finally:
        await hub.aclose()


async def stored(parts: Personalization) -> list[Outcome]:
    return [decode_outcome(each.event.value) for each in await read(parts.hub, OUTCOMES)]


async def exposed(parts: Personalization) -> list[ExposureEvent]:
    return [decode_exposure_event(each.event.value) for each in await read(parts.hub, EXPOSURE_EVENTS)]


def check_problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert (problem["status"], problem["code"]) == (status, code)
    return problem
