"""Errors as they cross the wire (RFC 9457 problem details): one table, read by the server and by the client."""

from dataclasses import dataclass
from typing import Any

import orjson

from personalization.errors import DeadlineExceeded, PersonaError
from resolvers.errors import (
    InvalidArgument,
    InvalidCursor,
    SourceRefused,
    SourceUnavailable,
    UnknownBasket,
    UnknownCategory,
    UnknownProduct,
)

MEDIA_TYPE = "application/problem+json"
_PREFIX = "urn:persona-gateway:problem:"
_LONGEST_DETAIL = 500


class InvalidRequest(SourceRefused):
    """A request is not of the shape its route takes: which member, what is wrong with it."""


class RequestTooLarge(SourceRefused):
    """A request has more bytes than a route takes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of error: its name on the wire, its HTTP status, a sentence for people, and the class it stands for.

    `error` is None where the caller learns no more from it than from the status.
    """

    name: str
    status: int
    title: str
    error: type[PersonaError] | None = None

    @property
    def type(self) -> str:
        """The `type` member: a URN, nothing to be fetched."""
        return _PREFIX + self.name


INVALID_REQUEST = Problem("invalid-request", 400, "The request is not of the shape this route takes", InvalidRequest)
NO_SUCH_ROUTE = Problem("no-such-route", 404, "There is no such route")
METHOD_NOT_ALLOWED = Problem("method-not-allowed", 405, "This route does not take this method")
BODY_TOO_LARGE = Problem("body-too-large", 413, "The request is larger than allowed", RequestTooLarge)
INTERNAL = Problem("internal", 500, "The shop failed; its log says why")
UNKNOWN_PRODUCT = Problem("unknown-product", 404, "There is no such product", UnknownProduct)
UNKNOWN_CATEGORY = Problem("unknown-category", 404, "There is no such category", UnknownCategory)
UNKNOWN_BASKET = Problem("unknown-basket", 404, "There is no such basket of this owner", UnknownBasket)
INVALID_CURSOR = Problem("invalid-cursor", 400, "The cursor does not belong to this list", InvalidCursor)
INVALID_ARGUMENT = Problem("invalid-argument", 400, "An argument is outside its range", InvalidArgument)
REFUSED = Problem("refused", 409, "The shop refuses this request", SourceRefused)
UNAVAILABLE = Problem("unavailable", 503, "The shop cannot answer now", SourceUnavailable)
DEADLINE_EXCEEDED = Problem("deadline-exceeded", 504, "The deadline passed before the answer", DeadlineExceeded)

PROBLEMS = (
    INVALID_REQUEST,
    NO_SUCH_ROUTE,
    METHOD_NOT_ALLOWED,
    BODY_TOO_LARGE,
    INTERNAL,
    UNKNOWN_PRODUCT,
    UNKNOWN_CATEGORY,
    UNKNOWN_BASKET,
    INVALID_CURSOR,
    INVALID_ARGUMENT,
    REFUSED,
    UNAVAILABLE,
    DEADLINE_EXCEEDED,
)


def problem_of(error: PersonaError) -> Problem:
    """The kind of problem that an error of the tree is, by its nearest ancestor in the table; `INTERNAL` if none is."""
    for ancestor in type(error).__mro__:
        for problem in PROBLEMS:
            if problem.error is ancestor:
                return problem
    return INTERNAL


def encode_problem(problem: Problem, detail: str) -> bytes:
    """The body of a problem answer."""
    members = {"type": problem.type, "title": problem.title, "status": problem.status}
    try:
        return orjson.dumps({**members, "detail": detail[:_LONGEST_DETAIL]})
    except TypeError:  # a detail that quotes a lone surrogate is not UTF-8
        return orjson.dumps(members)


def parse_problem(body: bytes) -> PersonaError | None:
    """The error that a problem answer stands for, worded as the upstream worded it; None for any other answer."""
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    for problem in PROBLEMS:
        if problem.error is not None and value.get("type") == problem.type:
            detail = value.get("detail")
            return problem.error(detail[:_LONGEST_DETAIL] if isinstance(detail, str) else problem.title)
    return None
