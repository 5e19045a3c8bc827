"""How the upstream client's circuit opens and closes, against real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx
import pytest

from personalization.clock import ManualClock
from personalization.errors import DeadlineExceeded, PersonaError
from resolvers.errors import SourceUnavailable
from resolvers.sources.circuit import CircuitOpen
from resolvers.sources.upstream_client import UpstreamClient
from tests.sources.clients import Telling, connected, soon
from tests.sources.faulty_server import Behaviour, FaultyServer, answer, gibberish, hang, reset, says


@pytest.fixture
async def server() -> AsyncIterator[FaultyServer]:
    async with FaultyServer() as running:
        yield running


@pytest.fixture
def telling() -> Telling:
    return Telling()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def client(server: FaultyServer, telling: Telling, clock: ManualClock) -> AsyncIterator[UpstreamClient]:
    """A client whose circuit opens after three failures, for two seconds of a clock that the test moves."""
    async with connected(
        server.url, telling, clock=clock, retries=0, breaker_threshold=3, breaker_recovery=2.0
    ) as connection:
        yield connection


async def ask(client: UpstreamClient, clock: ManualClock, seconds: float = 20.0) -> object:
    return await client.read("products", "/products", soon(seconds, clock))


async def fail(client: UpstreamClient, clock: ManualClock, times: int) -> None:
    for _ in range(times):
        with pytest.raises(SourceUnavailable):
            await ask(client, clock)


@pytest.mark.parametrize(
    "failure",
    [answer(500), answer(503), reset, gibberish, answer(200, b"<html>"), answer(301)],
    ids=["500", "503", "reset", "gibberish", "html", "301"],
)
async def test_failures_in_a_row_open_it(
    client: UpstreamClient, server: FaultyServer, clock: ManualClock, telling: Telling, failure: Behaviour
) -> None:
    server.plays(failure)
    await fail(client, clock, 3)
    assert telling.circuit_open() == 1
    with pytest.raises(CircuitOpen):
        await ask(client, clock)
    with pytest.raises(CircuitOpen):
        await client.write("add_to_basket", "POST", "/baskets/lines", soon(20.0, clock), body={})
    assert len(server.received) == 3
    assert telling.calls("products", "circuit_open") == 1


async def test_it_closes_when_the_upstream_is_well(
    client: UpstreamClient, server: FaultyServer, clock: ManualClock, telling: Telling
) -> None:
    server.plays(answer(500))
    await fail(client, clock, 3)
    clock.ticks += 2.0
    await fail(client, clock, 1)
    with pytest.raises(CircuitOpen):
        await ask(client, clock)
    clock.ticks += 2.0
    server.plays(says("well"))
    assert await ask(client, clock) == "well"
    assert await ask(client, clock) == "well"
    assert telling.circuit_open() == 0


async def test_half_open_it_lets_one_call_through(
    client: UpstreamClient, server: FaultyServer, clock: ManualClock
) -> None:
    server.plays(answer(500))
    await fail(client, clock, 3)
    clock.ticks += 2.0
    server.plays(says("well"))
    answers = await asyncio.gather(*(ask(client, clock) for _ in range(30)), return_exceptions=True)
    assert len(server.received) == 4
    assert answers.count("well") == 1
    assert sum(isinstance(each, CircuitOpen) for each in answers) == 29


async def test_a_cancelled_probe_gives_way_to_the_next(
    client: UpstreamClient, server: FaultyServer, clock: ManualClock, telling: Telling
) -> None:
    server.plays(answer(500), answer(500), answer(500), hang, says("well"))
    await fail(client, clock, 3)
    clock.ticks += 2.0
    for _ in range(3):
        await server.arrived.acquire()
    probe = asyncio.create_task(ask(client, clock))
    await server.arrived.acquire()
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert telling.circuit_open() == 1
    assert await ask(client, clock) == "well"
    assert telling.circuit_open() == 0


@pytest.mark.parametrize("status", [400, 404, 409, 422, 429])
async def test_refusals_do_not_open_it(
    client: UpstreamClient, server: FaultyServer, clock: ManualClock, telling: Telling, status: int
) -> None:
    server.plays(answer(status))
    for _ in range(10):
        with pytest.raises(PersonaError):
            await ask(client, clock)
    assert len(server.received) == 10
    assert not telling.circuit_open()


async def test_visits_without_time_do_not_open_it(
    client: UpstreamClient, server: FaultyServer, clock: ManualClock, telling: Telling
) -> None:
    server.plays(hang)
    for _ in range(10):
        with pytest.raises(DeadlineExceeded):
            await ask(client, clock, 0.02)
    assert not telling.circuit_open()


async def test_visits_that_waited_long_for_nothing_open_it(
    client: UpstreamClient, server: FaultyServer, clock: ManualClock, telling: Telling
) -> None:
    server.plays(hang)
    for _ in range(3):
        call = asyncio.create_task(ask(client, clock))
        await server.arrived.acquire()
        clock.ticks += 6.0
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert telling.circuit_open() == 1


async def test_an_error_nobody_foresaw_gives_the_probes_place_back(telling: Telling) -> None:
    plans: list[Callable[[], httpx.Response]] = [lambda: httpx.Response(500, stream=httpx.ByteStream(b""))]

    def carry(request: httpx.Request) -> httpx.Response:
        return plans[0]()

    def fall_over() -> httpx.Response:
        raise ZeroDivisionError

    transport = httpx.MockTransport(carry)
    async with connected(
        "http://shop", telling, transport=transport, breaker_threshold=1, breaker_recovery=0.0
    ) as client:
        with pytest.raises(SourceUnavailable):
            await client.read("products", "/products", soon())
        plans[0] = fall_over
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await client.read("products", "/products", soon())
        assert telling.circuit_open() == 1
        plans[0] = lambda: httpx.Response(200, stream=httpx.ByteStream(b"1"))
        assert await client.read("products", "/products", soon()) == 1
    assert telling.calls("products", "error") == 3


async def test_retries_stop_when_it_opens(server: FaultyServer, telling: Telling) -> None:
    server.plays(answer(503))
    async with connected(server.url, telling, retries=9, breaker_threshold=2, breaker_recovery=60.0) as client:
        with pytest.raises(CircuitOpen):
            await client.read("products", "/products", soon())
    assert len(server.received) == 2


async def test_an_upstream_that_dies_in_mid_call_and_comes_back(
    client: UpstreamClient, server: FaultyServer, clock: ManualClock, telling: Telling
) -> None:
    server.plays(hang)
    calls = [asyncio.create_task(ask(client, clock)) for _ in range(3)]
    for _ in calls:
        await server.arrived.acquire()
    await server.kill()
    assert all(isinstance(e, SourceUnavailable) for e in await asyncio.gather(*calls, return_exceptions=True))
    assert telling.circuit_open() == 1
    clock.ticks += 2.0
    await fail(client, clock, 1)
    server.plays(says("back"))
    await server.start()
    with pytest.raises(CircuitOpen):
        await ask(client, clock)
    clock.ticks += 2.0
    assert await ask(client, clock) == "back"
    assert telling.circuit_open() == 0
