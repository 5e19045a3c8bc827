"""Calls over HTTP to the E-Commerce API: pooled, traced, counted, within the visit's deadline.

The only importer of httpx.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
import tenacity
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry

from personalization.clock import Clock, Deadline
from personalization.errors import DeadlineExceeded, PersonaError
from resolvers.errors import SourceRefused, SourceUnavailable
from resolvers.sources.circuit import Circuit
from resolvers.sources.problems import parse_problem
from resolvers.sources.upstream_metrics import UpstreamMetrics

JSON = Any
DEADLINE_HEADER = "X-Deadline-Ms"
MAX_RESPONSE_BYTES = 8 * 1024 * 1024

# Below the keep-alive of common servers (uvicorn's is 5 s), so that a connection is not taken up as it is being closed.
_KEEPALIVE_S = 4.0
_RETRIED_STATUSES = frozenset({429, 502, 503, 504})
# A call given up this share of the timeout after it began says something about the upstream, not only about the caller.
_SLOW_SHARE = 0.25
_backoff = tenacity.wait_random_exponential(multiplier=0.05, max=1.0)


class UpstreamRefusal(SourceRefused):
    """A 4xx answer of no problem type we know. `status` is the HTTP status, `answer` the parsed body, or None."""

    def __init__(self, operation: str, status: int, answer: JSON) -> None:
        super().__init__(f"the shop refused {operation} with status {status}")
        self.status = status
        self.answer = answer


class UpstreamNotFound(UpstreamRefusal):
    """The answer was a 404 of no problem type we know; callers for whom that means "none" catch it."""


class TransientFailure(SourceUnavailable):
    """This attempt failed, the next may not. `retry_after` is how many seconds the upstream asks to wait first."""

    def __init__(self, message: str, *, retry_after: float = 0.0, counts: bool = True) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.counts = counts


class AnswerTooLarge(SourceUnavailable):
    """The answer is larger than we are ready to hold."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What is asked, ready to be sent any number of times."""

    operation: str
    method: str
    target: str
    content: bytes | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back, read whole."""

    status: int
    retry_after: str | None
    body: bytes


class UpstreamClient:
    """One upstream and the connections to it. Made once for a process, used by any number of visits at once.

    Every call takes the time it may need from what is left of the visit's deadline, and at most `timeout` seconds an
    attempt; the upstream is told in the header `X-Deadline-Ms`. W3C trace context goes with every call. Cookies are
    neither kept nor sent, redirects are not followed, answers are read up to `max_response_bytes`, and `base_url` is
    reached directly, past any proxy the environment names.

    Raises:
        DeadlineExceeded: the visit's deadline passed, before the call or while it waited.
        SourceUnavailable: no connection, no answer within `timeout`, a 5xx, a 429, a redirect, an answer that is not
            JSON or too large, or the circuit is open, which is told at once.
        SourceRefused: a 4xx. A problem+json of a type in `problems.py` becomes that class (`UnknownCategory`,
            `InvalidCursor`, ...), a 404 without one `UpstreamNotFound`, and any other `UpstreamRefusal`. Also text
            that cannot be put into a request (a lone surrogate, an address too long).
    """

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        tracer: Tracer,
        registry: CollectorRegistry,
        timeout: float,
        connections: int,
        retries: int,
        breaker_threshold: int,
        breaker_recovery: float,
        transport: httpx.AsyncBaseTransport | None = None,
        auth: tuple[str, str] | None = None,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        self._clock = clock
        self._tracer = tracer
        self._timeout = timeout
        self._attempts = 1 + retries
        self._max_bytes = max_response_bytes
        self._metrics = UpstreamMetrics(registry, clock)
        self._circuit = Circuit(breaker_threshold, breaker_recovery, clock, self._metrics.circuit_turned)
        self._propagator = TraceContextTextMapPropagator()
        url = _address(base_url)
        self._base = str(url).rstrip("/")
        self._server: dict[str, str | int] = {"server.address": url.host, "server.port": _port(url)}
        self._http = _connect(connections, transport, auth)

    async def read(
        self,
        operation: str,
        path: str,
        deadline: Deadline,
        *,
        params: Mapping[str, str | Sequence[str]] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> JSON:
        """The parsed answer of a GET, or of a POST when there is a `body` (which must then change nothing there).

        `operation` is a name of few values, for spans and metrics. `path` is relative to the base address and must hold
        no raw ids; `params` repeat a name for each value of a sequence. Retried, with jittered exponential backoff and
        the upstream's `Retry-After`, when the connection or the answer's time failed and on 429, 502, 503 and 504, as
        long as the deadline has room for it. None for an empty 204.
        """
        method = "GET" if body is None else "POST"
        call = _prepare(operation, method, path, params=params, body=body, headers=headers)
        return await self._observed(call, deadline, self._attempts)

    async def write(
        self,
        operation: str,
        method: str,
        path: str,
        deadline: Deadline,
        *,
        body: object,
        headers: Mapping[str, str] | None = None,
    ) -> JSON:
        """The parsed answer of a call that changes something: sent once, never again. None for an empty 204."""
        call = _prepare(operation, method, path, params=None, body=body, headers=headers)
        return await self._observed(call, deadline, attempts=1)

    async def aclose(self) -> None:
        """Close the connections; calls after that raise `SourceUnavailable`. Safe to call twice."""
        await self._http.aclose()

    async def _observed(self, call: _Call, deadline: Deadline, attempts: int) -> JSON:
        with (
            self._metrics.measured(call.operation),
            self._tracer.start_as_current_span(
                f"upstream {call.operation}",
                kind=SpanKind.CLIENT,
                # No url.full: addresses carry ids and search terms.
                attributes={"http.request.method": call.method, **self._server},
                record_exception=False,
                set_status_on_exception=False,
            ) as span,
        ):
            try:
                return await self._persistent(call, deadline, attempts, span)
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    async def _persistent(self, call: _Call, deadline: Deadline, attempts: int, span: Span) -> JSON:
        if attempts == 1:
            return await self._attempt(call, deadline, span)
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(TransientFailure),
            wait=_wait,
            stop=lambda state: state.attempt_number >= attempts or state.upcoming_sleep >= deadline.remaining(),
            before_sleep=lambda state: self._retried(call, state.attempt_number, span),
            reraise=True,
        )
        return await retrying(self._attempt, call, deadline, span)

    def _retried(self, call: _Call, number: int, span: Span) -> None:
        self._metrics.retries.labels(call.operation).inc()
        span.set_attribute("http.request.resend_count", number)

    async def _attempt(self, call: _Call, deadline: Deadline, span: Span) -> JSON:
        left = deadline.check(f"upstream {call.operation}")
        if self._http.is_closed:
            raise SourceUnavailable("the connection to the shop was closed")
        ticket, began = self._circuit.admit(), self._clock.monotonic()
        try:
            answer = await self._exchange(call, left)
            span.set_attribute("http.response.status_code", answer.status)
            value = _value(call, answer, is_last_word=left <= self._timeout)
        except BaseException as error:
            self._settle(ticket, error, self._clock.monotonic() - began)
            raise
        self._circuit.succeeded(ticket)
        return value

    def _settle(self, ticket: int, error: BaseException, waited: float) -> None:
        match error:
            case DeadlineExceeded() | asyncio.CancelledError():
                told = self._circuit.failed if waited >= self._timeout * _SLOW_SHARE else self._circuit.abandoned
            case TransientFailure(counts=False):
                told = self._circuit.succeeded
            case SourceUnavailable() if not isinstance(error, AnswerTooLarge):
                told = self._circuit.failed
            case PersonaError():
                told = self._circuit.succeeded
            case _:
                told = self._circuit.abandoned
        told(ticket)

    async def _exchange(self, call: _Call, left: float) -> _Answer:
        seconds = min(left, self._timeout)
        try:
            async with asyncio.timeout(seconds):
                return await self._sent(call, seconds)
        except TimeoutError as error:
            if left <= self._timeout:
                raise DeadlineExceeded(f"the shop did not answer {call.operation} in the time left") from error
            raise TransientFailure(f"the shop did not answer {call.operation} in {self._timeout:g} s") from error
        except (httpx.LocalProtocolError, httpx.InvalidURL, UnicodeEncodeError) as error:
            raise SourceRefused(f"{call.operation} was given text that no request can carry") from error
        except httpx.HTTPError as error:
            raise TransientFailure(f"the connection to the shop failed in {call.operation}") from error

    async def _sent(self, call: _Call, seconds: float) -> _Answer:
        headers = {**call.headers, DEADLINE_HEADER: str(max(1, int(seconds * 1000)))}
        self._propagator.inject(headers)
        request = self._http.build_request(call.method, self._base + call.target, content=call.content, headers=headers)
        response = await self._http.send(request, stream=True)
        try:
            body = await self._bounded(call, response)
            return _Answer(response.status_code, response.headers.get("retry-after"), body)
        finally:
            await response.aclose()

    async def _bounded(self, call: _Call, response: httpx.Response) -> bytes:
        chunks, size = [], 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > self._max_bytes:
                raise AnswerTooLarge(f"the answer to {call.operation} is larger than {self._max_bytes} bytes")
            chunks.append(chunk)
        return b"".join(chunks)


def _address(base_url: str) -> httpx.URL:
    """The base address. Raises `SourceUnavailable` for one that is none."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise SourceUnavailable("the address of the shop is not a URL") from error
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise SourceUnavailable("the address of the shop must be http(s)://host, with a port and a path if need be")
    return url


