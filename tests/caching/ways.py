"""The two ways to an answer: the short one for visitors who came before, the ordinary one for everybody else."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import cycle, islice
from typing import Any

import httpcore
import httpx

from gateway.visitor import COOKIE

ANYBODY = {"query": "{ segment(context: {}) { persona } }"}


class Way(Enum):
    """Which way is open to a client. The short one is still left where something has to be made."""

    ORDINARY = "ordinary"
    SHORT = "short"


def by_turns(count: int) -> list[Way]:
    """So many clients, every other one of them a visitor who came before."""
    return list(islice(cycle(Way), count))


@asynccontextmanager
async def client(url: str, way: Way, connections: int = 1) -> AsyncIterator[httpx.AsyncClient]:
    """A browser with a visitor's cookie, which is renewed whenever it is due, or a program without one."""
    transport = httpx.AsyncHTTPTransport()
    transport._pool = httpcore.AsyncConnectionPool(max_connections=connections, network_backend=_Network())
    async with httpx.AsyncClient(base_url=url, timeout=60, transport=transport) as opened:
        if way is Way.SHORT:
            await opened.post("/graphql", json=ANYBODY)
            assert COOKIE in opened.cookies
        yield opened


@dataclass(frozen=True, slots=True)
class Answered:
    """How many answers a gateway has given each way."""

    short: float
    ordinary: float


async def answered(url: str) -> Answered:
    """What the gateway's metrics say of it."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as asking:
        text = (await asking.get("/metrics")).text
    short = _sum(r"gateway_short_answers_total(?:\{.*\})?", text)
    return Answered(short, _sum(r"gateway_graphql_answers_total\{.*\}", text) - short)


def _sum(series: str, text: str) -> float:
    return sum(map(float, re.findall(rf"^{series} ([0-9.e+]+)$", text, re.MULTILINE)))


class _Network(httpcore.AsyncNetworkBackend):
    """TCP, for requests in one piece."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        network = httpcore.AnyIOBackend()
        return _InOnePiece(await network.connect_tcp(host, port, timeout, local_address, socket_options))


class _InOnePiece(httpcore.AsyncNetworkStream):
    """Sends head and body of a request together, as browsers do: for a body that comes later, the short way is left."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._written = b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._written += buffer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._written:
            written, self._written = self._written, b""
            await self._stream.write(written, timeout)
        return await self._stream.read(max_bytes, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
