"""Exposures: each variant that a viewer is given becomes an event in the hub, once in a while and not each time."""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b

from cachetools import LRUCache
from opentelemetry.trace import get_current_span
from prometheus_client import CollectorRegistry, Counter

from flags.evaluation import Evaluation
from personalization.clock import Clock
from personalization.errors import JournalFull
from personalization.events import Decision, Exposure
from personalization.exposures import ExposureJournal

WINDOW = timedelta(minutes=30)
REMEMBERED = 50_000
"""Exposures that a process remembers, so as not to append them again."""


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
        self._given: LRUCache[tuple[str, str, str, str | None], _Given] = LRUCache(remembered)
        self._metrics = _ExposureMetrics(registry)

    def give(
        self,
        evaluation: Evaluation,
        *,
        subject: str,
        session: str | None = None,
        decision: Decision | None = None,
        trace_id: str | None = None,
    ) -> str | None:
        """The id (a UUID) of giving this answer to this subject; None where it has no variant. Never waits or raises.

        `decision` is the one that chose the variant. When the journal is full the event is dropped and counted, and
        the id is given all the same.
        """
        if evaluation.variant is None:
            return None
        now = self._clock.now()
        window = int(now.timestamp() // self._window)
        about = (subject, evaluation.key, evaluation.variant, None if decision is None else decision.id)
        known = self._given.get(about)
        if known is not None and known.window == window:
            self._metrics.repeated.inc()
            return known.id
        given = _Given(window, self._id(about, window))
        exposure = Exposure(
            id=given.id,
            at=now,
            flag=evaluation.key,
            variant=evaluation.variant,
            decider=evaluation.decided_by.value,
            rule=evaluation.reason.value,
            definitions=evaluation.definitions,
            subject=subject,
            hash_version=_hash_version(evaluation),
            policy=None if decision is None else decision.policy,
            decision_id=None if decision is None else decision.id,
            session=session,
            trace_id=trace_id,
        )
        if self._recorded(exposure):
            self._given[about] = given
        return given.id

    def _id(self, about: tuple[str, str, str, str | None], window: int) -> str:
        """A UUID of version 8 (RFC 9562, section 5.8): a keyed hash."""
        # A text's `repr` is unambiguous, and pure ASCII whatever a token holds.
        digest = blake2b(ascii((window, self._window, about)).encode(), digest_size=16, key=self._key).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"

    def _recorded(self, exposure: Exposure) -> bool:
        try:
            self._journal.record(exposure, get_current_span().get_span_context())
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
