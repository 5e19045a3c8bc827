"""What a personalized answer stands on, and the count of those that fell back to their default."""

from enum import Enum

import strawberry
import structlog
from prometheus_client import CollectorRegistry, Counter

from personalization.errors import DeadlineExceeded, JournalFull, PersonaError
from resolvers.errors import ForbiddenContext, InvalidArgument, SourceError, SourceRefused, UnknownCategory

# What the caller did wrong is told to the caller; a default in its place would be a silent other answer.
CALLERS_FAULT = (ForbiddenContext, InvalidArgument, UnknownCategory)

_log = structlog.get_logger()


@strawberry.enum(description="What a personalized answer stands on.")
class AnswerMode(Enum):
    """Default, personalized, or the default because something failed."""

    DEFAULT = strawberry.enum_value("DEFAULT", description="No context was given: the same for everyone.")
    PERSONALIZED = strawberry.enum_value("PERSONALIZED", description="The context was used.")
    FALLBACK = strawberry.enum_value("FALLBACK", description="Something failed or took too long: the default.")


_REASONS: tuple[tuple[type[PersonaError], str], ...] = (
    (DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (JournalFull, "JOURNAL_FULL"),
    (SourceRefused, "REFUSED_BY_SHOP"),
    (SourceError, "UPSTREAM_UNAVAILABLE"),
)
_UNFORESEEN = "INTERNAL_ERROR"


class Fallbacks:
    """Counts fallbacks by field and reason: one of a few words, never an error's text."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "gateway_fallbacks_total",
            "Personalized fields that gave their default because something failed.",
            ("field", "reason"),
            registry=registry,
        )

    def because(self, field: str, error: Exception) -> str:
        """Count the fallback, log what nobody foresaw, and give the reason to show."""
        reason = next((word for kind, word in _REASONS if isinstance(error, kind)), _UNFORESEEN)
        self._count.labels(field, reason).inc()
        if reason is _UNFORESEEN:
            _log.error("personalized_field_failed", field=field, exc_info=error)
        return reason
