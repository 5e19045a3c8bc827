"""POST /events: what pages saw happen, sent by `navigator.sendBeacon`, durable before it is acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.errors import (
    BadRequest,
    PayloadTooLarge,
    RequestError,
    RequestTimeout,
    UnsupportedMediaType,
    kind_of,
)
from gateway.event_rate import EventRate
from personalization.errors import HubUnavailable, PersonaError
from personalization.events import ExposureEventKind, OutcomeKind
from personalization.outcomes import (
    INVALID_DECISION_ID,
    INVALID_DURATION,
    INVALID_EXPOSURE_ID,
    INVALID_ID,
    INVALID_PRODUCT_ID,
    INVALID_QUANTITY,
    INVALID_TIME,
    MOST_REPORTS,
    UNKNOWN_KIND,
    ExposureReport,
    OutcomeReport,
    Outcomes,
    RejectedReport,
    Rejection,
    Report,
    ReportResult,
)
from resolvers.viewer import Viewer

ViewerOf = Callable[[Request], Awaitable[Viewer]]

MOST_BYTES = 64 * 1024
"""Largest body, which is also the most that browsers queue for a beacon."""

INVALID_EVENT = "INVALID_EVENT"

_MEDIA_TYPES = frozenset({"application/json", "text/plain"})
_RETRY_AFTER = "5"

_KINDS: Mapping[str, OutcomeKind | ExposureEventKind] = MappingProxyType(
    {kind.value.lower(): kind for kind in (*OutcomeKind, *ExposureEventKind)}
)


@dataclass(frozen=True, slots=True)
class EventIntake:
    """The endpoint. `viewer_of` says whose browsing session the events belong to; `timeout` is in seconds."""

    outcomes: Outcomes
    viewer_of: ViewerOf
    rate: EventRate
    timeout: float = 10.0

    def route(self) -> Route:
        """`POST /events`."""
        return Route("/events", self.receive, methods=["POST"])

    async def receive(self, request: Request) -> Response:
        """202 and what became of each event once the good ones are durable, or problem+json."""
        return await self.answered(request, self._take)

    async def answered(self, request: Request, take: Callable[[Request], Awaitable[Response]]) -> Response:
        """What `take` answers within the time, or problem+json."""
        try:
            async with asyncio.timeout(self.timeout):
                return await take(request)
        except TimeoutError:
            return problem(RequestTimeout(f"the events were not taken within {self.timeout} seconds, send them again"))
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody will read it
        except PersonaError as error:
            return problem(error)

    async def report(self, request: Request, events: int, reports: Sequence[Report]) -> ReportResult:
        """Write down what was made of so many events of this request, in the session of its viewer.

        Raises:
            InvalidToken: the request carries a token that is not good.
            RateLimited: the viewer sends too many; nothing was written.
            HubUnavailable: not everything was written.
        """
        viewer = await self.viewer_of(request)
        self.rate.check(viewer, request.client.host if request.client else "", events)
        return await self.outcomes.report(reports, session=viewer.session)

    async def _take(self, request: Request) -> Response:
        check_media_type(request, _MEDIA_TYPES)
        events = _events(await body_of(request))
        places, reports, malformed = _read(events)
        result = await self.report(request, len(events), reports)
        refused = [Rejection(places[each.index], each.code, each.message) for each in result.rejected]
        rejected = sorted([*malformed, *refused], key=lambda each: each.index)
        return as_json(HTTPStatus.ACCEPTED, told(ReportResult(result.accepted, result.duplicates, tuple(rejected))))


def problem(error: PersonaError) -> Response:
    """The error as `application/problem+json` (RFC 9457), with the code of the one table of errors."""
    kind = kind_of(type(error))
    status = HTTPStatus(kind.status)
    members = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": str(error),
        "code": kind.code,
    }
    response = as_json(status, members, "application/problem+json")
    if isinstance(error, RequestError):
        response.headers.update(error.headers)
    if isinstance(error, HubUnavailable):
        response.headers["Retry-After"] = _RETRY_AFTER
    return response


def as_json(status: HTTPStatus, members: object, media_type: str = "application/json") -> Response:
    """An answer that nobody may keep."""
    return Response(orjson.dumps(members), status, {"Cache-Control": "no-store"}, media_type)


def told(result: ReportResult) -> dict[str, object]:
    """What became of a batch, as its answer says it."""
    rejected = [{"index": each.index, "code": each.code, "message": each.message} for each in result.rejected]
    return {"accepted": result.accepted, "duplicates": result.duplicates, "rejected": rejected}


def check_media_type(request: Request, media_types: Container[str]) -> None:
    """Raise UnsupportedMediaType unless the body is of one of these, in UTF-8."""
    content_type = request.headers.get("content-type", "")
    media_type, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media_type.strip().lower() not in media_types or charset not in {"", "charset=utf-8"}:
        raise UnsupportedMediaType(
            f"events come as application/json or text/plain, in UTF-8, not as {content_type[:64]!r}"
        )


async def body_of(request: Request) -> bytes:
    """The whole body; PayloadTooLarge as soon as it is longer than 64 KiB."""
    declared = request.headers.get("content-length", "0")
    body = bytearray()
    if declared.isdecimal() and int(declared) > MOST_BYTES:
        raise PayloadTooLarge(f"at most {MOST_BYTES} bytes of events are taken, got {declared}")
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise PayloadTooLarge(f"at most {MOST_BYTES} bytes of events are taken, got more")
    return bytes(body)


def _events(body: bytes) -> Sequence[object]:
    """The array of events in a body: the array itself, or the member `events` of an object."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    events = document.get("events") if isinstance(document, dict) else document
    if not isinstance(events, list):
        raise BadRequest('the body is neither an array of events nor {"events": [...]}')
    if len(events) > MOST_REPORTS:
        raise BadRequest(f"at most {MOST_REPORTS} events may come at once, got {len(events)}")
    return events


