"""The decision service: from a context and actions to a choice that is drawn, measured and journalled."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from uuid import UUID, uuid5

import structlog
from opentelemetry.trace import Span, SpanContext, Tracer, format_trace_id, get_current_span
from prometheus_client import CollectorRegistry, Counter, Histogram

from personalization.bandit.policy import Policy
from personalization.bandit.sampling import floored, normalized
from personalization.clock import Clock
from personalization.decision.conduct import Conduct
from personalization.decision.journal import DecisionJournal
from personalization.decision.known_lots import KnownLots
from personalization.decision.live_policy import LivePolicies, LivePolicy
from personalization.decision.lottery import Asker, Lot, Lottery
from personalization.decision.question import Question
from personalization.errors import InvalidDistribution, JournalFull
from personalization.events import HOLDBACK, Chance, Decision, DecisionContext, DecisionMode, Drawn, is_shelf
from personalization.ids import Ids
from personalization.tracing import traceparent

IMITATED = "IMITATED"
SWITCHED_OFF = "SWITCHED_OFF"
NO_CONTEXT = "NO_CONTEXT"
INVALID_DISTRIBUTION = "INVALID_DISTRIBUTION"
POLICY_FAILED = "POLICY_FAILED"
JOURNAL_FULL = "JOURNAL_FULL"

NO_POLICY = "default@1"
"""The policy of decisions that no policy made: always the default."""

HELD = 20_000
"""Of so many subjects it is remembered whether they are held back, a tenth of a kilobyte each."""

_ANY_FLAG = "flag:"
_ROUNDING = 1e-12
_DEFAULTS = UUID("5a6f3c0e-8b0c-5d3b-9a55-0c3f8c6b7e21")

_log = structlog.get_logger()


class DecisionService:
    """Chooses for a context, always with an answer and without waiting for anything. Use it from one event loop.

    Who chooses is a matter of `conduct`. `policy` is fixed: it explores while no model of `live` decides, with mode
    `LOG_ONLY`. A model that decides does so with mode `ONLINE`; there, who belongs to the holdback group gets the
    default with reason `HOLDBACK`. An apprentice serves the default with mode `APPRENTICE`. Those two are logged with
    the probability 1 that they had: they are no sample of the other actions (see `bandit.lessons.explored`).

    When the policy fails, its distribution is no distribution, or the journal is full, the answer is the default
    action with mode `FALLBACK` and one of the reasons above.
    """

    def __init__(
        self,
        policy: Policy,
        journal: DecisionJournal,
        *,
        clock: Clock,
        ids: Ids,
        tracer: Tracer,
        registry: CollectorRegistry,
        live: LivePolicies | None = None,
        conduct: Conduct | None = None,
    ) -> None:
        self._policy = policy
        self._live = live
        self._conduct = conduct or Conduct()
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self._tracer = tracer
        self._metrics = _DecisionMetrics(registry)
        self._known = KnownLots()
        self._held: dict[str, bool] = {}

    @property
    def policy_version(self) -> str:
        """Name and version of the policy that decides about components and other flags now."""
        mode, policy = self.standing(_ANY_FLAG)
        return NO_POLICY if mode in {DecisionMode.FALLBACK, DecisionMode.APPRENTICE} else policy.version

    def decide(
        self,
        context: DecisionContext,
        actions: Sequence[str],
        *,
        default_action: str | None = None,
        subject: str | None = None,
        session: str | None = None,
        trace_id: str | None = None,
    ) -> Decision:
        """One of `actions` (at least one, all different), drawn by the hash of the decision's id, and journalled.

        `default_action` is what a failed decision falls back to, the first action unless said otherwise.
        `trace_id` (32 hex digits) is the current trace's unless said otherwise.

        Raises:
            InvalidDistribution: there are neither actions nor a default action.
        """
        question = Question(context, tuple(actions), default_action, subject, session, trace_id)
        decision, span = self._proposed(question)
        try:
            self.journal(Drawn.of(decision), traceparent(span))
        except JournalFull as error:
            question = replace(question, trace_id=decision.trace_id)
            decision = self._fell_back(question, question.default(), _reason(error))
        self.count(decision)
        return decision

    def propose(
        self,
        context: DecisionContext,
        actions: Sequence[str],
        *,
        default_action: str | None = None,
        subject: str | None = None,
        session: str | None = None,
        trace_id: str | None = None,
    ) -> Decision:
        """As `decide`, but nothing is journalled or counted: `record` it once the viewer really gets it."""
        return self._proposed(Question(context, tuple(actions), default_action, subject, session, trace_id))[0]

    def draw(self, question: Question) -> Decision:
        """As `propose`, without a span: for questions of a trace that is not recorded, whose id they have."""
        started = perf_counter()
        try:
            decision = self._chosen(question)
        except Exception as error:  # a policy may raise whatever it likes, and the page still gets its answer
            decision = self._fell_back(question, question.default(), _reason(error))
        self._metrics.seconds.observe(perf_counter() - started)
        return decision

    def lottery(self, question: Question) -> Lottery:
        """What draws as `draw`, for a question that many ask; it has no asker of its own."""
        live = self._live_at(question.context.placement)
        return Lottery(self, question, live if self._conduct.mode is DecisionMode.ONLINE else None)

    def is_drawn(self, question: Question, mode: DecisionMode) -> bool:
        """Whether decisions of this mode are drawn, but for those who are held back."""
        return not question.held_back and mode in {DecisionMode.ONLINE, DecisionMode.LOG_ONLY}

    def may_hold_back(self, question: Question, mode: DecisionMode) -> bool:
        """Whether anybody is held back in this mode."""
        return mode is DecisionMode.ONLINE and self._conduct.may_hold_back(question.context)

    def in_holdback(self, asker: Asker) -> bool:
        """Whether this one is held back where somebody may be."""
        who = asker.subject or asker.session
        if who is None:
            return False
        held = self._held.get(who)
        if held is None:
            if len(self._held) >= HELD:
                self._held.clear()
            held = self._held[who] = self._conduct.in_holdback(who)
        return held

    def propose_many(self, questions: Sequence[Question]) -> list[Decision]:
        """As `propose`, for all that one page asks at once: one answer each, by one policy."""
        return [self._proposed(question)[0] for question in questions]

    def record(self, decision: Decision, span: SpanContext | None = None) -> Decision:
        """Journal and count a proposed decision that is being served, in the current span unless said otherwise.

        Raises:
            JournalFull: it was not journalled, so it must not be served either.
        """
        self.journal(Drawn.of(decision), traceparent(span or get_current_span().get_span_context()))
        self.count(decision)
        return decision

    def journal(self, drawn: Drawn, parent: str | None) -> None:
        """As `record`, but not counted yet: that may wait for the end of the loop's turn.

        `parent` is the `traceparent` of the span that it was drawn in.
        """
        self._journal.record(drawn, parent)

    def fallback(
        self,
        context: DecisionContext,
        actions: Sequence[str],
        default_action: str,
        reason: str,
        *,
        subject: str | None = None,
        session: str | None = None,
        trace_id: str | None = None,
    ) -> Decision:
        """The default with certainty, mode `FALLBACK`: when nothing could be decided, or what was chosen not be served.

        `reason` is one of a few words in capitals; it is a metric's label. Journalled when the journal has room.
        """
        span = self._tracer.start_span("decision")
        question = Question(context, tuple(actions), default_action, subject, session, trace_id or _trace_id(span))
        decision = self._fell_back(question, default_action, reason)
        with suppress(JournalFull):  # it is the answer all the same; its outcomes will have no decision
            self.journal(Drawn.of(decision), traceparent(span.get_span_context()))
        self.count(decision)
        self._end(span, decision)
        return decision

    def default(
        self, context: DecisionContext, actions: Sequence[str], default_action: str, reason: str = NO_CONTEXT
    ) -> Decision:
        """The public default, mode `DEFAULT`: for everyone the same, id included; never journalled nor learned from."""
        decision = self.standing_default(context, actions, default_action, reason)
        self.count(decision)
        return decision

    def standing_default(
        self, context: DecisionContext, actions: Sequence[str], default_action: str, reason: str = NO_CONTEXT
    ) -> Decision:
        """As `default`, to be served many times: `count` it each time."""
        decision_id = str(uuid5(_DEFAULTS, f"{context.placement}/{default_action}"))
        return self._certain(
            Question(context, tuple(actions)), decision_id, default_action, DecisionMode.DEFAULT, reason
        )

    def count(self, decision: Decision | Chance, times: int = 1) -> None:
        """Count a decision that is being served; those that are recorded are counted by that."""
        self._metrics.decided(decision.context.placement, decision.mode, decision.action, times)

    def _proposed(self, question: Question) -> tuple[Decision, SpanContext]:
        span = self._tracer.start_span("decision")
        if question.trace_id is None:
            question = replace(question, trace_id=_trace_id(span))
        decision = self.draw(question)
        self._end(span, decision)
        return decision, span.get_span_context()

    def _chosen(self, question: Question) -> Decision:
        match self.standing(question.context.placement):
            case DecisionMode.FALLBACK, _:
                return self._fell_back(question, question.default(), SWITCHED_OFF)
            case mode, _ if question.held_back:
                online = mode is DecisionMode.ONLINE
                mode = DecisionMode.ONLINE if online else DecisionMode.LOG_ONLY
                return self._certain(question, self._ids(), question.default(), mode, HOLDBACK)
            case DecisionMode.APPRENTICE, _:
                return self._apprenticed(question)
            case DecisionMode.ONLINE, _ if self._holds_back(question):
                return self._certain(question, self._ids(), question.default(), DecisionMode.ONLINE, HOLDBACK)
            case mode, policy:
                return self._drawn(question, policy, mode)

    def _holds_back(self, question: Question) -> bool:
        return self._conduct.holds_back(question.context, question.subject, question.session)

    def standing(self, placement: str) -> tuple[DecisionMode, Policy]:
        """The mode that decisions at a placement have now, and the policy that draws those that are drawn."""
        mode, live = self._conduct.mode, self._live_at(placement)
        learning = mode is DecisionMode.APPRENTICE and (live is None or not live.graduated)
        if learning or mode is DecisionMode.FALLBACK:
            return mode, self._policy
        if mode is DecisionMode.LOG_ONLY or live is None or live.current is None:
            return DecisionMode.LOG_ONLY, self._policy
        return DecisionMode.ONLINE, live.current

    def _live_at(self, placement: str) -> LivePolicy | None:
        return None if self._live is None else self._live.at(placement)

    def _apprenticed(self, question: Question) -> Decision:
        """The default, and a look at how probable the model would have made it."""
        default, live = question.default(), self._live_at(question.context.placement)
        if live is not None and live.current is not None and default in question.actions:
            given = live.current.distribution(question.context, question.actions)
            live.observe_agreement(given[question.actions.index(default)])
        return self._certain(question, self._ids(), default, DecisionMode.APPRENTICE, IMITATED)

    def lot(self, question: Question, policy: Policy, mode: DecisionMode) -> Lot:
        """What is drawn from. Raises whatever the policy does."""
        known = self._known.of(policy, shelf=is_shelf(question.context.placement))
        asked = (mode, question.context, question.actions, question.floor)
        lot = known.get(asked)
        if lot is None:
            lot = known[asked] = Lot(question, mode, policy.version, self._distribution(question, policy))
        return lot

    def _distribution(self, question: Question, policy: Policy) -> tuple[float, ...]:
        """What the policy gives, mixed with an even one where an action is below the floor."""
        actions = len(question.actions)
        given = normalized(policy.distribution(question.context, question.actions), actions)
        floor = max(question.floor, self._conduct.floor / actions)
        return given if min(given) >= floor - _ROUNDING else floored(given, floor)

    def _drawn(self, question: Question, policy: Policy, mode: DecisionMode) -> Decision:
        return self.drawn(question, self.lot(question, policy, mode)).decision

    def drawn(self, asker: Asker, lot: Lot) -> Drawn:
        """A decision for whoever asks, drawn by the hash of its id."""
        return lot.drawn(self._ids(), self._clock.now(), asker)

    def _fell_back(self, question: Question, default_action: str, reason: str) -> Decision:
        self._metrics.fallbacks.labels(question.context.placement, reason).inc()
        return self._certain(question, self._ids(), default_action, DecisionMode.FALLBACK, reason)

    def _certain(self, question: Question, decision_id: str, action: str, mode: DecisionMode, reason: str) -> Decision:
        choices = question.actions if action in question.actions else (*question.actions, action)
        return Decision(
            id=decision_id,
            at=self._clock.now(),
            context=question.context,
            actions=choices,
            distribution=tuple(1.0 if each == action else 0.0 for each in choices),
            action=action,
            probability=1.0,
            policy=NO_POLICY,
            mode=mode,
            reason=reason,
            subject=question.subject,
            session=question.session,
            trace_id=question.trace_id,
        )

    def _end(self, span: Span, decision: Decision) -> None:
        if span.is_recording():
            span.set_attributes(_attributes(decision))
        span.end()


class _DecisionMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Counter(
            "gateway_decisions_total",
            "Decisions by placement, mode and chosen action.",
            ["placement", "mode", "action"],
            registry=registry,
        )
        self.fallbacks = Counter(
            "gateway_decision_fallbacks_total",
            "Decisions that fell back to the default, by placement and reason.",
            ["placement", "reason"],
            registry=registry,
        )
        self.seconds = Histogram(
            "gateway_decision_seconds",
            "Time from a context to a decision, but for those drawn from what a policy said before.",
            registry=registry,
            buckets=(25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 50e-3, 250e-3),
        )
        self._series: dict[tuple[str, DecisionMode, str], Counter] = {}

    def decided(self, placement: str, mode: DecisionMode, action: str, times: int) -> None:
        """Count a decision that is served so often; placements and actions are code's and flags', never a client's."""
        series = self._series.get((placement, mode, action))
        if series is None:
            series = self._series[(placement, mode, action)] = self.decisions.labels(placement, mode.value, action)
        series.inc(times)


def _reason(error: Exception) -> str:
    """Why a decision failed, in one word; what a policy raised on its own account goes to the log."""
    match error:
        case JournalFull():
            return JOURNAL_FULL
        case InvalidDistribution():
            return INVALID_DISTRIBUTION
        case _:
            _log.error("policy_failed", exc_info=error)
            return POLICY_FAILED


def _trace_id(span: Span) -> str | None:
    context = span.get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


def _attributes(decision: Decision) -> dict[str, str | float]:
    attributes: dict[str, str | float] = {
        "decision.id": decision.id,
        "decision.placement": decision.context.placement,
        "decision.action": decision.action,
        "decision.probability": decision.probability,
        "decision.policy": decision.policy,
        "decision.mode": decision.mode.value,
        "decision.reason": decision.reason,
    }
    if decision.context.segment is not None:
        attributes["decision.segment"] = decision.context.segment
    return attributes
