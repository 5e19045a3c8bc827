"""The two ways to an answer: the short one for visitors who came before, the ordinary one for everybody else."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import cycle, islice

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
    limits = httpx.Limits(max_connections=connections)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as opened:
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