def _connect(
    connections: int, transport: httpx.AsyncBaseTransport | None, auth: tuple[str, str] | None
) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        auth=auth,
        transport=transport,
        verify=ssl.create_default_context(),
        trust_env=False,
        # One pool serves all visits: a cookie kept from one would be sent for another.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=None,  # noqa: S113 - each attempt runs under one timeout over all its phases
        limits=httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_KEEPALIVE_S
        ),
        # Compressed answers could unfold to any size.
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "persona-gateway"},
    )


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _prepare(
    operation: str,
    method: str,
    path: str,
    *,
    params: Mapping[str, str | Sequence[str]] | None,
    body: object,
    headers: Mapping[str, str] | None,
) -> _Call:
    try:
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        content = None if body is None else orjson.dumps(body)
    except (UnicodeEncodeError, orjson.JSONEncodeError) as error:
        raise SourceRefused(f"{operation} was given text that no request can carry") from error
    kind = {} if content is None else {"Content-Type": "application/json"}
    return _Call(operation, method, f"/{path.lstrip('/')}{query}", content, {**kind, **(headers or {})})


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, TransientFailure) else 0.0
    return max(asked, _backoff(state))


def _value(call: _Call, answer: _Answer, *, is_last_word: bool) -> JSON:
    """The answer's value, or the error it stands for. `is_last_word`: no time is left after a passed deadline."""
    status = answer.status
    if 200 <= status < 300:
        return None if status == 204 and not answer.body else _parsed(call, answer.body)
    if status < 400:
        raise SourceUnavailable(f"the shop redirected {call.operation}, which breaks the contract")
    error = parse_problem(answer.body)
    if isinstance(error, DeadlineExceeded) and is_last_word:
        raise error
    if status in _RETRIED_STATUSES:
        raise TransientFailure(
            f"the shop answered {call.operation} with status {status}",
            retry_after=_seconds(answer.retry_after),
            counts=status != 429,
        )
    if status >= 500:
        raise SourceUnavailable(f"the shop failed in {call.operation} with status {status}")
    if error is not None:
        raise error
    raise (UpstreamNotFound if status == 404 else UpstreamRefusal)(call.operation, status, _lenient(answer.body))


def _parsed(call: _Call, body: bytes) -> JSON:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise SourceUnavailable(f"the shop answered {call.operation} with something that is not JSON") from error


def _lenient(body: bytes) -> JSON:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _seconds(retry_after: str | None) -> float:
    """Seconds of a `Retry-After` header; its other form, a date, is not worth the trouble."""
    return float(retry_after) if retry_after is not None and retry_after.isascii() and retry_after.isdigit() else 0.0
