"""The OpenFeature Remote Evaluation Protocol: any OpenFeature client can ask flags here, with the rights of its viewer.

POST /ofrep/v1/evaluate/flags/{key}   one flag
POST /ofrep/v1/evaluate/flags         all flags
GET  /ofrep/v1/events                 notices of change           gateway/ofrep_events.py
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson
import structlog
from openfeature.exception import ErrorCode
from opentelemetry.trace import Span, Tracer
from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flags.errors import UnknownFlag
from flags.layers import Answer, Ask
from flags.personalized import FlagAnswers
from flags.provider import DEFINITIONS
from flags.subject import Subject
from gateway.errors import BadRequest, RequestIncomplete, UnsupportedMediaType
from gateway.exchange import too_late
from gateway.execution.masking import refusal
from gateway.incoming import ClientGone, check_content, headers_of, read_body
from gateway.ofrep_events import Notices
from gateway.ofrep_subject import Claim, Resolved, TargetingKeyMissing, read_claim, resolve
from gateway.ofrep_wire import EVENTS_PATH, FALLBACK, bulk, etag_of, failed, matches, reason, told
from gateway.settings import Settings
from gateway.visits import Visits
from resolvers.errors import ForbiddenContext, InvalidArgument
from resolvers.fallbacks import CALLERS_FAULT
from resolvers.visit import Visit

OK = "OK"
NOT_MODIFIED = "NOT_MODIFIED"
EVALUATION_FAILED = "EVALUATION_FAILED"
INACTIVITY_S = 120
CATCH_UP_S = 1.0
"""Longest a process waits for a state that another has told of: by then a saved file is in use everywhere."""

_STATE = re.compile(r"[0-9a-f]{32}")
_HEADERS: Mapping[str, str] = MappingProxyType(
    {"Cache-Control": "no-store", "Vary": "Authorization, Cookie", "X-Content-Type-Options": "nosniff"}
)
_NO_NOTE: Mapping[str, object] = MappingProxyType({})
_CODES: Mapping[type[BaseException], ErrorCode] = MappingProxyType(
    {
        UnknownFlag: ErrorCode.FLAG_NOT_FOUND,
        TargetingKeyMissing: ErrorCode.TARGETING_KEY_MISSING,
        InvalidArgument: ErrorCode.INVALID_CONTEXT,
        ForbiddenContext: ErrorCode.INVALID_CONTEXT,
        BadRequest: ErrorCode.PARSE_ERROR,
        UnsupportedMediaType: ErrorCode.PARSE_ERROR,
    }
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was read, resolved and answered: of whom, over what, with which answers."""

    subject: Subject
    definitions: str
    policy: str
    answers: list[Answer]
    note: Mapping[str, object]


