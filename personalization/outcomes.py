"""Outcomes on their way into the hub: checked one by one, and durable before anybody is told so."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from opentelemetry.trace import SpanContext, Tracer
from prometheus_client import CollectorRegistry, Counter

from personalization.clock import Clock
from personalization.codec import encode_outcome
from personalization.errors import InvalidEvent
from personalization.events import Outcome, OutcomeKind
from personalization.hub.topics import OUTCOMES, Hub, NewEvent
from personalization.ids import Ids
from personalization.tracing import headers_of

MOST_REPORTS = 100
"""Most outcomes in one batch."""

MOST_QUANTITY = 999
LONGEST_ID = 128
"""Most characters of an id that a page made up, and of a product id."""

OLDEST = timedelta(hours=24)
"""How far a page's time may lie before the gateway's; what is older is taken as this old."""

YOUNGEST = timedelta(seconds=60)
"""How far a page's time may lie after the gateway's."""

UNKNOWN_KIND = "UNKNOWN_KIND"
INVALID_DECISION_ID = "INVALID_DECISION_ID"
INVALID_ID = "INVALID_ID"
INVALID_PRODUCT_ID = "INVALID_PRODUCT_ID"
INVALID_QUANTITY = "INVALID_QUANTITY"
INVALID_TIME = "INVALID_TIME"

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """What a page says happened. Nothing in it is trusted.

    `id` makes a repeated report of one decision a duplicate; without one every report counts. `occurred_at` is the
    page's time (aware), the gateway's when unknown.
    """

    decision_id: str
    kind: str
    id: str | None = None
    occurred_at: datetime | None = None
    product_id: str | None = None
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A report that was not taken: its place in the batch, a code for programs, a sentence for people."""

    index: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What became of a batch: `accepted` are new and durable, `duplicates` were there already."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejection, ...]


