"""The short way: a visitor who came before asks what was asked before, and all of it is kept or at hand.

Who asks is found by the bytes of the headers, what is asked by the bytes of the body, and the answer is put together
without a request object, a task, a timer or an executor, for there is nothing to wait for and so nothing to cut short.
Whatever needs more (a newcomer, a token, a preview, a trace that is recorded, a value that has to be made) goes the
ordinary way, from the beginning, and is answered the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cachetools import LRUCache
from opentelemetry.trace import get_current_span
from starlette.requests import HTTPConnection
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.answer import Answer
from gateway.at_hand import NotAtHand, at_hand
from gateway.audience import COOKIE as AUDIENCE_COOKIE
from gateway.endpoint import EXPLAIN, GraphQLEndpoint
from gateway.errors import RequestError
from gateway.execution.engine import Engine
from gateway.execution.kept import encode
from gateway.incoming import check_content, headers_of
from gateway.negotiation import Accepted, accepted
from gateway.previews import COOKIE as PREVIEW_COOKIE
from gateway.previews import HEADER as PREVIEW_HEADER
from gateway.visits import Visits
from personalization.errors import JournalFull
from resolvers.context import EffectiveContext
from resolvers.viewer import Audience, Viewer
from resolvers.visit import Visit

CALLERS = 2_000
"""How many are remembered, 2 kB of headers and contexts each; a cookie is renewed, and so another, every minute."""

LONGEST = 4_096
"""Longer headers are not remembered."""

# Other for each request and of no consequence: a recorded trace does not come this way, a known body has a length.
_OF_THE_REQUEST = frozenset({b"traceparent", b"tracestate", b"content-length"})

MOST_PIECES = 8
"""Bodies in more pieces are read the ordinary way, which counts their bytes."""

_Pairs = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Caller:
    """Who sends these headers, until when that is so, their audience cookie, and which contexts were theirs.

    `classified` is the classifier by which the contexts have their segments.
    """

    viewer: Viewer
    accepted: Accepted
    until: datetime
    audience: str | None = None
    contexts: dict[object, EffectiveContext] = field(default_factory=dict)
    classified: object = None
    told: tuple[EffectiveContext | None, bytes] = (None, b"")


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer in bytes."""

    body: bytes
    cache_control: str
    age: int


