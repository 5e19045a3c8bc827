"""The short way: a visitor who came before asks what was asked before, and nothing of it has to be waited for.

Who asks is found by the bytes of the headers, what is asked by the bytes of the body, or in it; what is left is planned
for all visitors of their kind (gateway/execution/answer_plan.py). The answer is put together below Starlette, without a
request object, a task, a timer or an executor: but for the body, which browsers send a moment after its head, there is
nothing to wait for and so nothing to cut short.
Whatever needs more (a newcomer, a token, a preview, a trace that is recorded, a value that has to be read) goes the
ordinary way, from the beginning, and is answered the same.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from cachetools import FIFOCache, LRUCache
from opentelemetry.trace import SpanContext
from starlette.requests import HTTPConnection
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.answer import Answer
from gateway.at_hand import NotAtHand, at_hand
from gateway.audience import COOKIE as AUDIENCE_COOKIE
from gateway.endpoint import EXPLAIN, GraphQLEndpoint
from gateway.errors import RequestError
from gateway.execution.answer_plan import AnswerPlan, AtOnce
from gateway.execution.engine import Engine, Ready
from gateway.incoming import check_content, headers_of
from gateway.negotiation import Accepted, accepted
from gateway.previews import COOKIE as PREVIEW_COOKIE
from gateway.previews import HEADER as PREVIEW_HEADER
from gateway.request_tracing import Tracing
from gateway.requests import LONGEST as LONGEST_KNOWN
from gateway.traced_answer import trace_headers
from gateway.visits import Visits
from personalization.errors import JournalFull
from resolvers.plans import Turn
from resolvers.viewer import Audience, Viewer

CALLERS = 2_000
"""How many are remembered, 2 kB of headers each; a cookie is renewed, and so another, every minute."""

LONGEST = 4_096
"""Longer headers are not remembered."""

PLANS = 1_000
"""So many are remembered, an operation for a kind of visitors each: 15 kB, besides what is in the cache."""

# Other for each request and of no consequence: a recorded trace does not come this way, a known body has a length.
_OF_THE_REQUEST = frozenset({b"traceparent", b"tracestate", b"content-length"})

BEHIND_S = 0.05
"""Browsers often send a head and its body one after the other; a body is waited for so long."""

MOST_PIECES = 8
"""Bodies in more pieces are read the ordinary way, which counts their bytes."""

_Pairs = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and the audience cookie that those for whom it is must have; None where they need none."""

    plan: AnswerPlan
    audience: str | None


Kind = tuple[str | None, str | None, str | None]
"""Persona, region and device: who has them in common is told the same, but for what is drawn and what is their own."""


