"""Events as bytes: JSON objects of schema version 1, the same in the hub and in the lake.

Members that are not known are ignored, so that newer writers may add some; one that is missing or of another type
is an error.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

import orjson

from personalization.errors import InvalidEvent
from personalization.events import (
    LONGEST_DISPLAY_S,
    Decision,
    DecisionContext,
    DecisionMode,
    Exposure,
    ExposureEvent,
    ExposureEventKind,
    JoinedDecision,
    Outcome,
    OutcomeKind,
)

SCHEMA_VERSION = 1

_VERSION: Final = b'{"v":%d,' % SCHEMA_VERSION

Event = Decision | Outcome | Exposure | ExposureEvent
"""What is written member by member, by the names and in the order that its class has."""

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


def encode_event(event: Event) -> bytes:
    """The event as a JSON object; floats keep every bit, times are ISO 8601 in UTC with microseconds.

    Raises:
        InvalidEvent: a text in it is not valid Unicode.
    """
    return _dumps(event)


def encode_joined(joined: JoinedDecision) -> bytes:
    """The joined decision as a JSON object; its decision and outcomes are the objects of their own encoders.

    Raises:
        InvalidEvent: a text in it is not valid Unicode.
    """
    return _dumps(
        {
            "id": joined.decision.id,
            "decision": orjson.Fragment(encode_event(joined.decision)),
            "outcomes": [orjson.Fragment(encode_event(each)) for each in joined.outcomes],
            "reward": joined.reward,
            "displayed": joined.displayed,
            "joined_at": joined.joined_at,
        }
    )


def decode_decision(value: bytes) -> Decision:
    """The decision that `encode_event` wrote.

    Raises:
        InvalidEvent: no JSON object of version 1, a member missing or of another type, a distribution of another
            length than the actions, or an action that is not among them.
    """
    return _decision(_Record.parse("decision", value))


def decode_outcome(value: bytes) -> Outcome:
    """The outcome that `encode_event` wrote, `duration_s` None in those written before there was one.

    Raises:
        InvalidEvent: no JSON object of version 1, a member missing or of another type, or a duration out of its range.
    """
    return _outcome(_Record.parse("outcome", value))


def decode_joined(value: bytes) -> JoinedDecision:
    """The joined decision that `encode_joined` wrote.

    Raises:
        InvalidEvent: no JSON object of version 1, or a member, also of the decision or an outcome, that does not fit.
    """
    record = _Record.parse("joined", value)
    return JoinedDecision(
        decision=_decision(record.inner("decision")),
        outcomes=tuple(_outcome(each) for each in record.inners("outcomes")),
        reward=record.number("reward"),
        displayed=record.truth("displayed"),
        joined_at=record.time("joined_at"),
    )


def _decision(record: "_Record") -> Decision:
    decision = Decision(
        id=record.text("id"),
        at=record.time("at"),
        context=_context(record.inner("context")),
        actions=record.row("actions", str),
        distribution=record.row("distribution", float),
        action=record.text("action"),
        probability=record.number("probability"),
        policy=record.text("policy"),
        mode=record.word("mode", DecisionMode),
        reason=record.text("reason"),
        subject=record.text_or_none("subject"),
        session=record.text_or_none("session"),
        trace_id=record.text_or_none("trace_id"),
    )
    if len(decision.actions) != len(decision.distribution) or decision.action not in decision.actions:
        raise InvalidEvent(f"decision {decision.id}: actions, distribution and action do not fit together")
    return decision


def _outcome(record: "_Record") -> Outcome:
    return Outcome(
        id=record.text("id"),
        decision_id=record.text("decision_id"),
        kind=record.word("kind", OutcomeKind),
        occurred_at=record.time("occurred_at"),
        received_at=record.time("received_at"),
        product_id=record.text_or_none("product_id"),
        quantity=record.count_or_none("quantity"),
        session=record.text_or_none("session"),
        trace_id=record.text_or_none("trace_id"),
        duration_s=record.later_number("duration_s", most=LONGEST_DISPLAY_S),
    )


def decode_exposure(value: bytes) -> Exposure:
    """The exposure that `encode_event` wrote.

    Raises:
        InvalidEvent: no JSON object of version 1, or a member missing or of another type.
    """
    record = _Record.parse("exposure", value)
    return Exposure(
        id=record.text("id"),
        at=record.time("at"),
        flag=record.text("flag"),
        variant=record.text("variant"),
        decider=record.text("decider"),
        rule=record.text("rule"),
        definitions=record.text("definitions"),
        subject=record.text("subject"),
        hash_version=record.count_or_none("hash_version"),
        policy=record.text_or_none("policy"),
        decision_id=record.text_or_none("decision_id"),
        session=record.text_or_none("session"),
        trace_id=record.text_or_none("trace_id"),
    )


def decode_exposure_event(value: bytes) -> ExposureEvent:
    """The event that `encode_event` wrote.

    Raises:
        InvalidEvent: no JSON object of version 1, or a member missing or of another type.
    """
    record = _Record.parse("exposure event", value)
    return ExposureEvent(
        id=record.text("id"),
        exposure_id=record.text("exposure_id"),
        kind=record.word("kind", ExposureEventKind),
        occurred_at=record.time("occurred_at"),
        received_at=record.time("received_at"),
        session=record.text_or_none("session"),
        trace_id=record.text_or_none("trace_id"),
    )


def _context(record: "_Record") -> DecisionContext:
    return DecisionContext(
        placement=record.text("placement"),
        persona=record.text_or_none("persona"),
        segment=record.text_or_none("segment"),
        category=record.text_or_none("category"),
        region=record.text_or_none("region"),
        season=record.text_or_none("season"),
        device=record.text_or_none("device"),
    )


def _dumps(event: Event | Mapping[str, object]) -> bytes:
    try:
        return _versioned(orjson.dumps(event))
    except TypeError as error:
        of = event["id"] if isinstance(event, Mapping) else event.id
        raise InvalidEvent(f"event {of!r} cannot be written as JSON: {error}") from error


def _versioned(members: bytes) -> bytes:
    """The object that begins with the version of the schema."""
    return _VERSION + members[1:]


class _Record:
    """Members of a JSON object, read by type; whatever does not fit raises `InvalidEvent` and names the member."""

    def __init__(self, what: str, members: object) -> None:
        if not isinstance(members, dict):
            raise InvalidEvent(f"{what}: not a JSON object but {type(members).__name__}")
        self._what = what
        self._members: dict[str, object] = members

    @classmethod
    def parse(cls, what: str, value: bytes) -> "_Record":
        """The object in these bytes, of the schema version that is known here."""
        try:
            record = cls(what, orjson.loads(value))
        except orjson.JSONDecodeError as error:
            raise InvalidEvent(f"{what}: not JSON, {error}") from error
        version = record._get("v", int)
        if version != SCHEMA_VERSION:
            raise InvalidEvent(f"{what}: schema version {version} is not known, {SCHEMA_VERSION} is")
        return record

    def inner(self, name: str) -> "_Record":
        """The object that is this member; it has no version of its own."""
        return _Record(f"{self._what}.{name}", self._get(name, dict))

    def inners(self, name: str) -> "tuple[_Record, ...]":
        """The objects in this member, a list."""
        return tuple(_Record(f"{self._what}.{name}[{place}]", each) for place, each in enumerate(self._get(name, list)))

    def truth(self, name: str) -> bool:
        value = self._raw(name)
        if not isinstance(value, bool):
            raise InvalidEvent(f"{self._what}.{name}: bool expected, got {type(value).__name__}")
        return value

    def text(self, name: str) -> str:
        return self._get(name, str)

    def text_or_none(self, name: str) -> str | None:
        return None if self._raw(name) is None else self.text(name)

    def count_or_none(self, name: str) -> int | None:
        return None if self._raw(name) is None else self._get(name, int)

    def number(self, name: str) -> float:
        return self._get(name, float)

    def later_number(self, name: str, *, most: float) -> float | None:
        """A number from 0 to `most`, or none, also where the member is missing: older writers did not have it."""
        if self._members.get(name) is None:
            return None
        value = self.number(name)
        if not 0 <= value <= most:
            raise InvalidEvent(f"{self._what}.{name}: {value!r} is not within 0 and {most:.0f}")
        return value

    def time(self, name: str) -> datetime:
        return self._parsed(name, _aware)

    def word(self, name: str, words: type[E]) -> E:
        return self._parsed(name, words)

    def row(self, name: str, kind: type[T]) -> tuple[T, ...]:
        row = self._get(name, list)
        if not all(isinstance(each, kind) for each in row):
            raise InvalidEvent(f"{self._what}.{name}: not all {kind.__name__}")
        return tuple(row)

    def _parsed(self, name: str, parse: Callable[[str], T]) -> T:
        text = self._get(name, str)
        try:
            return parse(text)
        except ValueError as error:
            raise InvalidEvent(f"{self._what}.{name}: {text[:64]!r} cannot be read") from error

    def _get(self, name: str, kind: type[T]) -> T:
        value = self._raw(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InvalidEvent(f"{self._what}.{name}: {kind.__name__} expected, got {type(value).__name__}")
        return value

    def _raw(self, name: str) -> object:
        if name not in self._members:
            raise InvalidEvent(f"{self._what}.{name} is missing")
        return self._members[name]


def _aware(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without an offset from UTC")
    return at.astimezone(UTC)