class Shortcut:
    """Answers what needs no waiting, by this engine."""

    def __init__(self, endpoint: GraphQLEndpoint, engine: Engine, visits: Visits) -> None:
        self._endpoint = endpoint
        self.engine = engine
        self._visits = visits
        self._callers: LRUCache[_Pairs, Caller] = LRUCache(CALLERS)

    def caller(self, scope: Scope) -> Caller | None:
        """Who sends this, where the short way is open to them."""
        if get_current_span().is_recording():
            return None
        pairs = tuple((name, value) for name, value in scope["headers"] if name not in _OF_THE_REQUEST)
        known = self._callers.get(pairs)
        now = self._visits.clock.now()
        if known is not None and now < known.until:
            return known
        made = self._made(scope, now)
        if made is not None and sum(len(name) + len(value) for name, value in pairs) <= LONGEST:
            self._callers[pairs] = made
        return made

    def answer(self, caller: Caller, messages: Sequence[Message]) -> Whole | None:
        """The answer to a body, if it is whole and came before; None where the ordinary way is needed."""
        if not messages or messages[-1]["type"] != "http.request" or messages[-1].get("more_body", False):
            return None
        pieces = [message.get("body", b"") for message in messages]
        asked = self._endpoint.known(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if asked is None:
            return None
        visit, greeted = self._visit(caller)
        try:
            found = self.engine.at_once(asked.ready, visit)
            if found is None or self._is_greeted(caller, greeted) or not self._recorded(visit):
                return None
            body = b"".join((b'{"data":', found.data, self._told(caller, visit), b"}"))
        finally:
            visit.cancel()
        cache_control = asked.operation.cache_control
        age = self.engine.age_of(found.cells) if "max-age" in cache_control else 0
        self._visits.viewers.came_again()
        self._endpoint.answered()
        return Whole(body, cache_control, age)

    def _made(self, scope: Scope, now: datetime) -> Caller | None:
        headers = headers_of(scope)
        if "cookie" not in headers or EXPLAIN in headers or PREVIEW_HEADER in headers:
            return None
        connection = HTTPConnection(scope)
        returning = self._visits.viewers.returning(connection)
        if returning is None or PREVIEW_COOKIE in connection.cookies or not _is_read(headers):
            return None
        takes = accepted(headers.get("accept"))
        if takes.whole is None:
            return None
        viewer, until = returning
        return Caller(viewer, takes, min(until, _next_month(now)), connection.cookies.get(AUDIENCE_COOKIE))

    def _visit(self, caller: Caller) -> tuple[Visit, Sequence[Audience]]:
        """A visit that holds its decisions, and where to find of which audience its viewer turns out to be."""
        greeted: list[Audience] = []
        if caller.classified is not self._visits.segments.current:
            caller.classified = self._visits.segments.current
            caller.contexts = {}
        if self._visits.audiences is None:
            visit = self._visits.of(caller.viewer, known=caller.contexts)
        else:
            visit = self._visits.of(caller.viewer)
            visit.contexts.greet = greeted.append
        visit.held = []
        return visit, greeted

    def _is_greeted(self, caller: Caller, greeted: Sequence[Audience]) -> bool:
        """Whether the answer has to carry an audience cookie."""
        audiences = self._visits.audiences
        return audiences is not None and any(audiences.token(each) != caller.audience for each in greeted)

    def _recorded(self, visit: Visit) -> bool:
        """Whether the decisions in the answer could be recorded, and are."""
        held, visit.held = visit.held or (), None
        try:
            for decision in held:
                visit.record(decision)
        except JournalFull:
            return False
        return True

    def _told(self, caller: Caller, visit: Visit) -> bytes:
        """The `extensions` of the answer."""
        used = visit.contexts.used
        if not used:
            return b""
        if used[0] is not caller.told[0]:
            caller.told = (used[0], b',"extensions":' + encode(visit.extensions()))
        return caller.told[1]


class ShortWay:
    """ASGI middleware: answers what the shortcut can at one route, and hands on all else as it came."""

    def __init__(self, app: ASGIApp, route: Route, shortcut: Callable[[], Shortcut | None]) -> None:
        self._app = app
        self._route = route
        self._shortcut = shortcut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shortcut = self._shortcut() if self._is_meant(scope) else None
        caller = shortcut.caller(scope) if shortcut is not None else None
        if shortcut is None or caller is None:
            await self._app(scope, receive, send)
            return
        messages = _at_hand(receive)
        whole = shortcut.answer(caller, messages)
        if whole is None:
            await self._app(scope, _again(messages, receive), send)
            return
        scope["route"] = self._route
        answer = Answer(send)
        answer.accepted = caller.accepted
        await answer.whole(whole.body, whole.cache_control, whole.age)

    def _is_meant(self, scope: Scope) -> bool:
        meant = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == self._route.path
        return meant and not scope.get("root_path")


def _at_hand(receive: Receive) -> list[Message]:
    """What has been received of a body, without waiting for more of it."""
    messages: list[Message] = []
    try:
        while not messages or (messages[-1].get("more_body", False) and len(messages) < MOST_PIECES):
            messages.append(at_hand(receive()))
    except NotAtHand:
        pass
    return messages


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Receives messages that were taken already, then all others."""
    taken = iter(messages)

    async def again() -> Message:
        message = next(taken, None)
        return message if message is not None else await receive()

    return again


def _is_read(headers: Mapping[str, str]) -> bool:
    try:
        check_content(headers)
    except RequestError:
        return False
    return True


def _next_month(now: datetime) -> datetime:
    """When the season may be another one."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
