"""The joiner: decisions and outcomes in, joined decisions out. Pure: it has no clock, time is handed in."""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush

from personalization.events import Decision, JoinedDecision, Outcome
from personalization.join.reward import JoinRules, moment_of
from personalization.join.state import ClosedDecision, Fate, HeldDecision, JoinerState

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class JoinLimits:
    """How much a joiner holds, and how long it waits and remembers, in event time.

    An outcome whose decision has not come waits `patience` for it. What came of a decision is remembered for
    `remember`, to tell late outcomes from dangling ones. Beyond `most_held` decisions, or `most_waiting` outcomes
    without one, the oldest is evicted; beyond `most_closed` the oldest is forgotten.
    """

    patience: timedelta = timedelta(seconds=60)
    remember: timedelta = timedelta(minutes=10)
    most_held: int = 50_000
    most_waiting: int = 20_000
    most_closed: int = 50_000


@dataclass(frozen=True, slots=True)
class Joined:
    """A row, and the `traceparent` of the span that made its decision."""

    row: JoinedDecision
    origin: str | None


class _Held:
    """A decision with an open window."""

    __slots__ = ("closes", "decision", "ends", "origin", "outcomes")

    def __init__(self, decision: Decision, origin: str | None, ends: datetime, closes: datetime) -> None:
        self.decision = decision
        self.origin = origin
        self.ends = ends
        self.closes = closes
        self.outcomes: dict[str, Outcome] = {}

    def order(self, outcome: Outcome) -> tuple[datetime, datetime, str]:
        return moment_of(outcome, self.decision.at), outcome.received_at, outcome.id