class Ofrep:
    """The endpoints. What a flag is comes from `answers`, over the definitions that the visit sees."""

    def __init__(
        self,
        *,
        visits: Visits,
        answers: FlagAnswers,
        notices: Notices,
        settings: Settings,
        tracer: Tracer,
        registry: CollectorRegistry,
    ) -> None:
        self._visits = visits
        self._answers = answers
        self._notices = notices
        self._timeout_s = settings.request_timeout_ms / 1000
        self._max_body_bytes = settings.max_body_bytes
        self._tracer = tracer
        self._outcomes = Counter(
            "gateway_ofrep_answers",
            "Answers to clients of flags, by what was asked and the code of the answer.",
            ("operation", "code"),
            registry=registry,
        )

    async def flag(self, request: Request) -> Response:
        """One flag."""
        key = str(request.path_params["key"])
        with self._tracer.start_as_current_span("ofrep flag") as span:
            return await self._answered("flag", lambda: self._flag(request, key, span), key)

    async def flags(self, request: Request) -> Response:
        """All flags, or 304 where the client has these very answers."""
        with self._tracer.start_as_current_span("ofrep flags") as span:
            return await self._answered("flags", lambda: self._flags(request, span))

    async def events(self, request: Request) -> Response:
        """The stream of notices. It tells nothing of anybody, so only a token that is wrong keeps one out."""
        return await self._answered("events", lambda: self._events(request))

    async def _answered(
        self, operation: str, work: Callable[[], Awaitable[tuple[Response, str]]], key: str | None = None
    ) -> Response:
        """What `work` gives, or the answer that its error becomes; counted by its code."""
        code = "CANCELLED"
        try:
            response, code = await work()
        except ClientGone:
            code = "CLIENT_GONE"
            _log.info("client_gone", answered=False)
            response = Response(status_code=400)  # nobody will read it
        except Exception as error:
            response, code = _refused(error, key)
        finally:
            self._outcomes.labels(operation, code).inc()
        return response

    async def _flag(self, request: Request, key: str, span: Span) -> tuple[Response, str]:
        asked = await self._ask(request, [key])
        answer = asked.answers[0]
        evaluation = answer.evaluation
        if evaluation.error_code is ErrorCode.FLAG_NOT_FOUND:
            raise UnknownFlag(f"no definition names the flag {key[:100]!r}")
        span.set_attribute("feature_flag.key", evaluation.key)
        span.set_attribute("feature_flag.result.reason", reason(answer).lower())
        span.set_attribute("feature_flag.result.variant", evaluation.variant or "")
        span.set_attribute("gateway.decided_by", evaluation.decided_by.value)
        body = orjson.dumps(told(answer, {DEFINITIONS: asked.definitions, **asked.note}))
        return (_json(400, body), EVALUATION_FAILED) if failed(answer) else (_json(200, body), OK)

    async def _flags(self, request: Request, span: Span) -> tuple[Response, str]:
        known = request.query_params.get("flagConfigEtag", "").strip('"')
        if _STATE.fullmatch(known):
            await self._notices.reached(known, CATCH_UP_S)
        asked = await self._ask(request, None)
        span.set_attribute("gateway.flags", len(asked.answers))
        span.set_attribute("gateway.flags.failed", sum(map(failed, asked.answers)))
        flags = [told(answer, asked.note) for answer in asked.answers]
        etag = etag_of(asked.subject, asked.definitions, asked.policy, flags)
        if matches(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers={**_HEADERS, "ETag": etag}), NOT_MODIFIED
        body = bulk(flags, asked.definitions, asked.policy, asked.note, INACTIVITY_S)
        return _json(200, body, {"ETag": etag}), OK

    async def _events(self, request: Request) -> tuple[Response, str]:
        if "authorization" in request.headers:
            await self._visits.viewers.viewer(request)
        since = request.headers.get("last-event-id") or request.query_params.get("since")
        return self._notices.stream(since), OK

    async def _ask(self, request: Request, keys: list[str] | None) -> Asked:
        """Read the request, then answer it within a visit, all of it within the time a request may take."""
        claim: Claim | None = None
        patience = asyncio.timeout(self._timeout_s)
        try:
            async with patience:
                claim = await self._read(request)
                async with self._visits.open(request) as visit:
                    return await self._evaluate(visit, claim, keys)
        except TimeoutError as error:
            if not patience.expired():
                raise
            if claim is None:
                raise RequestIncomplete(f"the body did not arrive within {self._timeout_s:g} s") from error
            raise too_late() from error

    async def _read(self, request: Request) -> Claim:
        headers = headers_of(request.scope)
        check_content(headers)
        body = await read_body(request.receive, headers, self._max_body_bytes)
        try:
            given = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"the body is not JSON in UTF-8: {error.msg}" if body else "the body is empty") from error
        if not isinstance(given, dict):
            raise BadRequest("the body must be a JSON object with a `context`")
        return read_claim(given.get("context"))

    async def _evaluate(self, visit: Visit, claim: Claim, keys: list[str] | None) -> Asked:
        resolved, note = await _resolved(visit, claim)
        # Before the answers: whatever changes while they are found is told on the stream that they name.
        policy = self._answers.policy_version
        ask = Ask(
            subject=resolved.subject,
            session=visit.viewer.session,
            supports=resolved.supports,
            overrides=visit.preview.variants if visit.preview is not None else {},
            deadline=visit.personal_deadline,
            trace_id=visit.trace_id,
        )
        flags = visit.flags.flags
        answers = await self._answers.answer(flags, keys, ask)
        return Asked(resolved.subject, flags.version, policy, answers, note)


def ofrep_routes(ofrep: Callable[[], Ofrep]) -> list[Route]:
    """The three routes; `ofrep` gives the endpoints once they are open."""

    async def flag(request: Request) -> Response:
        return await ofrep().flag(request)

    async def flags(request: Request) -> Response:
        return await ofrep().flags(request)

    async def events(request: Request) -> Response:
        return await ofrep().events(request)

    one = Route("/ofrep/v1/evaluate/flags/{key:path}", flag, methods=["POST"])
    # A key with a line break names no flag, and is told so in the protocol's words.
    one.path_regex = re.compile(one.path_regex.pattern, re.DOTALL)
    return [
        Route("/ofrep/v1/evaluate/flags", flags, methods=["POST"]),
        one,
        Route(EVENTS_PATH, events, methods=["GET"]),
    ]


async def _resolved(visit: Visit, claim: Claim) -> tuple[Resolved, Mapping[str, object]]:
    """Who is asked for; the public default, with a note of it, where something fails that is not the caller's fault."""
    try:
        return await resolve(claim, visit.viewer, visit.contexts), _NO_NOTE
    except CALLERS_FAULT:
        raise
    except Exception as error:
        visit.fallbacks.because("ofrep", error)
        return Resolved(Subject()), FALLBACK


def _refused(error: Exception, key: str | None) -> tuple[Response, str]:
    """The error in the protocol's words; `code` has ours."""
    refused = refusal(error)
    named = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), ErrorCode.GENERAL)
    members = {
        **({"key": key} if key is not None else {}),
        "errorCode": named.value,
        "errorDetails": refused.errors[0]["message"],
        "code": refused.code,
    }
    return _json(refused.status, orjson.dumps(members), refused.headers), refused.code


def _json(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, {**_HEADERS, **(headers or {})}, "application/json")
