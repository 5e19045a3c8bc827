"""GraphQL over HTTP: one request, one executed operation, one answer.

Follows the GraphQL over HTTP specification, edition of September 2026. Where the audits of `graphql-http` ask for
something else (400 instead of 422 for most requests, 200 for failed ones under `application/json`), the audits win.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog
from cachetools import LRUCache
from graphql import OperationType
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.answer import Answer
from gateway.documents import GraphQLRequest, Operation
from gateway.errors import INTERNAL, MethodNotAllowed, NotAcceptable, RequestError, RequestIncomplete
from gateway.exchange import Asked, Exchange, Visit, too_late
from gateway.execution.engine import Engine
from gateway.execution.masking import refusal
from gateway.incoming import (
    ClientGone,
    Hangup,
    check_content,
    check_origin,
    from_body,
    from_query_string,
    headers_of,
    read_body,
)
from gateway.negotiation import Accepted, accepted
from gateway.requests import KnownRequests
from gateway.settings import Settings

EXPLAIN = "graphql-cache"
"""The header that, with the value `explain` and the preview right, has the answer say what became of each value."""

_log = structlog.get_logger(__name__)


class OperationSource(Protocol):
    """Where operations come from: `gateway.documents.Documents`."""

    def operation(self, request: GraphQLRequest) -> Operation:
        """The operation a request means. Raises `RequestError`."""
        ...

    def at_hand(self, request: GraphQLRequest) -> Operation | None:
        """The operation of a request of which there is nothing to tell, where it is known; not counted."""
        ...

    def found_again(self, times: int = 1) -> None:
        """Operations were found without asking here, by the bytes of requests."""
        ...


class GraphQLEndpoint:
    """An ASGI application that answers GraphQL requests.

    `open_visit` may raise any error of our tree, such as `InvalidToken`; it becomes the answer. A GET that asks
    for nothing private is answered in the visit that `open_for_all` has for it, where it has one. `graphiql` is where
    browsers that ask for a page are sent.
    """

    def __init__(
        self,
        *,
        documents: OperationSource,
        engine: Engine,
        open_visit: Callable[[Request], AbstractAsyncContextManager[Visit]],
        open_for_all: Callable[[Request], AbstractAsyncContextManager[Visit] | None] | None = None,
        settings: Settings,
        tracer: Tracer,
        registry: CollectorRegistry,
        graphiql: str | None = None,
    ) -> None:
        self._documents = documents
        self._engine = engine
        self._open_visit = open_visit
        self._open_for_all = open_for_all
        self._timeout_s = settings.request_timeout_ms / 1000
        self._max_body_bytes = settings.max_body_bytes
        self._origins = settings.cors_origins
        self._tracer = tracer
        self._graphiql = graphiql
        self._accepted: LRUCache[str | None, Accepted] = LRUCache(256)
        self._requests = KnownRequests(settings.operation_cache_size, settings.documents_mode)
        self._answers = Counter(
            "gateway_graphql_answers",
            "GraphQL answers, by the code of their first error, or OK.",
            ("code",),
            registry=registry,
        )
        self._ok = self._answers.labels("OK")
        self._short = Counter(
            "gateway_short_answers", "GraphQL answers that were given the short way, among all.", registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; nothing is raised unless the answer breaks off in the middle."""
        answer = Answer(send)
        code = "CANCELLED"
        try:
            code = await self._respond(Request(scope, receive), answer)
        except ClientGone:
            code = "CLIENT_GONE"
            _log.info("client_gone", answered=answer.started)
        except Exception as error:
            code = INTERNAL.code
            if answer.started:
                raise  # the status is out: only the server can still show, by closing, that something is missing
            refused = refusal(error)
            code = refused.code
            await answer.refuse(refused)
        finally:
            self._answers.labels(code).inc()

    def known(self, body: bytes) -> Asked | None:
        """What a body asks for that came before, or asks for what came before with other variables."""
        return self._requests.find(body) or self._read_now(body)

    def answered(self, requests: int) -> None:
        """So many requests that came before were answered elsewhere, without errors."""
        self._documents.found_again(requests)
        self._ok.inc(requests)
        self._short.inc(requests)

    def _read_now(self, body: bytes) -> Asked | None:
        """What a body asks for, where its document is known; it is held for the ordinary way, if it goes that way."""
        if len(body) > self._max_body_bytes:
            return None
        try:
            incoming = from_body(body)
            operation = self._documents.at_hand(incoming)
            if operation is None or operation.incremental or operation.kind is not OperationType.QUERY:
                return None
            asked = Asked(operation, self._engine.ready(operation, incoming.variables, in_parts=False))
        except RequestError:  # the ordinary way says what is wrong
            return None
        self._requests.keep(body, asked)
        self._requests.hold(body, asked)
        return asked

    async def _respond(self, request: Request, answer: Answer) -> str:
        """Answer the request; the code of the first error in it, or `OK`."""
        headers = headers_of(request.scope)
        if self._is_page_visit(request, headers):
            await answer.redirect(str(self._graphiql))
            return "OK"
        answer.accepted = self._accepts(headers)
        patience = asyncio.timeout(self._timeout_s)
        exchange: Exchange | None = None
        try:
            async with patience:
                asked = await self._asked(request, headers, answer)
                explain = headers.get(EXPLAIN) == "explain"
                exchange = Exchange(
                    engine=self._engine, tracer=self._tracer, asked=asked, answer=answer, explain=explain
                )
                async with Hangup(request.receive) as hangup:
                    await exchange.run(self._opening(request, asked, answer), patience, hangup)
        except TimeoutError as error:
            if not patience.expired():
                raise
            if exchange is None:
                raise RequestIncomplete(f"the body did not arrive within {self._timeout_s:g} s") from error
            raise too_late() from error
        return exchange.code

    def _opening(self, request: Request, asked: Asked, answer: Answer) -> AbstractAsyncContextManager[Visit]:
        """The visit of who asks, or of the audience that is named where all of it gets the same."""
        shareable = request.method == "GET" and asked.operation.shared_cache_control is not None
        for_all = self._open_for_all(request) if shareable and self._open_for_all is not None else None
        answer.shared = for_all is not None
        return for_all or self._open_visit(request)

    def _is_page_visit(self, request: Request, headers: Mapping[str, str]) -> bool:
        asks = request.method == "GET" and not request.scope["query_string"]
        return asks and self._graphiql is not None and "text/html" in headers.get("accept", "")

    def _accepts(self, headers: Mapping[str, str]) -> Accepted:
        header = headers.get("accept")
        found = self._accepted.get(header)
        if found is None:
            found = self._accepted[header] = accepted(header)
        if found.whole is None and found.parts is None:
            raise NotAcceptable(
                "answers come as application/graphql-response+json, application/json, and where they are named "
                "multipart/mixed or text/event-stream"
            )
        return found

    async def _asked(self, request: Request, headers: Mapping[str, str], answer: Answer) -> Asked:
        """What is asked: for the bytes of a body that came before, what it was then."""
        if request.method == "GET":
            check_origin(headers, self._origins)
            answer.validates(headers.get("if-none-match"))
            asked = self._understood(
                from_query_string(request.scope["query_string"], self._max_body_bytes), answer.accepted
            )
            if asked.operation.kind is not OperationType.QUERY:
                raise MethodNotAllowed(f"a {asked.operation.kind.value} must be sent by POST", allow="POST")
            return asked
        if request.method != "POST":
            raise MethodNotAllowed(f"{request.method[:20]} is not understood here", allow="GET, POST")
        check_content(headers)
        body = await read_body(request.receive, headers, self._max_body_bytes)
        known = self._requests.find(body)
        if known is not None:
            self._documents.found_again()
            return known
        asked = self._understood(from_body(body), answer.accepted)
        self._requests.keep(body, asked)
        return asked

    def _understood(self, incoming: GraphQLRequest, accepts: Accepted) -> Asked:
        operation = self._documents.operation(incoming)
        ready = self._engine.ready(operation, incoming.variables, in_parts=accepts.parts is not None)
        return Asked(operation, ready)
