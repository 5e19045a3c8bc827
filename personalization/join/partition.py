"""One partition of the online join: its joiner, how far it was read, and from where it could be read again."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from personalization.codec import decode_decision, decode_outcome
from personalization.errors import InvalidEvent
from personalization.hub.groups import Place
from personalization.hub.topics import DECISIONS, OUTCOMES, StoredEvent
from personalization.join.checkpoints import Checkpoint, Mark
from personalization.join.joiner import Joined, Joiner, JoinLimits
from personalization.join.reward import JoinRules
from personalization.join.state import Fate
from personalization.tracing import TRACEPARENT

TOPICS = (DECISIONS, OUTCOMES)
_EVENTS_OF_A_MARK = 256
_MOST_AHEAD = timedelta(days=1)


class PartitionJoin:
    """Takes the events of a partition, in the order of each topic, each once however often it is read.

    Event time is as far as both topics were read, less `slack`: the longest that an event may have been on its way
    into the hub. Two places in each topic matter: up to where it was read, which goes with the state into the
    checkpoint; and from where on events are still needed, which the group commits. So a member without the
    checkpoint reads them again and gives the same rows, and one with it skips what the state holds.
    """

    def __init__(
        self,
        partition: int,
        rules: JoinRules,
        limits: JoinLimits,
        slack: timedelta,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.partition = partition
        self.unsaved = 0
        self._rules = rules
        self._limits = limits
        self._slack = slack
        self._read_until: dict[str, datetime] = {}
        self._offsets: dict[str, int] = {}
        self._marks: dict[str, deque[Mark]] = {topic: deque() for topic in TOPICS}
        self.joiner = Joiner(rules, limits)
        if checkpoint is not None:
            self._offsets.update(checkpoint.offsets)
            self._marks.update({topic: deque(marks) for topic, marks in checkpoint.marks.items()})
            self.joiner = Joiner.restored(checkpoint.state, rules, limits)
        self._told_decisions = self.joiner.decisions.copy()
        self._told_outcomes = self.joiner.outcomes.copy()

    def take(self, stored: StoredEvent) -> bool:
        """Take an event; False when the state held it already.

        Raises:
            InvalidEvent: it cannot be read, or is of a time to come; it was passed over.
        """
        topic, offset = stored.topic, stored.offset
        self.read_until(topic, stored.appended_at)
        if offset < self._offsets.get(topic, 0):
            return False
        self._offsets[topic] = offset + 1
        self.unsaved += 1
        if topic == DECISIONS:
            decision = decode_decision(stored.event.value)
            _check_time(decision.at, stored)
            self.joiner.decided(decision, stored.event.headers.get(TRACEPARENT))
            self._mark(topic, offset, self._rules.closes_at(decision))
        else:
            outcome = decode_outcome(stored.event.value)
            _check_time(outcome.received_at, stored)
            self.joiner.happened(outcome)
            longest = max(self._limits.patience, self._rules.longest_hold)
            self._mark(topic, offset, outcome.received_at + longest)
        return True

    def read_until(self, topic: str, at: datetime) -> None:
        """Say that all of a topic was read that came in before `at`."""
        known = self._read_until.get(topic)
        self._read_until[topic] = at if known is None else max(known, at)

    def advance(self) -> Sequence[Joined]:
        """The rows of the decisions that close by what was read; none until both topics were looked at."""
        if len(self._read_until) < len(TOPICS):
            return ()
        rows = self.joiner.advance(min(self._read_until.values()) - self._slack)
        self.unsaved += len(rows)
        return rows

    def needed_from(self) -> Mapping[Place, int]:
        """The offset in each topic below which nothing is needed any more."""
        for marks in self._marks.values():
            while marks and marks[0].needed_until <= self.joiner.now:
                marks.popleft()
        return {
            (topic, self.partition): self._marks[topic][0].offset if self._marks[topic] else offset
            for topic, offset in self._offsets.items()
        }

    def checkpoint(self, log_id: str) -> Checkpoint:
        """Where it stands, as a value."""
        marks = {topic: tuple(marks) for topic, marks in self._marks.items()}
        return Checkpoint(log_id, dict(self._offsets), marks, self.joiner.state())

    def fates(self) -> Iterator[tuple[str, Fate, int]]:
        """What became of decisions and outcomes since this was asked last: topic, fate, how many."""
        for topic, counts, told in (
            (DECISIONS, self.joiner.decisions, self._told_decisions),
            (OUTCOMES, self.joiner.outcomes, self._told_outcomes),
        ):
            for fate, count in counts.items():
                yield topic, fate, count - told[fate]
            told.update(counts - told)

    def _mark(self, topic: str, offset: int, needed_until: datetime) -> None:
        marks = self._marks[topic]
        if marks and offset - marks[-1].offset < _EVENTS_OF_A_MARK:
            last = marks.pop()
            marks.append(Mark(last.offset, max(last.needed_until, needed_until)))
        else:
            marks.append(Mark(offset, needed_until))


def _check_time(at: datetime, stored: StoredEvent) -> None:
    """Refuse what lies more than a day after it came in: it would be held, and needed, until then."""
    if at - stored.appended_at > _MOST_AHEAD:
        raise InvalidEvent(f"{stored.topic} {stored.event.id}: {at.isoformat()} is a time to come")