@dataclass(slots=True)
class Caller:
    """Who sends these headers, until when that is so, of which kind they are, and their audience cookie.

    `heads` are the headers of their answers by `Cache-Control`: before and after what differs each time. `keys` are
    those of what is kept for them alone.
    """

    viewer: Viewer
    accepted: Accepted
    until: datetime
    kind: Kind
    audience: str | None
    scope: Scope
    heads: dict[str, "Head"] = field(default_factory=dict)
    keys: dict[Any, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """Headers of an answer, before and after its age and its length."""

    before: Sequence[tuple[bytes, bytes]]
    after: Sequence[tuple[bytes, bytes]]


@dataclass(slots=True)
class Whole:
    """An answer in bytes."""

    body: bytes
    cache_control: str
    age: int


class Shortcut:
    """Answers what needs no waiting, by this engine."""

    def __init__(self, endpoint: GraphQLEndpoint, engine: Engine, visits: Visits) -> None:
        self._endpoint = endpoint
        self._engine = engine
        self._visits = visits
        self._decisions = visits.personalization.decisions
        self._callers: FIFOCache[_Pairs, Caller] = FIFOCache(CALLERS)
        self._plans: LRUCache[tuple[Kind, Ready], Planned] = LRUCache(PLANS)
        self._classified: object = None
        self._until = datetime.min.replace(tzinfo=UTC)
        self._served: list[tuple[AnswerPlan, Turn]] = []

    def caller(self, scope: Scope) -> Caller | None:
        """Who sends this, where the short way is open to them."""
        pairs = tuple([pair for pair in scope["headers"] if pair[0] not in _OF_THE_REQUEST])
        now = self._visits.clock.now()
        self._see(now)
        try:  # a third of what `get` of cachetools takes
            known = self._callers[pairs]
        except KeyError:
            known = None
        if known is not None and now < known.until:
            return known
        made = self._made(scope, pairs)
        if made is not None and sum(len(name) + len(value) for name, value in pairs) <= LONGEST:
            self._callers[pairs] = made
        return made

    def answer(self, caller: Caller, messages: Sequence[Message], span: SpanContext) -> Whole | None:
        """The answer to a body, if it is whole and came before; None where the ordinary way is needed."""
        if not messages or messages[-1]["type"] != "http.request" or messages[-1].get("more_body", False):
            return None
        body = messages[0]["body"] if len(messages) == 1 else b"".join(each.get("body", b"") for each in messages)
        asked = self._endpoint.known(body)
        planned = self._planned(caller, asked.ready) if asked is not None else None
        if asked is None or planned is None or (planned.audience and planned.audience != caller.audience):
            return None
        viewer = caller.viewer
        turn = Turn(viewer.subject, viewer.session, span, f"{span.trace_id:032x}", caller.keys)
        try:
            found = planned.plan.answer(turn)
        except Exception:  # the ordinary way does it again and says what is wrong
            return None
        if found is None or not self._recorded(found, span):
            return None
        self._count(planned.plan, turn)
        cache_control = asked.operation.cache_control
        age = self._engine.age_of(found.cells) if "max-age" in cache_control else 0
        return Whole(found.body, cache_control, age)

    def _made(self, scope: Scope, pairs: _Pairs) -> Caller | None:
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
        sent = {**scope, "headers": list(pairs)}
        audience = connection.cookies.get(AUDIENCE_COOKIE)
        return Caller(viewer, takes, until, _kind_of(viewer), audience, sent)

    def _planned(self, caller: Caller, ready: Ready) -> Planned | None:
        """What is planned for visitors like this one, unless more has been learned."""
        try:
            planned = self._plans[(caller.kind, ready)]
        except KeyError:
            planned = None
        if planned is None or not planned.plan.is_good:
            planned = self._plan(caller.viewer, ready)
            if planned is not None:
                self._plans[(caller.kind, ready)] = planned
        return planned

    def _see(self, now: datetime) -> None:
        """Forget all plans when customers are classified otherwise, or another season may have begun."""
        current = self._visits.segments.current
        if self._classified is not current or now >= self._until:
            self._plans.clear()
            self._classified, self._until = current, _next_month(now)

    def _plan(self, viewer: Viewer, ready: Ready) -> Planned | None:
        greeted: list[Audience] = []
        visit, audiences = self._visits.of(viewer), self._visits.audiences
        if audiences is not None:
            visit.contexts.greet = greeted.append
        plan = self._engine.plan(ready, visit)
        if plan is None:
            return None
        return Planned(plan, audiences.token(greeted[0]) if audiences is not None and greeted else None)

    def _recorded(self, found: AtOnce, span: SpanContext) -> bool:
        """Whether the decisions in the answer could be recorded, and are."""
        try:
            for drawn in found.decided:
                self._decisions.journal(drawn, span)
        except JournalFull:
            return False
        return True

    def _count(self, plan: AnswerPlan, turn: Turn) -> None:
        """Note an answer; what is left to do, and the metrics, follow for all of a turn of the loop when it ends."""
        if not self._served:
            asyncio.get_running_loop().call_soon(self._settle)
        self._served.append((plan, turn))

    def _settle(self) -> None:
        served, self._served = self._served, []
        self._visits.viewers.came_again(len(served))
        self._endpoint.answered(len(served))
        for plan in {plan for plan, _ in served}:
            plan.settle()
        for _, turn in served:
            for drawn in turn.decided:
                self._decisions.count(drawn.chance)
            for do in turn.left:
                do()


class ShortWay:
    """ASGI middleware: answers what the shortcut can at one route, and hands on all else as it came.

    `outermost` is around all other answers of that route, and gives ours the headers that it gives those.
    """

    def __init__(
        self,
        app: ASGIApp,
        route: Route,
        tracing: Tracing,
        shortcut: Callable[[], Shortcut | None],
        outermost: Callable[[ASGIApp], ASGIApp],
    ) -> None:
        self._app = app
        self._path = route.path
        self._tracing = tracing
        self._shortcut = shortcut
        self._outermost = outermost
        self._answered: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shortcut = self._shortcut() if self._is_meant(scope) else None
        caller = shortcut.caller(scope) if shortcut is not None else None
        if shortcut is None or caller is None:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        span = self._tracing.begin(scope)
        messages = _at_hand(receive)
        if _is_on_its_way(messages) and _is_short(scope):
            await _wait_for_more(messages, receive)
        whole = None if span.is_recording() else shortcut.answer(caller, messages, span.get_span_context())
        if whole is None:
            await self._app(scope, _again(messages, receive), send)
            return
        headers = self._headers(caller, whole, span.get_span_context())
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": whole.body})
        self._note(perf_counter() - started)

    def _note(self, seconds: float) -> None:
        """Note an answer; it is counted and logged with all others of this turn of the loop."""
        if not self._answered:
            asyncio.get_running_loop().call_soon(self._tell)
        self._answered.append(seconds)

    def _tell(self) -> None:
        answered, self._answered = self._answered, []
        self._tracing.metrics.all_answered(self._path, "POST", 200, answered)

    def _is_meant(self, scope: Scope) -> bool:
        meant = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == self._path
        return meant and not scope.get("root_path")

    def _headers(self, caller: Caller, whole: Whole, span: SpanContext) -> list[tuple[bytes, bytes]]:
        head = caller.heads.get(whole.cache_control)
        if head is None:
            head = caller.heads[whole.cache_control] = self._head(caller, whole.cache_control)
        age = ((b"age", b"%d" % whole.age),) if whole.age else ()
        length = (b"content-length", b"%d" % len(whole.body))
        return [*head.before, *age, length, *head.after, *trace_headers(span)]

    def _head(self, caller: Caller, cache_control: str) -> Head:
        """The headers that the ordinary way gives such an answer, by having it give an empty one."""
        sent: list[Message] = []

        async def empty(_scope: Scope, _receive: Receive, send: Send) -> None:
            answer = Answer(send)
            answer.accepted = caller.accepted
            await answer.whole(b"", cache_control)

        async def send(message: Message) -> None:
            sent.append(message)

        at_hand(self._outermost(empty)(caller.scope, _nothing, send))
        headers: list[tuple[bytes, bytes]] = sent[0]["headers"]
        place = next(number for number, (name, _) in enumerate(headers) if name == b"content-length")
        return Head(headers[:place], headers[place + 1 :])


async def _nothing() -> Message:
    raise NotAtHand


def _at_hand(receive: Receive) -> list[Message]:
    """What has been received of a body, without waiting for more of it."""
    messages: list[Message] = []
    try:
        while _is_on_its_way(messages):
            messages.append(at_hand(receive()))
    except NotAtHand:
        pass
    return messages


def _is_on_its_way(messages: Sequence[Message]) -> bool:
    """Whether more of a body is to come, and not in more pieces than are read here."""
    return not messages or (messages[-1].get("more_body", False) and len(messages) < MOST_PIECES)


def _is_short(scope: Scope) -> bool:
    """Whether a body says how long it is, and is no longer than those that are known."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return len(lengths) == 1 and lengths[0].isdigit() and int(lengths[0]) <= LONGEST_KNOWN


async def _wait_for_more(messages: list[Message], receive: Receive) -> None:
    """Wait a moment for a body that comes behind its head; the ordinary way waits longer, and says what is missing."""
    try:
        async with asyncio.timeout(BEHIND_S):
            while _is_on_its_way(messages):
                messages.append(await receive())
    except TimeoutError:
        return


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Receives messages that were taken already, then all others."""
    taken = iter(messages)

    async def again() -> Message:
        message = next(taken, None)
        return message if message is not None else await receive()

    return again


def _kind_of(viewer: Viewer) -> Kind:
    persona, device = viewer.persona, viewer.device
    return persona.value if persona else None, viewer.region, device.value if device else None


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