def _read(events: Sequence[object]) -> tuple[list[int], list[Report], list[Rejection]]:
    """The reports and their places in the batch, and what is no report at all."""
    places: list[int] = []
    reports: list[Report] = []
    malformed: list[Rejection] = []
    for index, event in enumerate(events):
        try:
            reports.append(_report(event))
            places.append(index)
        except RejectedReport as error:
            malformed.append(Rejection(index, error.code, str(error)))
    return places, reports, malformed


def _report(event: object) -> Report:
    if not isinstance(event, dict):
        raise RejectedReport(INVALID_EVENT, f"an event is an object, not {type(event).__name__}")
    kind = _kind(_text(event, "type", UNKNOWN_KIND) or "")
    return _outcome(event, kind) if isinstance(kind, OutcomeKind) else _exposure_event(event, kind)


def _outcome(event: Mapping[str, object], kind: OutcomeKind) -> OutcomeReport:
    quantity, duration = event.get("quantity"), event.get("durationS")
    if quantity is not None and type(quantity) is not int:
        raise RejectedReport(INVALID_QUANTITY, f"quantity is a whole number, not {type(quantity).__name__}")
    if duration is not None and (not isinstance(duration, int | float) or isinstance(duration, bool)):
        raise RejectedReport(INVALID_DURATION, f"durationS is a number of seconds, not {type(duration).__name__}")
    return OutcomeReport(
        decision_id=_text(event, "decisionId", INVALID_DECISION_ID) or "",
        kind=kind,
        id=_text(event, "id", INVALID_ID),
        occurred_at=_time(event.get("at")),
        product_id=_text(event, "productId", INVALID_PRODUCT_ID),
        quantity=quantity,
        duration_s=duration,
    )


def _exposure_event(event: Mapping[str, object], kind: ExposureEventKind) -> ExposureReport:
    return ExposureReport(
        exposure_id=_text(event, "exposureId", INVALID_EXPOSURE_ID) or "",
        kind=kind,
        id=_text(event, "id", INVALID_ID),
        occurred_at=_time(event.get("at")),
    )


def _text(event: Mapping[str, object], name: str, code: str) -> str | None:
    value = event.get(name)
    if value is None or isinstance(value, str):
        return value
    raise RejectedReport(code, f"{name} is a text, not {type(value).__name__}")


def _kind(name: str) -> OutcomeKind | ExposureEventKind:
    if name not in _KINDS:
        raise RejectedReport(UNKNOWN_KIND, f"type {name[:64]!r} is not known, one of {', '.join(_KINDS)} is")
    return _KINDS[name]


def _time(value: object) -> datetime | None:
    """ISO 8601 text, or milliseconds since 1970."""
    try:
        match value:
            case None:
                return None
            case str():
                return datetime.fromisoformat(value)
            case int() | float() if not isinstance(value, bool):
                return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise RejectedReport(INVALID_TIME, f"at {str(value)[:64]!r} is neither ISO 8601 nor milliseconds since 1970")
