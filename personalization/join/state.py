"""What a joiner holds, as a value, and that value as bytes for a checkpoint."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from personalization.codec import decode_decision, decode_outcome, encode_event
from personalization.events import Decision, Outcome

STATE_VERSION = 1


class Fate(StrEnum):
    """What becomes of an event that was taken in; each has one."""

    JOINED = "joined"
    """It is in a row."""
    DUPLICATE = "duplicate"
    """One of the same id came before."""
    AFTER_WINDOW = "after_window"
    """It happened later than what counts, as most purchases do."""
    LATE = "late"
    """It would have counted, but was received too late."""
    DANGLING = "dangling"
    """Its decision never came."""
    EVICTED = "evicted"
    """Memory was full, or its decision had more outcomes than are kept."""


@dataclass(frozen=True, slots=True)
class HeldDecision:
    """A decision whose window is open, with its outcomes so far in the order they came.

    `origin` is the `traceparent` of the span that made the decision.
    """

    decision: Decision
    outcomes: tuple[Outcome, ...]
    origin: str | None


@dataclass(frozen=True, slots=True)
class ClosedDecision:
    """What is remembered of a decision that was joined or evicted, to tell what comes after it."""

    id: str
    at: datetime
    window_ends: datetime
    closed: datetime
    outcomes: tuple[str, ...]
    evicted: bool


@dataclass(frozen=True, slots=True)
class JoinerState:
    """All that a joiner knows; one made from it goes on exactly as the first would have."""

    now: datetime
    held: tuple[HeldDecision, ...]
    waiting: tuple[Outcome, ...]
    closed: tuple[ClosedDecision, ...]
    decisions: Mapping[Fate, int]
    outcomes: Mapping[Fate, int]


def encode_state(state: JoinerState) -> bytes:
    """The state as a JSON object; times are exact to the microsecond."""
    return orjson.dumps(
        {
            "v": STATE_VERSION,
            "now": state.now,
            "held": [_held_members(each) for each in state.held],
            "waiting": [orjson.Fragment(encode_event(each)) for each in state.waiting],
            "closed": [
                (each.id, each.at, each.window_ends, each.closed, each.outcomes, each.evicted) for each in state.closed
            ],
            "decisions": {fate.value: count for fate, count in state.decisions.items()},
            "outcomes": {fate.value: count for fate, count in state.outcomes.items()},
        }
    )


def decode_state(value: bytes) -> JoinerState:
    """The state that `encode_state` wrote.

    Raises:
        ValueError, KeyError, TypeError, InvalidEvent: it is damaged, or of another version.
    """
    members = orjson.loads(value)
    if members["v"] != STATE_VERSION:
        raise ValueError(f"state version {members['v']} is not known, {STATE_VERSION} is")
    return JoinerState(
        now=datetime.fromisoformat(members["now"]),
        held=tuple(_held(each) for each in members["held"]),
        waiting=tuple(decode_outcome(orjson.dumps(each)) for each in members["waiting"]),
        closed=tuple(_closed(*each) for each in members["closed"]),
        decisions=_counts(members["decisions"]),
        outcomes=_counts(members["outcomes"]),
    )


def _held_members(held: HeldDecision) -> tuple[object, ...]:
    outcomes = [orjson.Fragment(encode_event(each)) for each in held.outcomes]
    return orjson.Fragment(encode_event(held.decision)), outcomes, held.origin


def _held(members: list[Any]) -> HeldDecision:
    decision, outcomes, origin = members
    return HeldDecision(
        decode_decision(orjson.dumps(decision)), tuple(decode_outcome(orjson.dumps(each)) for each in outcomes), origin
    )


def _closed(
    decision_id: str, at: str, window_ends: str, closed: str, outcomes: list[str], evicted: bool
) -> ClosedDecision:
    at_time, ends_time, closed_time = map(datetime.fromisoformat, (at, window_ends, closed))
    return ClosedDecision(decision_id, at_time, ends_time, closed_time, tuple(outcomes), evicted)


def _counts(members: Mapping[str, int]) -> Counter[Fate]:
    return Counter({Fate(fate): count for fate, count in members.items()})