class Joiner:
    """Holds each decision for its whole window in event time, then gives its row, once.

    A row depends only on the decision and on its outcomes that happened within the window and were received before
    the decision closes: in whatever order and however often events come, the rows are the same, so long as an event
    comes before `advance` reaches the time it is needed: an outcome before its decision closes, a decision at most
    `patience` after its first outcome. What comes later than that, or does not fit into memory, is counted.
    Every decision gives a row, also one that was never displayed; see `JoinedDecision`.
    """

    def __init__(self, rules: JoinRules | None = None, limits: JoinLimits | None = None) -> None:
        self.decisions: Counter[Fate] = Counter()
        self.outcomes: Counter[Fate] = Counter()
        self._rules = rules or JoinRules()
        self._limits = limits or JoinLimits()
        self._now = _BEGINNING
        self._held: dict[str, _Held] = {}
        self._closing: list[tuple[datetime, str]] = []
        self._waiting: dict[str, dict[str, Outcome]] = {}
        self._waiting_count = 0
        self._expiring: list[tuple[datetime, str, str]] = []
        self._closed: OrderedDict[str, ClosedDecision] = OrderedDict()

    @classmethod
    def restored(cls, state: JoinerState, rules: JoinRules | None = None, limits: JoinLimits | None = None) -> "Joiner":
        """A joiner that goes on where the one whose `state` this is stood."""
        joiner = cls(rules, limits)
        joiner._restore(state)
        return joiner

    @property
    def now(self) -> datetime:
        """How far it was advanced."""
        return self._now

    @property
    def started(self) -> bool:
        """Whether it was advanced at all."""
        return self._now > _BEGINNING

    @property
    def held(self) -> int:
        """Decisions with an open window."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """Outcomes whose decision has not come."""
        return self._waiting_count

    def decided(self, decision: Decision, origin: str | None = None) -> None:
        """Take a decision. `origin`, the `traceparent` it was made under, is given back with its row."""
        if decision.id in self._held or decision.id in self._closed:
            self.decisions[Fate.DUPLICATE] += 1
            return
        held = self._hold(decision, origin)
        came_before = self._waiting.pop(decision.id, {})
        self._waiting_count -= len(came_before)
        for outcome in came_before.values():
            self._attach(held, outcome)
        while len(self._held) > self._limits.most_held:
            self._evict()

    def happened(self, outcome: Outcome) -> None:
        """Take an outcome."""
        held = self._held.get(outcome.decision_id)
        if held is not None:
            self._attach(held, outcome)
        elif (closed := self._closed.get(outcome.decision_id)) is not None:
            self.outcomes[_fate_after(closed, outcome)] += 1
        else:
            self._wait(outcome)

    def advance(self, to: datetime) -> Sequence[Joined]:
        """Say that event time has come this far: the rows of all decisions that close by then, in that order.

        Going back does nothing. Decisions that close at the same time come in the order of their ids.
        """
        self._now = max(self._now, to)
        rows = []
        while self._closing and self._closing[0][0] <= self._now:
            _, decision_id = heappop(self._closing)
            rows.append(self._join(self._held.pop(decision_id)))
        while self._expiring and self._expiring[0][0] <= self._now:
            self._drop_waiting(Fate.DANGLING)
        self._forget()
        return rows

    def state(self) -> JoinerState:
        """All it knows, as a value that does not change when the joiner goes on."""
        return JoinerState(
            now=self._now,
            held=tuple(
                HeldDecision(each.decision, tuple(each.outcomes.values()), each.origin) for each in self._held.values()
            ),
            waiting=tuple(outcome for group in self._waiting.values() for outcome in group.values()),
            closed=tuple(self._closed.values()),
            decisions=dict(self.decisions),
            outcomes=dict(self.outcomes),
        )

    def _restore(self, state: JoinerState) -> None:
        self._now = state.now
        for each in state.held:
            held = self._hold(each.decision, each.origin)
            held.outcomes.update({outcome.id: outcome for outcome in each.outcomes})
        for outcome in state.waiting:
            self._wait(outcome)
        self._closed.update({each.id: each for each in state.closed})
        self.decisions.update(state.decisions)
        self.outcomes.update(state.outcomes)

    def _hold(self, decision: Decision, origin: str | None) -> _Held:
        ends = decision.at + self._rules.rule_of(decision).window
        held = _Held(decision, origin, ends, self._rules.closes_at(decision))
        self._held[decision.id] = held
        heappush(self._closing, (held.closes, decision.id))
        return held

    def _attach(self, held: _Held, outcome: Outcome) -> None:
        if outcome.id in held.outcomes:
            self.outcomes[Fate.DUPLICATE] += 1
        elif moment_of(outcome, held.decision.at) > held.ends:
            self.outcomes[Fate.AFTER_WINDOW] += 1
        elif outcome.received_at > held.closes:
            self.outcomes[Fate.LATE] += 1
        else:
            held.outcomes[outcome.id] = outcome
            if len(held.outcomes) > self._rules.most_outcomes:
                del held.outcomes[max(held.outcomes.values(), key=held.order).id]
                self.outcomes[Fate.EVICTED] += 1

    def _wait(self, outcome: Outcome) -> None:
        group = self._waiting.setdefault(outcome.decision_id, {})
        if outcome.id in group:
            self.outcomes[Fate.DUPLICATE] += 1
            return
        group[outcome.id] = outcome
        self._waiting_count += 1
        heappush(self._expiring, (outcome.received_at + self._limits.patience, outcome.decision_id, outcome.id))
        while self._waiting_count > self._limits.most_waiting:
            self._drop_waiting(Fate.EVICTED)
        if len(self._expiring) > 2 * self._limits.most_waiting:
            self._tidy_expiring()

    def _drop_waiting(self, fate: Fate) -> None:
        """Let the outcome that waits longest go, unless its decision came."""
        _, decision_id, outcome_id = heappop(self._expiring)
        group = self._waiting.get(decision_id, {})
        if group.pop(outcome_id, None) is not None:
            self._waiting_count -= 1
            self.outcomes[fate] += 1
            if not group:
                del self._waiting[decision_id]

    def _tidy_expiring(self) -> None:
        """Forget when those would have expired that wait no more."""
        self._expiring = [each for each in self._expiring if each[2] in self._waiting.get(each[1], {})]
        heapify(self._expiring)

    def _join(self, held: _Held) -> Joined:
        outcomes = tuple(sorted(held.outcomes.values(), key=held.order))
        rule = self._rules.rule_of(held.decision)
        self.decisions[Fate.JOINED] += 1
        self.outcomes[Fate.JOINED] += len(outcomes)
        self._close(held, evicted=False)
        row = JoinedDecision(held.decision, outcomes, rule.reward(outcomes), rule.displayed(outcomes), held.closes)
        return Joined(row, held.origin)

    def _evict(self) -> None:
        """Give up the decision that would close first: it gives no row, for half of a window would be a wrong one."""
        _, decision_id = heappop(self._closing)
        held = self._held.pop(decision_id)
        self.decisions[Fate.EVICTED] += 1
        self.outcomes[Fate.EVICTED] += len(held.outcomes)
        self._close(held, evicted=True)

    def _close(self, held: _Held, *, evicted: bool) -> None:
        decision = held.decision
        self._closed[decision.id] = ClosedDecision(
            decision.id, decision.at, held.ends, held.closes, tuple(held.outcomes), evicted
        )
        if len(self._closed) > self._limits.most_closed:
            self._closed.popitem(last=False)

    def _forget(self) -> None:
        while self._closed:
            oldest = next(iter(self._closed.values()))
            if oldest.closed + self._limits.remember > self._now:
                return
            self._closed.popitem(last=False)


def _fate_after(closed: ClosedDecision, outcome: Outcome) -> Fate:
    """What becomes of an outcome whose decision is closed."""
    if outcome.id in closed.outcomes:
        return Fate.DUPLICATE
    if moment_of(outcome, closed.at) > closed.window_ends:
        return Fate.AFTER_WINDOW
    return Fate.EVICTED if closed.evicted else Fate.LATE
