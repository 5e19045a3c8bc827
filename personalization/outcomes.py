"""What pages report on its way into the hub: checked one by one, and durable before anybody is told so."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry, Counter

from personalization.clock import Clock
from personalization.codec import encode_event
from personalization.errors import InvalidEvent
from personalization.events import LONGEST_DISPLAY_S, ExposureEvent, ExposureEventKind, Outcome, OutcomeKind
from personalization.hub.topics import EXPOSURE_EVENTS, OUTCOMES, Hub, NewEvent
from personalization.ids import Ids
from personalization.tracing import headers_of

MOST_REPORTS = 100
"""Most reports in one batch."""

MOST_QUANTITY = 999
LONGEST_ID = 128
"""Most characters of an id that a page made up, and of a product id."""

OLDEST = timedelta(hours=24)
"""How far a page's time may lie before the gateway's; what is older is taken as this old."""

YOUNGEST = timedelta(seconds=60)
"""How far a page's time may lie after the gateway's."""

UNKNOWN_KIND = "UNKNOWN_KIND"
INVALID_DECISION_ID = "INVALID_DECISION_ID"
INVALID_EXPOSURE_ID = "INVALID_EXPOSURE_ID"
INVALID_ID = "INVALID_ID"
INVALID_PRODUCT_ID = "INVALID_PRODUCT_ID"
INVALID_QUANTITY = "INVALID_QUANTITY"
INVALID_DURATION = "INVALID_DURATION"
INVALID_TIME = "INVALID_TIME"

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """What a page says happened. Nothing in it is trusted.

    `id` makes a repeated report of one decision a duplicate; without one every report counts. `occurred_at` is the
    page's time (aware), the gateway's when unknown. `duration_s` is the display time until then, in seconds.
    """

    decision_id: str
    kind: str
    id: str | None = None
    occurred_at: datetime | None = None
    product_id: str | None = None
    quantity: int | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class ExposureReport:
    """What a page says became of a variant that it was given. Nothing in it is trusted.

    `kind` is `RENDERED` or `SEEN`; `id` and `occurred_at` are as those of an `OutcomeReport`.
    """

    exposure_id: str
    kind: str
    id: str | None = None
    occurred_at: datetime | None = None


Report = OutcomeReport | ExposureReport


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
    """Takes in what viewers did and what they were shown, from pages and from the API alike."""

    def __init__(self, hub: Hub, *, clock: Clock, ids: Ids, tracer: Tracer, registry: CollectorRegistry) -> None:
        self._hub = hub
        self._clock = clock
        self._ids = ids
        self._tracer = tracer
        self._metrics = _OutcomeMetrics(registry)

    async def report(
        self, reports: Sequence[Report], *, session: str | None = None, trace_id: str | None = None
    ) -> ReportResult:
        """Write the valid ones of at most 100 reports; returns after they are durable.

        `session` is the viewer's, as the gateway knows it. Whether the decision or the exposure exists is not asked
        here: it may be on its way. A page's time outside of 24 hours before and 60 seconds after the gateway's is
        moved to that bound and counted; the gateway's own is kept beside it.

        Raises:
            InvalidEvent: more than 100 reports; none was taken.
            HubUnavailable: not everything was written; report again, with the same ids.
        """
        if len(reports) > MOST_REPORTS:
            raise InvalidEvent(f"at most {MOST_REPORTS} outcomes may come at once, got {len(reports)}")
        with self._tracer.start_as_current_span("outcomes") as span:
            events, rejected = self._sorted_out(reports, session, trace_id)
            duplicates = await self._write(events, headers_of(span.get_span_context()))
            self._metrics.count(events, duplicates)
            result = ReportResult(len(events) - len(duplicates), len(duplicates), rejected)
            span.set_attributes({"outcomes.accepted": result.accepted, "outcomes.duplicates": result.duplicates})
            span.set_attribute("outcomes.rejected", len(rejected))
        return result

    def _sorted_out(
        self, reports: Sequence[Report], session: str | None, trace_id: str | None
    ) -> tuple[list[Outcome | ExposureEvent], tuple[Rejection, ...]]:
        now = self._clock.now()
        events: list[Outcome | ExposureEvent] = []
        rejected: list[Rejection] = []
        for index, report in enumerate(reports):
            try:
                if isinstance(report, OutcomeReport):
                    events.append(self._outcome(report, now, session, trace_id))
                else:
                    events.append(self._exposure_event(report, now, session, trace_id))
            except RejectedReport as error:
                rejected.append(Rejection(index, error.code, str(error)))
                self._metrics.rejected.labels(error.code).inc()
        return events, tuple(rejected)

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
            duration_s=checked_duration(report.duration_s),
        )

    def _exposure_event(
        self, report: ExposureReport, now: datetime, session: str | None, trace_id: str | None
    ) -> ExposureEvent:
        exposure_id = checked_exposure_id(report.exposure_id)
        return ExposureEvent(
            id=self._event_id(exposure_id, report.id),
            exposure_id=exposure_id,
            kind=checked_exposure_kind(report.kind),
            occurred_at=self._bounded(checked_time(report.occurred_at), now),
            received_at=now,
            session=session,
            trace_id=trace_id,
        )

    def _event_id(self, about: str, reported: str | None) -> str:
        """The page's id within its decision or exposure, so that no page can claim the ids of another's reports."""
        name = checked_name(reported, INVALID_ID, "id")
        if name is None:
            return self._ids()
        return blake2b(f"{about}/{name}".encode(), digest_size=16).hexdigest()

    def _bounded(self, occurred_at: datetime | None, now: datetime) -> datetime:
        if occurred_at is None:
            return now
        bounded = min(max(occurred_at, now - OLDEST), now + YOUNGEST)
        if bounded != occurred_at:
            self._metrics.skewed.labels("past" if occurred_at < bounded else "future").inc()
        return bounded

    async def _write(self, events: Sequence[Outcome | ExposureEvent], headers: Mapping[str, str]) -> tuple[str, ...]:
        """Write them into the topics of their kinds; the ids of the duplicates among them."""
        outcomes = [
            NewEvent(each.id, each.decision_id, encode_event(each), headers)
            for each in events
            if isinstance(each, Outcome)
        ]
        exposed = [
            NewEvent(each.id, each.exposure_id, encode_event(each), headers)
            for each in events
            if isinstance(each, ExposureEvent)
        ]
        written = [(OUTCOMES, outcomes), (EXPOSURE_EVENTS, exposed)]
        appended = [await self._hub.append(topic, batch) for topic, batch in written if batch]
        return tuple(each for answer in appended for each in answer.duplicates)


class _OutcomeMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.taken = Counter(
            "gateway_outcomes_total",
            "Outcomes that are durable, by kind: `accepted`, or `duplicate` of one that was.",
            ["kind", "result"],
            registry=registry,
        )
        self.exposed = Counter(
            "gateway_exposure_events_total",
            "Events of exposures that are durable, by kind: `accepted`, or `duplicate` of one that was.",
            ["kind", "result"],
            registry=registry,
        )
        self.rejected = Counter(
            "gateway_outcomes_rejected_total", "Reports that were not taken, by code.", ["code"], registry=registry
        )
        self.skewed = Counter(
            "gateway_outcomes_skewed_total",
            "Reports whose page time was moved into the allowed window, by where it lay.",
            ["direction"],
            registry=registry,
        )

    def count(self, events: Sequence[Outcome | ExposureEvent], duplicates: Sequence[str]) -> None:
        """Count a batch that was written, of which these ids were duplicates, one entry each."""
        left = list(duplicates)
        for event in reversed(events):  # of two alike in one batch the earlier was written
            duplicate = event.id in left
            if duplicate:
                left.remove(event.id)
            counter = self.taken if isinstance(event, Outcome) else self.exposed
            counter.labels(event.kind.value, "duplicate" if duplicate else "accepted").inc()


def checked_decision_id(value: str) -> str:
    """The id in lower case; it must look like a UUID."""
    return _checked_uuid(value, INVALID_DECISION_ID, "decision")


def checked_exposure_id(value: str) -> str:
    """The id in lower case; it must look like a UUID."""
    return _checked_uuid(value, INVALID_EXPOSURE_ID, "exposure")


def _checked_uuid(value: str, code: str, what: str) -> str:
    if _UUID.fullmatch(value) is None:
        raise RejectedReport(code, f"{what} id {value[:64]!r} is no UUID, send back the `id` of the {what}")
    return value.lower()


def checked_exposure_kind(value: str) -> ExposureEventKind:
    """The kind of this name."""
    if value not in ExposureEventKind.__members__:
        known = " or ".join(ExposureEventKind)
        raise RejectedReport(UNKNOWN_KIND, f"event {value[:64]!r} of an exposure is not known, {known} is")
    return ExposureEventKind(value)


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


def checked_duration(value: float | None) -> float | None:
    """A display time in seconds, from 0 to a day, or none."""
    if value is None:
        return None
    if not 0 <= value <= LONGEST_DISPLAY_S:
        raise RejectedReport(INVALID_DURATION, f"duration {value!r:.80} is not within 0 and {LONGEST_DISPLAY_S:.0f} s")
    return float(value)


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
