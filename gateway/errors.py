"""Errors of the HTTP layer, and the one table from every error of this project to its code and HTTP status.

`docs/errors.md` says of each code what it means and what to do about it; a test holds the page and the table together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType

from graphql import GraphQLError

from flags.errors import (
    DefinitionsUnreadable,
    FlagsError,
    InvalidDefinition,
    InvalidPreview,
    InvalidSubject,
    StickyUnavailable,
    UnknownFlag,
)
from personalization.classification.errors import ClosingError
from personalization.errors import (
    DeadlineExceeded,
    GroupMismatch,
    HubUnavailable,
    InvalidDistribution,
    InvalidEvent,
    InvalidFeature,
    JournalFull,
    ModelError,
    NotEnoughRows,
    PartitionLost,
    PersonaError,
    StorefrontFailed,
    UnknownDecision,
)
from personalization.join.rules_file import InvalidRules
from personalization.lake.errors import LakeError
from personalization.segmentation.errors import SegmentationError
from resolvers.errors import (
    ForbiddenContext,
    InvalidArgument,
    InvalidCursor,
    NotRenewed,
    SourceError,
    SourceRefused,
    SourceUnavailable,
    Unauthenticated,
    UndeclaredRead,
    UnknownBasket,
    UnknownCategory,
    UnknownProduct,
)


class StartRefused(PersonaError):
    """The gateway will not start: which setting or file is wrong, and what to do about it."""


class RequestError(PersonaError):
    """A request that is refused before anything is executed; its answer has `errors` and no `data`.

    The message may be shown to the client. Every error of the answer gets the class's code and `details` as extensions.
    """

    def __init__(
        self,
        message: str,
        *,
        errors: Sequence[GraphQLError] = (),
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.errors: Sequence[GraphQLError] = tuple(errors) or (GraphQLError(message),)
        self.details: Mapping[str, object] = details or {}
        self.headers: Mapping[str, str] = headers or {}

    @property
    def code(self) -> str:
        """What `extensions.code` says."""
        return kind_of(type(self)).code

    @property
    def status(self) -> int:
        """The HTTP status under `application/graphql-response+json`."""
        return kind_of(type(self)).status

    @property
    def legacy_status(self) -> int:
        """The HTTP status under `application/json`, where well-formed requests get 200 whatever comes of them."""
        kind = kind_of(type(self))
        return 200 if kind.well_formed else kind.status

    def formatted(self) -> list[dict[str, object]]:
        """The `errors` of the answer."""
        extensions = {"code": self.code, **self.details}
        return [
            {**error.formatted, "extensions": {**(error.extensions or {}), **extensions}}  # the code is ours to say
            for error in self.errors
        ]


class BadRequest(RequestError):
    """The request is not JSON, or is no GraphQL request: which part, what was received."""


class BatchRefused(RequestError):
    """An array of requests; one request holds one operation here."""


class MethodNotAllowed(RequestError):
    """A method other than GET and POST, or a mutation by GET."""

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message, headers={"Allow": allow})


class NotAcceptable(RequestError):
    """The `Accept` header names no media type that can be answered with."""


class UnsupportedMediaType(RequestError):
    """The body's media type, charset or content coding cannot be read."""


class PayloadTooLarge(RequestError):
    """The body is longer than `max_body_bytes`; the connection is closed rather than read to the end."""

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Connection": "close"})


class UriTooLong(RequestError):
    """The query string is longer than `max_body_bytes`."""


class RequestIncomplete(RequestError):
    """The body did not arrive within `request_timeout_ms`."""


class CsrfRefused(RequestError):
    """A request that any web page can make a browser send, without the header that proves otherwise."""


class InvalidToken(RequestError):
    """A bearer token that is malformed, forged, expired or meant for somebody else."""

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class RightNeeded(RequestError):
    """The viewer is known and has no right to this; the message names the right."""


class TokenKeysUnavailable(RequestError):
    """The keys that tokens are checked with were never reached; trying again later may help."""


class RateLimited(RequestError):
    """More events than one session may send in this time; `retry_after` are the seconds until they are taken."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message, headers={"Retry-After": str(ceil(retry_after))})


class TooManyStreams(RequestError):
    """As many streams of notices are open as may be; the client may poll instead."""

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Retry-After": "5"})


class RequestTimeout(RequestError):
    """The request took longer than `request_timeout_ms`; its work was cancelled."""


class GraphQLSyntaxError(RequestError):
    """The document does not parse; the error has the location."""


class GraphQLValidationFailed(RequestError):
    """The document does not fit the schema; one error for each finding, with locations."""


class IntrospectionDisabled(RequestError):
    """Clients may not ask for the schema here."""


class UnknownOperation(RequestError):
    """The document has no operation of that name, or several and none was named."""


class UnprocessableVariables(RequestError):
    """The variables do not fit the operation's definitions; one error for each finding, with locations."""


class PersistedQueryNotFound(RequestError):
    """The hash of a persisted query is not known (yet): send it again together with the document."""


class PersistedQueryNotSupported(RequestError):
    """Automatic persisted queries are switched off."""


class PersistedQueryMismatch(RequestError):
    """The document's SHA-256 is not the hash that was sent with it."""


class UntrustedDocument(RequestError):
    """Only documents of the manifest are executed, and this one is not in it."""


