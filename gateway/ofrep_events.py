"""GET /ofrep/v1/events: tells clients of flags that there is something new to fetch, by server-sent events.

After ADR 0008 of the protocol. A notice says no more than that; what is new is in the bulk answer. Notices do not pile
up: whoever is slow, or was away, is told once of the state there is then.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.errors import TooManyStreams
from gateway.incoming import ClientGone, Hangup

HEARTBEAT_S = 15.0
RETRY_MS = 2000
REMEMBERED = 64

Subscribe = Callable[[Callable[[object], None]], Callable[[], None]]
"""How something that changes is followed: it calls back on the loop after each change, until the answer is called."""


class Notices:
    """Keeps the streams of one process, and wakes them when what flags stand on is another than before.

    `state` gives its name at the moment. `close` ends every stream, and each that begins later.
    """

    def __init__(
        self,
        state: Callable[[], str],
        registry: CollectorRegistry,
        *,
        most_streams: int,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._state_now = state
        self._state = state()
        self._seen = deque([self._state], maxlen=REMEMBERED)
        self._changed = asyncio.Event()
        self._closed = False
        self._open = 0
        self._most_streams = most_streams
        self._heartbeat_s = heartbeat_s
        self._unsubscribe: list[Callable[[], None]] = []
        self._streams = Gauge(
            "gateway_ofrep_streams", "Streams of notices that are open.", registry=registry, multiprocess_mode="livesum"
        )
        self._notices = Counter("gateway_ofrep_notices", "Notices written to streams.", registry=registry)

    def follow(self, subscribe: Subscribe) -> None:
        """Look at the state after each change of this, until `close`."""
        self._unsubscribe.append(subscribe(self.look))

    def look(self, _changed: object = None) -> None:
        """Look at the state, and tell the streams if it is another."""
        state = self._state_now()
        if state != self._state:
            self._state = state
            self._seen.append(state)
            self._wake()

    def close(self) -> None:
        """End all streams; safe to call twice."""
        self._closed = True
        while self._unsubscribe:
            self._unsubscribe.pop()()
        self._wake()

    async def reached(self, state: str, within_s: float) -> None:
        """Return once this process is at a state, or was; at the latest after `within_s` seconds.

        Clients that were told of a state by one process may ask another, which learns of it a little later.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while state not in self._seen:
                    await self._changed.wait()

    def stream(self, since: str | None) -> "NoticeStream":
        """The response that tells of each state from now on, and at once if `since`, the client's last, is not this.

        Raises:
            TooManyStreams: as many as may be are open.
        """
        if self._open >= self._most_streams:
            raise TooManyStreams(f"all {self._most_streams} streams are taken; poll, or try again later")
        self._open += 1
        self._streams.inc()
        return NoticeStream(self._events(self._state if since is None else since), self._ended)

    async def _events(self, told: str) -> AsyncGenerator[bytes, None]:
        # An id alone is no event, but what the client sends back as `Last-Event-ID` when it comes again.
        known = f"id: {told}\n" if told == self._state else ""
        yield f"retry: {RETRY_MS}\n{known}\n".encode()
        while not self._closed:
            if told != self._state:
                told = self._state
                self._notices.inc()
                yield _notice(told)
                continue
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    await self._changed.wait()
            except TimeoutError:
                yield b": still here\n\n"

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _ended(self) -> None:
        self._open -= 1
        self._streams.dec()


class NoticeStream(Response):
    """A `text/event-stream` that lasts until its events end or its client leaves. To be answered with at once."""

    def __init__(self, events: AsyncGenerator[bytes, None], ended: Callable[[], None]) -> None:
        super().__init__(
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"},
        )
        del self.headers["content-length"]
        self._events = events
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events as they come."""
        try:
            with suppress(ClientGone):
                async with Hangup(receive) as hangup:
                    await self._send(send, only_headers=scope["method"] == "HEAD")
                    hangup.release()
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._ended()
            await self._events.aclose()

    async def _send(self, send: Send, *, only_headers: bool) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if only_headers:
            return
        async for event in self._events:
            await send({"type": "http.response.body", "body": event, "more_body": True})


def _notice(state: str) -> bytes:
    data = orjson.dumps({"type": "refetchEvaluation", "etag": state}).decode()
    return f"id: {state}\nevent: message\ndata: {data}\n\n".encode()
