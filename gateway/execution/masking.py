"""What a client may know of an error, and what only the log may."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from graphql import GraphQLError
from opentelemetry import trace

from gateway.errors import INTERNAL, RequestError, kind_of
from personalization.errors import PersonaError

BAD_USER_INPUT = "BAD_USER_INPUT"

_log = structlog.get_logger(__name__)

FormattedErrors = list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is only errors: the statuses for `application/graphql-response+json` and `application/json`."""

    status: int
    legacy_status: int
    code: str
    errors: FormattedErrors
    headers: Mapping[str, str]


class Telling:
    """Makes the errors of one answer fit for the client; `code` is the first one's (`OK` before), `count` how many."""

    __slots__ = ("code", "count")

    def __init__(self) -> None:
        self.code = "OK"
        self.count = 0

    def errors(self, errors: Sequence[GraphQLError]) -> FormattedErrors:
        """What `formatted_errors` makes of errors of fields."""
        return self._noted(formatted_errors(errors))

    def failure(self, error: Exception) -> FormattedErrors:
        """What `refusal` makes of an error that ends the answer."""
        return self._noted(refusal(error).errors)

    def _noted(self, told: FormattedErrors) -> FormattedErrors:
        if told and not self.count:
            self.code = code_of(told[0])
        self.count += len(told)
        return told


def code_of(told: Mapping[str, object]) -> str:
    """The `extensions.code` of an error that was made fit for a client."""
    extensions = told["extensions"]
    return str(extensions["code"]) if isinstance(extensions, dict) else INTERNAL.code


def formatted_errors(errors: Sequence[GraphQLError]) -> FormattedErrors:
    """Errors of fields, each with `extensions.code`.

    Our own errors show their message. So do errors that graphql-core finds in what the client sent. Every other one
    becomes one sentence and the trace id, and goes to the log: once for each kind of error at each field of an answer.
    """
    trace_id = current_trace_id()
    told: FormattedErrors = []
    logged: set[tuple[object, ...]] = set()
    for error in errors:
        cause = _cause(error)
        extensions = _told(error, cause)
        if extensions is not None:
            told.append({**error.formatted, "extensions": extensions})
            continue
        place = (type(cause), *(key for key in error.path or () if isinstance(key, str)))
        if place not in logged:
            logged.add(place)
            _log.error("field_failed", path=error.path, trace_id=trace_id, exc_info=cause)
        told.append({**error.formatted, **_masked(trace_id)})
    return told


def refusal(error: Exception) -> Refusal:
    """The answer to a request that failed as a whole; what nobody foresaw goes to the log."""
    if isinstance(error, RequestError):
        return Refusal(error.status, error.legacy_status, error.code, error.formatted(), error.headers)
    if _may_be_told(error):
        kind = kind_of(type(error))
        told: FormattedErrors = [{"message": str(error), "extensions": {"code": kind.code}}]
        return Refusal(kind.status, kind.status, kind.code, told, {})
    trace_id = current_trace_id()
    _log.error("request_failed", trace_id=trace_id, exc_info=error)
    return Refusal(INTERNAL.status, INTERNAL.status, INTERNAL.code, [_masked(trace_id)], {})


def current_trace_id() -> str:
    """The running trace's id, or a fresh one of the same shape when nothing is traced."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else secrets.token_hex(16)


def _cause(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _told(error: GraphQLError, cause: Exception) -> dict[str, object] | None:
    extensions = dict(error.extensions or {})
    if _may_be_told(cause):
        details = cause.details if isinstance(cause, RequestError) else {}
        return {**extensions, **details, "code": kind_of(type(cause)).code}
    if isinstance(cause, GraphQLError) and (cause.nodes or "code" in extensions):
        # graphql-core gives nodes to what it finds in the document, and none to what a resolver's value did not fit
        return {"code": BAD_USER_INPUT, **extensions}
    return None


def _may_be_told(error: Exception) -> bool:
    return isinstance(error, PersonaError) and kind_of(type(error)) is not INTERNAL


def _masked(trace_id: str) -> dict[str, object]:
    return {
        "message": f"Something went wrong here that is not your doing; tell the operators the trace id {trace_id}.",
        "extensions": {"code": INTERNAL.code, "traceId": trace_id},
    }
