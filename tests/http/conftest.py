"""The shop in this process, and as a server on a free port."""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from socket import AF_INET, SOCK_STREAM, socket

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from gateway.endpoint import GraphQLEndpoint
from tests.http.shop import Watch, build_endpoint


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def endpoint(watch: Watch) -> GraphQLEndpoint:
    return build_endpoint(watch)


@pytest.fixture
async def client(endpoint: GraphQLEndpoint) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(endpoint)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example/graphql") as client:
        del client.headers["accept"]
        yield client


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The address of a real server of `app`, which runs in a thread and is stopped in the end."""
    listener = socket(AF_INET, SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=2, access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def address(endpoint: GraphQLEndpoint) -> Iterator[str]:
    with serving(endpoint) as address:
        yield address
