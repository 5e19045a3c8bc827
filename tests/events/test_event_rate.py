"""A session may send so many events in a minute; others are not held up by it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from gateway.collector import HITS, Ga4Collector
from gateway.errors import RateLimited
from gateway.event_rate import Buckets, EventRate
from gateway.tags import EventIntake
from personalization.assembly import Personalization
from personalization.clock import ManualClock
from resolvers.viewer import Viewer
from tests.events.parts import DECISION, check_problem, rate, stored, viewer_of

EVENT = {"type": "displayed", "decisionId": DECISION}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def bounded(
    parts: Personalization, clock: ManualClock, registry: CollectorRegistry
) -> AsyncIterator[httpx.AsyncClient]:
    """An intake of 120 events a minute for a session, and 240 for an address."""
    intake = EventIntake(parts.outcomes, viewer_of, rate(120, 240, clock))
    app = Starlette(routes=[intake.route(), *Ga4Collector(intake, registry).routes()])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def send(page: httpx.AsyncClient, events: int, session: str | None = None) -> httpx.Response:
    headers = {"content-type": "text/plain", **({"x-session": session} if session else {})}
    return await page.post("/events", content=orjson.dumps([EVENT] * events), headers=headers)


async def test_a_session_that_sends_too_much_waits_as_long_as_it_is_told(
    bounded: httpx.AsyncClient, parts: Personalization, clock: ManualClock
) -> None:
    assert (await send(bounded, 100, "a")).status_code == 202
    refused = await send(bounded, 40, "a")
    problem = check_problem(refused, 429, "RATE_LIMITED")
    assert "session" in str(problem["detail"])
    assert refused.headers["retry-after"] == "10"
    assert (await send(bounded, 40, "b")).status_code == 202
    clock.ticks += 9.9
    assert (await send(bounded, 40, "a")).status_code == 429
    clock.ticks += 0.1
    assert (await send(bounded, 40, "a")).status_code == 202
    assert len(await stored(parts)) == 180


async def test_hits_of_tags_count_with_the_rest(bounded: httpx.AsyncClient) -> None:
    assert (await send(bounded, 100, "a")).status_code == 202
    hits = "\r\n".join(["en=scroll"] * 21)
    refused = await bounded.post(HITS, content=hits, headers={"x-session": "a"})
    check_problem(refused, 429, "RATE_LIMITED")


async def test_new_sessions_are_bounded_by_their_address(bounded: httpx.AsyncClient) -> None:
    answers = [(await send(bounded, 80)).status_code for _ in range(4)]
    assert answers == [202, 202, 202, 429]
    assert (await send(bounded, 80, "a")).status_code == 202


async def test_requests_without_events_are_bounded_too(bounded: httpx.AsyncClient) -> None:
    answers = [(await send(bounded, 0, "a")).status_code for _ in range(121)]
    assert answers == [202] * 120 + [429]


async def test_a_batch_fits_into_every_bound(parts: Personalization, clock: ManualClock) -> None:
    app = Starlette(routes=[EventIntake(parts.outcomes, viewer_of, rate(1, 1, clock)).route()])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as page:
        assert (await send(page, 100, "a")).status_code == 202
        assert (await send(page, 1, "a")).status_code == 429


def test_what_is_refused_is_counted(clock: ManualClock) -> None:
    registry = CollectorRegistry()
    bound = EventRate(per_session=100, per_address=100, clock=clock, registry=registry)
    viewer = Viewer("visitor:1", "s")
    bound.check(viewer, "192.0.2.1", 100)
    with pytest.raises(RateLimited):
        bound.check(viewer, "192.0.2.1", 7)
    assert registry.get_sample_value("gateway_events_limited_total", {"of": "session"}) == 7


@given(
    per_minute=st.integers(1, 1000),
    moves=st.lists(st.tuples(st.floats(0, 90), st.integers(1, 200)), max_size=40),
)
@settings(deadline=None)
def test_no_bucket_gives_more_than_it_held_and_got(per_minute: int, moves: list[tuple[float, int]]) -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    buckets = Buckets(per_minute, clock, burst=100)
    taken = 0
    for pause, tokens in moves:
        clock.ticks += pause
        wait = buckets.take("k", tokens)
        if wait == 0:
            taken += tokens
        elif wait < 1e6:
            clock.ticks += wait * (1 + 1e-9) + 1e-9
            assert buckets.take("k", tokens) == 0
            taken += tokens
        assert taken <= max(per_minute, 100) + clock.ticks * per_minute / 60 + 1e-6


def test_what_no_bucket_holds_never_comes(clock: ManualClock) -> None:
    assert Buckets(60, clock).take("k", 61) == float("inf")


def test_memory_is_bounded(clock: ManualClock) -> None:
    buckets = Buckets(1, clock, remembered=3)
    for key in "abcd":
        assert buckets.take(key, 1) == 0
    assert buckets.take("d", 1) > 0
    assert buckets.take("a", 1) == 0  # forgotten, so full again
