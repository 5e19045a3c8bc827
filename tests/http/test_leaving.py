"""Clients that leave, and requests that take too long."""

import asyncio
import socket
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from starlette.types import Message

from gateway.settings import Settings
from tests.http.shop import Watch, build_endpoint

PATIENCE_S = 20


def post(address: str, query: str, accept: str) -> socket.socket:
    """A connection over which the request is sent and nothing read."""
    parts = urlsplit(address)
    body = orjson.dumps({"query": query})
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: {accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=PATIENCE_S)
    connection.sendall(head.encode() + body)
    return connection


def first_part(connection: socket.socket) -> bytes:
    """All that comes until the first part can be read: its chunk ends with the delimiter."""
    received = b""
    while not received.endswith(b"--graphql\r\n"):
        more = connection.recv(4096)
        assert more, "the server closed the connection"
        received += more
    return received


def test_the_work_is_cancelled_when_the_client_leaves(address: str, watch: Watch) -> None:
    with post(address, "{ forever }", "application/json"):
        assert watch.started.wait(PATIENCE_S)
        assert not watch.cancelled.is_set()
    assert watch.cancelled.wait(PATIENCE_S)


def test_the_first_part_is_there_before_the_last_is_made_which_is_cancelled_when_the_client_leaves(
    address: str, watch: Watch
) -> None:
    with post(address, "{ hello ... @defer { forever } }", "multipart/mixed") as connection:
        assert b'{"data":{"hello":"hello world"}' in first_part(connection)
        assert watch.started.wait(PATIENCE_S)
        assert not watch.cancelled.is_set()
    assert watch.cancelled.wait(PATIENCE_S)


def test_requests_one_after_the_other_on_one_connection(address: str) -> None:
    with httpx.Client() as client:
        for n in range(5):
            response = client.post(f"{address}/graphql", json={"query": f'{{ hello(name: "{n}") }}'})
            assert response.json() == {"data": {"hello": f"hello {n}"}}


async def test_a_request_that_takes_too_long_is_an_error_and_its_work_is_cancelled() -> None:
    watch = Watch()
    transport = httpx.ASGITransport(build_endpoint(watch, Settings(request_timeout_ms=100)))
    async with httpx.AsyncClient(transport=transport) as client:
        response = await client.post("http://shop.example/graphql", json={"query": "{ hello forever }"})
    assert response.status_code == 504
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "REQUEST_TIMEOUT"
    assert "data" not in response.json()
    assert watch.cancelled.is_set()
    assert watch.visits_open == 0


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers}
    await build_endpoint(Watch(), Settings(request_timeout_ms=50))(scope, receive, send)
    assert sent[0]["status"] == 408
    assert orjson.loads(sent[1]["body"])["errors"][0]["extensions"]["code"] == "REQUEST_INCOMPLETE"


async def test_a_client_that_leaves_before_it_has_asked_is_not_answered() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers}
    await build_endpoint(Watch())(scope, receive, send)


async def test_a_task_cancelled_from_outside_stays_cancelled() -> None:
    watch = Watch()
    transport = httpx.ASGITransport(build_endpoint(watch))
    async with httpx.AsyncClient(transport=transport) as client:
        request = asyncio.create_task(client.post("http://shop.example/graphql", json={"query": "{ forever }"}))
        while not watch.started.is_set():  # noqa: ASYNC110 - the event belongs to threads
            await asyncio.sleep(0.001)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
    assert watch.cancelled.is_set()