class RejectedReport(InvalidEvent):
    """One report that breaks a rule; the batch it came in goes on without it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Outcomes:
    """Takes in what viewers did, from pages and from the API alike."""

    def __init__(self, hub: Hub, *, clock: Clock, ids: Ids, tracer: Tracer, registry: CollectorRegistry) -> None:
        self._hub = hub
        self._clock = clock
        self._ids = ids
        self._tracer = tracer
        self._metrics = _OutcomeMetrics(registry)

    async def report(
        self, reports: Sequence[OutcomeReport], *, session: str | None = None, trace_id: str | None = None
    ) -> ReportResult:
        """Write the valid ones of at most 100 reports; returns after they are durable.

        `session` is the viewer's, as the gateway knows it. Whether the decision exists is not asked here: it may be
        on its way. A page's time outside of 24 hours before and 60 seconds after the gateway's is moved to that
        bound and counted; the gateway's own is kept beside it.

        Raises:
            InvalidEvent: more than 100 reports; none was taken.
            HubUnavailable: nothing was written; report again, with the same ids.
        """
        if len(reports) > MOST_REPORTS:
            raise InvalidEvent(f"at most {MOST_REPORTS} outcomes may come at once, got {len(reports)}")
        with self._tracer.start_as_current_span("outcomes") as span:
            outcomes, rejected = self._sorted_out(reports, session, trace_id)
            duplicates = await self._append(outcomes, span.get_span_context())
            result = ReportResult(len(outcomes) - duplicates, duplicates, rejected)
            span.set_attributes({"outcomes.accepted": result.accepted, "outcomes.duplicates": duplicates})
            span.set_attribute("outcomes.rejected", len(rejected))
        return result

    def _sorted_out(
        self, reports: Sequence[OutcomeReport], session: str | None, trace_id: str | None
    ) -> tuple[list[Outcome], tuple[Rejection, ...]]:
        now = self._clock.now()
        outcomes: list[Outcome] = []
        rejected: list[Rejection] = []
        for index, report in enumerate(reports):
            try:
                outcomes.append(self._outcome(report, now, session, trace_id))
            except RejectedReport as error:
                rejected.append(Rejection(index, error.code, str(error)))
                self._metrics.rejected.labels(error.code).inc()
        return outcomes, tuple(rejected)

    def _outcome(self, report: OutcomeReport, now: datetime, session: str | None, trace_id: str | None) -> Outcome:
        decision_id = checked_decision_id(report.decision_id)
        return Outcome(
            id=self._event_id(decision_id, report.id),
            decision_id=decision_id,
            kind=checked_kind(report.kind),
            occurred_at=self._bounded(checked_time(report.occurred_at), now),
            received_at=now,
            product_id=checked_name(report.product_id, INVALID_PRODUCT_ID, "product id"),
            quantity=checked_quantity(report.quantity),
            session=session,
            trace_id=trace_id,
        )

    def _event_id(self, decision_id: str, reported: str | None) -> str:
        """The page's id within its decision, so that no page can claim the ids of another's outcomes."""
        name = checked_name(reported, INVALID_ID, "id")
        if name is None:
            return self._ids()
        return blake2b(f"{decision_id}/{name}".encode(), digest_size=16).hexdigest()

    def _bounded(self, occurred_at: datetime | None, now: datetime) -> datetime:
        if occurred_at is None:
            return now
        bounded = min(max(occurred_at, now - OLDEST), now + YOUNGEST)
        if bounded != occurred_at:
            self._metrics.skewed.labels("past" if occurred_at < bounded else "future").inc()
        return bounded

    async def _append(self, outcomes: Sequence[Outcome], span: SpanContext) -> int:
        """Write them; the number of duplicates among them."""
        if not outcomes:
            return 0
        headers = headers_of(span)
        events = [NewEvent(each.id, each.decision_id, encode_outcome(each), headers) for each in outcomes]
        appended = await self._hub.append(OUTCOMES, events)
        self._metrics.count(outcomes, appended.duplicates)
        return len(appended.duplicates)


class _OutcomeMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.taken = Counter(
            "gateway_outcomes_total",
            "Outcomes that are durable, by kind: `accepted`, or `duplicate` of one that was.",
            ["kind", "result"],
            registry=registry,
        )
        self.rejected = Counter(
            "gateway_outcomes_rejected_total", "Reports that were not taken, by code.", ["code"], registry=registry
        )
        self.skewed = Counter(
            "gateway_outcomes_skewed_total",
            "Outcomes whose page time was moved into the allowed window, by where it lay.",
            ["direction"],
            registry=registry,
        )

    def count(self, outcomes: Sequence[Outcome], duplicates: Sequence[str]) -> None:
        """Count a batch that was written, of which these ids were duplicates, one entry each."""
        left = list(duplicates)
        for outcome in reversed(outcomes):  # of two alike in one batch the earlier was written
            duplicate = outcome.id in left
            if duplicate:
                left.remove(outcome.id)
            self.taken.labels(outcome.kind.value, "duplicate" if duplicate else "accepted").inc()


def checked_decision_id(value: str) -> str:
    """The id in lower case; it must look like a UUID."""
    if _UUID.fullmatch(value) is None:
        raise RejectedReport(INVALID_DECISION_ID, f"decision id {value[:64]!r} is no UUID, send back a decision's `id`")
    return value.lower()


def checked_kind(value: str) -> OutcomeKind:
    """The kind of this name."""
    if value not in OutcomeKind.__members__:
        known = ", ".join(OutcomeKind)
        raise RejectedReport(UNKNOWN_KIND, f"outcome {value[:64]!r} is not known, one of {known} is")
    return OutcomeKind(value)


def checked_name(value: str | None, code: str, what: str) -> str | None:
    """An id that somebody else made up: printable, 1 to 128 characters, or none."""
    if value is not None and not (0 < len(value) <= LONGEST_ID and value.isprintable()):
        raise RejectedReport(code, f"{what} {value[:64]!r} is not 1 to {LONGEST_ID} printable characters")
    return value


def checked_quantity(value: int | None) -> int | None:
    """A number of pieces, from 1 to 999, or none."""
    if value is not None and not 1 <= value <= MOST_QUANTITY:
        raise RejectedReport(INVALID_QUANTITY, f"quantity {value} is not within 1 and {MOST_QUANTITY}")
    return value


def checked_time(value: datetime | None) -> datetime | None:
    """The page's time in UTC, or none."""
    if value is None:
        return None
    try:
        if value.tzinfo is not None:
            return value.astimezone(UTC)
    except OverflowError:  # within a day of the first or the last year
        pass
    raise RejectedReport(INVALID_TIME, f"time {value.isoformat()!r} has no offset from UTC or lies beyond all years")
