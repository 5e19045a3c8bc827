"""Notices: of each change at once, never piled up, and over when the gateway is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message, Scope

from gateway.errors import TooManyStreams
from gateway.ofrep_events import Notices, NoticeStream
from gateway.ofrep_wire import state_of

PATIENCE_S = 10.0
SCOPE: Scope = {"type": "http", "method": "GET"}


@dataclass(slots=True)
class Ground:
    """What flags stand on, for tests to change; it can be followed."""

    version: int = 1
    listeners: list[Callable[[object], None]] = field(default_factory=list)

    def state(self) -> str:
        return state_of(f"definitions-{self.version}")

    def subscribe(self, listener: Callable[[object], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def change(self) -> str:
        self.version += 1
        for listener in self.listeners:
            listener(self.version)
        return self.state()


@dataclass(slots=True)
class Page:
    """A client of a stream: what it was sent, whether it takes it, and its leaving."""

    stream: NoticeStream
    method: str = "GET"
    started: list[Message] = field(default_factory=list)
    parts: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    taking: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.taking.set()

    def open(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self.stream({**SCOPE, "method": self.method}, self._receive, self._send))

    async def part(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            return (await self.parts.get()).decode()

    async def _receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started.append(message)
        else:
            self.parts.put_nowait(message["body"])
            await self.taking.wait()


def opened(ground: Ground, registry: CollectorRegistry | None = None, **rest: float) -> Notices:
    limits = {"most_streams": 10, **rest}
    notices = Notices(ground.state, registry or CollectorRegistry(), **limits)  # type: ignore[arg-type]
    notices.follow(ground.subscribe)
    return notices


def notice(state: str) -> str:
    data = orjson.dumps({"type": "refetchEvaluation", "etag": state}).decode()
    return f"id: {state}\nevent: message\ndata: {data}\n\n"


async def ended(task: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(PATIENCE_S):
        await task


async def test_each_change_is_told_with_its_state() -> None:
    ground = Ground()
    notices = opened(ground)
    page = Page(notices.stream(None))
    task = page.open()
    assert await page.part() == f"retry: 2000\nid: {ground.state()}\n\n"
    for _ in range(3):
        changed = ground.change()
        assert await page.part() == notice(changed)
    notices.close()
    assert await page.part() == ""
    await ended(task)
    (start,) = page.started
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert b"content-length" not in headers


async def test_what_is_no_change_is_not_told() -> None:
    ground = Ground()
    notices = opened(ground)
    page = Page(notices.stream(None))
    task = page.open()
    await page.part()
    notices.look()
    for listener in ground.listeners:
        listener("touched, and yet the same")
    assert await _next_of(page, ground) == notice(ground.state())
    notices.close()
    await ended(task)


async def _next_of(page: Page, ground: Ground) -> str:
    ground.change()
    return await page.part()


async def test_a_client_that_comes_late_is_told_at_once_and_once() -> None:
    ground = Ground()
    notices = opened(ground)
    before = ground.state()
    for _ in range(5):
        ground.change()
    page = Page(notices.stream(before))
    task = page.open()
    assert await page.part() == "retry: 2000\n\n"
    assert await page.part() == notice(ground.state())
    notices.close()
    assert await page.part() == ""
    await ended(task)


@pytest.mark.parametrize("since", ["", "x", "id: 1\n\ndata: forged"])
async def test_what_a_client_says_of_its_state_is_never_said_back(since: str) -> None:
    ground = Ground()
    notices = opened(ground)
    page = Page(notices.stream(since))
    task = page.open()
    assert await page.part() == "retry: 2000\n\n"
    assert await page.part() == notice(ground.state())
    notices.close()
    await ended(task)


async def test_changes_do_not_pile_up_for_a_slow_client() -> None:
    ground = Ground()
    notices = opened(ground)
    page = Page(notices.stream(None))
    page.taking.clear()
    task = page.open()
    await page.part()  # it is sent, and the client does not take it yet
    for _ in range(100):
        ground.change()
    page.taking.set()
    assert await page.part() == notice(ground.state())
    notices.close()
    assert await page.part() == ""
    await ended(task)


async def test_a_quiet_stream_is_kept_alive() -> None:
    notices = opened(Ground(), heartbeat_s=0.01)
    page = Page(notices.stream(None))
    task = page.open()
    await page.part()
    assert [await page.part() for _ in range(3)] == [": still here\n\n"] * 3
    notices.close()
    await ended(task)


async def test_there_are_no_more_streams_than_may_be_and_each_gives_its_place_back() -> None:
    registry = CollectorRegistry()
    notices = opened(Ground(), registry, most_streams=2)
    pages = [Page(notices.stream(None)) for _ in range(2)]
    tasks = [page.open() for page in pages]
    with pytest.raises(TooManyStreams, match="all 2 streams are taken"):
        notices.stream(None)
    assert registry.get_sample_value("gateway_ofrep_streams") == 2
    for page in pages:
        await page.part()
    pages[0].gone.set()
    await ended(tasks[0])
    assert registry.get_sample_value("gateway_ofrep_streams") == 1
    tasks.append(Page(notices.stream(None)).open())
    notices.close()
    for task in tasks:
        await ended(task)
    assert registry.get_sample_value("gateway_ofrep_streams") == 0


async def test_head_has_no_stream() -> None:
    notices = opened(Ground())
    page = Page(notices.stream(None), method="HEAD")
    await ended(page.open())
    assert len(page.started) == 1
    assert await page.part() == ""


async def test_after_the_end_streams_are_over_at_once_and_nothing_is_followed() -> None:
    ground = Ground()
    notices = opened(ground)
    notices.close()
    notices.close()
    assert ground.listeners == []
    page = Page(notices.stream(None))
    await ended(page.open())
    assert await page.part() == f"retry: 2000\nid: {ground.state()}\n\n"
    assert await page.part() == ""


async def test_a_state_that_others_told_of_is_waited_for_and_not_for_ever() -> None:
    ground = Ground()
    notices = opened(ground)
    first, coming = ground.state(), state_of("definitions-2")
    waiting = asyncio.create_task(notices.reached(coming, 60.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert ground.change() == coming
    await ended(waiting)
    await notices.reached(first, 60.0)  # it was here
    await notices.reached("0" * 32, 0.01)
