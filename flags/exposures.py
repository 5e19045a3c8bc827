"""Exposures: each variant that a viewer is given becomes an event in the hub, once in a while and not each time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from cachetools import LRUCache
from opentelemetry.trace import SpanContext, get_current_span
from prometheus_client import CollectorRegistry, Counter

from flags.evaluation import Evaluation
from flags.layers import Answer, Ask
from personalization.clock import Clock
from personalization.errors import JournalFull
from personalization.events import Exposure
from personalization.exposures import ExposureJournal
from personalization.tracing import traceparent

WINDOW = timedelta(minutes=30)
REMEMBERED = 50_000
"""Exposures that a process remembers, so as not to append them again."""


_About = tuple[str, str, str, str | None]
"""Subject, flag, variant, and the id of the decision that chose it."""


@dataclass(frozen=True, slots=True)
class _Given:
    window: int
    id: str


class Exposures:
    """Gives exposures their ids and hands them to the journal. Use it from one event loop.

    A subject that is given the same variant of the same flag again within a window (they are aligned to 1970, so that
    they are the same everywhere) is not exposed anew. The id is a hash of just these, with the decision's id where a
    bandit chose: every process gives the same one, now and after a restart, and the hub drops what it has already.
    `key` keeps pages from telling the ids of others.
    """

    def __init__(
        self,
        journal: ExposureJournal,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        key: bytes = b"",
        window: timedelta = WINDOW,
        remembered: int = REMEMBERED,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._key = key
        self._window = window.total_seconds()
        self._given: LRUCache[_About, _Given] = LRUCache(remembered)
        self._metrics = _ExposureMetrics(registry)

    def give(self, answers: Sequence[Answer], ask: Ask) -> list[str | None]:
        """The id (a UUID) of giving each answer to whom it is asked for; None where it has no variant.

        Never waits or raises. When the journal is full the event is dropped and counted, and the id is given all the
        same.
        """
        subject, now = ask.subject.targeting_key or "", self._clock.now()
        window, known, ids = int(now.timestamp() // self._window), self._given, list[str | None]()
        repeated = 0
        for answer in answers:
            evaluation, decision = answer.evaluation, answer.decision
            if evaluation.variant is None:
                ids.append(None)
                continue
            about = (subject, evaluation.key, evaluation.variant, None if decision is None else decision.id)
            given = known.get(about)
            if given is None or given.window != window:
                given = self._anew(about, window, answer, ask, now)
            else:
                repeated += 1
            ids.append(given.id)
        if repeated:
            self._metrics.repeated.inc(repeated)
        return ids

    def _anew(self, about: _About, window: int, answer: Answer, ask: Ask, now: datetime) -> _Given:
        """Record that this answer is given, for the first time in this window."""
        evaluation, decision = answer.evaluation, answer.decision
        given = _Given(window, self._id(about, window))
        exposure = Exposure(
            id=given.id,
            at=now,
            flag=evaluation.key,
            variant=about[2],
            decider=evaluation.decided_by.value,
            rule=evaluation.reason.value,
            definitions=evaluation.definitions,
            subject=about[0],
            hash_version=_hash_version(evaluation),
            policy=None if decision is None else decision.policy,
            decision_id=None if decision is None else decision.id,
            session=ask.session,
            trace_id=ask.trace_id,
        )
        if self._recorded(exposure, ask.span or get_current_span().get_span_context()):
            self._given[about] = given
        return given

    def _id(self, about: _About, window: int) -> str:
        """A UUID of version 8 (RFC 9562, section 5.8): a keyed hash."""
        # A text's `repr` is unambiguous, and pure ASCII whatever a token holds.
        digest = blake2b(ascii((window, self._window, about)).encode(), digest_size=16, key=self._key).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"

    def _recorded(self, exposure: Exposure, span: SpanContext) -> bool:
        try:
            self._journal.record(exposure, traceparent(span))
        except JournalFull:
            self._metrics.dropped.inc()
            return False
        self._metrics.new.inc()
        return True


def _hash_version(evaluation: Evaluation) -> int | None:
    pinned = evaluation.metadata.get("hashVersion")
    return pinned if type(pinned) is int else None


class _ExposureMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        exposures = Counter(
            "gateway_exposures_total",
            "Variants given: `new` in this window and process, `repeated`, or `dropped` as the journal was full.",
            ["result"],
            registry=registry,
        )
        self.new = exposures.labels("new")
        self.repeated = exposures.labels("repeated")
        self.dropped = exposures.labels("dropped")