class LimitExceeded(RequestError):
    """An operation is over a limit: its name, what was received and what is allowed."""

    def __init__(self, limit: str, received: int, allowed: int, *, errors: Sequence[GraphQLError] = ()) -> None:
        message = f"the operation's {limit} is {received}, at most {allowed} is allowed"
        details = {"limit": limit, "received": received, "allowed": allowed}
        super().__init__(message, errors=errors, details=details)


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """How an error is told: `extensions.code`, and the HTTP status where the error is the whole answer.

    An error of a single field leaves the status at 200. `well_formed` marks failures of requests that were
    well-formed GraphQL over HTTP: they get 200 under the legacy media type `application/json`.
    """

    code: str
    status: int
    well_formed: bool = False


INTERNAL = ErrorKind("INTERNAL_SERVER_ERROR", 500)

ERROR_KINDS: Mapping[type[PersonaError], ErrorKind] = MappingProxyType(
    {
        BadRequest: ErrorKind("BAD_REQUEST", 400),
        BatchRefused: ErrorKind("BATCHING_NOT_SUPPORTED", 422),
        MethodNotAllowed: ErrorKind("METHOD_NOT_ALLOWED", 405),
        NotAcceptable: ErrorKind("NOT_ACCEPTABLE", 406),
        UnsupportedMediaType: ErrorKind("UNSUPPORTED_MEDIA_TYPE", 415),
        PayloadTooLarge: ErrorKind("PAYLOAD_TOO_LARGE", 413),
        UriTooLong: ErrorKind("URI_TOO_LONG", 414),
        RequestIncomplete: ErrorKind("REQUEST_INCOMPLETE", 408),
        CsrfRefused: ErrorKind("CSRF_REFUSED", 403),
        InvalidToken: ErrorKind("INVALID_TOKEN", 401),
        RightNeeded: ErrorKind("FORBIDDEN", 403),
        TokenKeysUnavailable: ErrorKind("TOKEN_KEYS_UNAVAILABLE", 503),
        RateLimited: ErrorKind("RATE_LIMITED", 429),
        TooManyStreams: ErrorKind("OVERLOADED", 503),
        RequestTimeout: ErrorKind("REQUEST_TIMEOUT", 504),
        GraphQLSyntaxError: ErrorKind("GRAPHQL_PARSE_FAILED", 400, well_formed=True),
        GraphQLValidationFailed: ErrorKind("GRAPHQL_VALIDATION_FAILED", 400, well_formed=True),
        IntrospectionDisabled: ErrorKind("INTROSPECTION_DISABLED", 403, well_formed=True),
        UnknownOperation: ErrorKind("OPERATION_RESOLUTION_FAILURE", 422, well_formed=True),
        UnprocessableVariables: ErrorKind("BAD_USER_INPUT", 400, well_formed=True),
        PersistedQueryNotFound: ErrorKind("PERSISTED_QUERY_NOT_FOUND", 404, well_formed=True),
        PersistedQueryNotSupported: ErrorKind("PERSISTED_QUERY_NOT_SUPPORTED", 400, well_formed=True),
        PersistedQueryMismatch: ErrorKind("PERSISTED_QUERY_MISMATCH", 400, well_formed=True),
        UntrustedDocument: ErrorKind("UNTRUSTED_DOCUMENT", 403, well_formed=True),
        LimitExceeded: ErrorKind("LIMIT_EXCEEDED", 422, well_formed=True),
        ForbiddenContext: ErrorKind("FORBIDDEN_CONTEXT", 403),
        Unauthenticated: ErrorKind("UNAUTHENTICATED", 401),
        InvalidArgument: ErrorKind("BAD_USER_INPUT", 400),
        InvalidCursor: ErrorKind("INVALID_CURSOR", 400),
        UnknownProduct: ErrorKind("NOT_FOUND", 404),
        UnknownCategory: ErrorKind("NOT_FOUND", 404),
        UnknownBasket: ErrorKind("NOT_FOUND", 404),
        SourceRefused: ErrorKind("REFUSED_BY_SHOP", 409),
        SourceUnavailable: ErrorKind("UPSTREAM_UNAVAILABLE", 503),
        SourceError: ErrorKind("UPSTREAM_FAILED", 502),
        DeadlineExceeded: ErrorKind("DEADLINE_EXCEEDED", 504),
        InvalidEvent: ErrorKind("INVALID_EVENT", 400),
        HubUnavailable: ErrorKind("HUB_UNAVAILABLE", 503),
        JournalFull: ErrorKind("OVERLOADED", 503),
        InvalidDistribution: ErrorKind("DECISION_FAILED", 500),
        InvalidSubject: ErrorKind("BAD_USER_INPUT", 400),
        InvalidPreview: ErrorKind("INVALID_PREVIEW", 400),
        UnknownFlag: ErrorKind("FLAG_NOT_FOUND", 404),
        FlagsError: ErrorKind("FLAGS_FAILED", 500),
        # What follows is for operators; where it reaches a client after all, it is masked.
        DefinitionsUnreadable: INTERNAL,
        InvalidDefinition: INTERNAL,
        StickyUnavailable: INTERNAL,
        PartitionLost: INTERNAL,
        UndeclaredRead: INTERNAL,
        NotRenewed: INTERNAL,
        GroupMismatch: INTERNAL,
        InvalidRules: INTERNAL,
        ClosingError: INTERNAL,
        SegmentationError: INTERNAL,
        LakeError: INTERNAL,
        StartRefused: INTERNAL,
        UnknownDecision: INTERNAL,
        InvalidFeature: INTERNAL,
        ModelError: INTERNAL,
        NotEnoughRows: INTERNAL,
        StorefrontFailed: INTERNAL,
    }
)


def kind_of(error: type[BaseException]) -> ErrorKind:
    """How an error of this class is told: its own entry or its nearest ancestor's; `INTERNAL` for all others."""
    return next((ERROR_KINDS[ancestor] for ancestor in error.__mro__ if ancestor in ERROR_KINDS), INTERNAL)
