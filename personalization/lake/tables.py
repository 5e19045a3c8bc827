"""The columns of each topic in the raw zone, and events as rows of them. Times are microseconds in UTC."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa

from personalization.codec import (
    decode_decision,
    decode_exposure,
    decode_exposure_event,
    decode_joined,
    decode_outcome,
)
from personalization.errors import InvalidEvent
from personalization.events import Decision, Exposure, ExposureEvent, Outcome
from personalization.hub import topics
from personalization.hub.topics import StoredEvent
from personalization.tracing import TRACEPARENT

Row = dict[str, Any]

TIME = pa.timestamp("us", tz="UTC")
_TEXT = pa.string()

ENVELOPE = (
    ("id", _TEXT),
    ("hub_partition", pa.int32()),
    ("hub_offset", pa.int64()),
    ("appended_at", TIME),
    ("traceparent", _TEXT),
    ("unreadable", pa.binary()),
)
"""What every row has: where the event stood in the hub, and, of an event that cannot be read, its bytes."""

_DECISION = (
    ("decided_at", TIME),
    *((name, _TEXT) for name in ("placement", "persona", "segment", "category", "region", "season", "device")),
    ("actions", pa.list_(_TEXT)),
    ("distribution", pa.list_(pa.float64())),
    ("action", _TEXT),
    ("probability", pa.float64()),
    *((name, _TEXT) for name in ("policy", "mode", "reason", "subject", "session", "trace_id")),
)
_OUTCOME = (
    ("decision_id", _TEXT),
    ("kind", _TEXT),
    ("occurred_at", TIME),
    ("received_at", TIME),
    ("product_id", _TEXT),
    ("quantity", pa.int64()),
    ("session", _TEXT),
    ("trace_id", _TEXT),
    ("duration_s", pa.float64()),
)
_EXPOSURE = (
    ("exposed_at", TIME),
    *((name, _TEXT) for name in ("flag", "variant", "decider", "rule", "definitions", "subject")),
    ("hash_version", pa.int64()),
    *((name, _TEXT) for name in ("policy", "decision_id", "session", "trace_id")),
)
_EXPOSURE_EVENT = (
    ("exposure_id", _TEXT),
    ("kind", _TEXT),
    ("occurred_at", TIME),
    ("received_at", TIME),
    ("session", _TEXT),
    ("trace_id", _TEXT),
)
_JOINED = (
    *_DECISION,
    ("outcomes", pa.list_(pa.struct([("id", _TEXT), *_OUTCOME]))),
    ("reward", pa.float64()),
    ("displayed", pa.bool_()),
    ("joined_at", TIME),
)


@dataclass(frozen=True, slots=True)
class RawTable:
    """The columns of a topic, and how the bytes of an event become a row of those that are not the envelope's."""

    schema: pa.Schema
    row: Callable[[bytes], Row]


def table_of(topic: str) -> RawTable:
    """The table of a topic; one that is not known keeps its events as bytes, in the column `value`."""
    match topic:
        case topics.DECISIONS:
            return RawTable(pa.schema([*ENVELOPE, *_DECISION]), lambda value: decision_row(decode_decision(value)))
        case topics.OUTCOMES:
            return RawTable(pa.schema([*ENVELOPE, *_OUTCOME]), lambda value: outcome_row(decode_outcome(value)))
        case topics.JOINED:
            return RawTable(pa.schema([*ENVELOPE, *_JOINED]), _joined_row)
        case topics.EXPOSURES:
            return RawTable(pa.schema([*ENVELOPE, *_EXPOSURE]), _exposure_row)
        case topics.EXPOSURE_EVENTS:
            schema = pa.schema([*ENVELOPE, *_EXPOSURE_EVENT])
            return RawTable(schema, lambda value: _members(decode_exposure_event(value)))
        case _:
            return RawTable(pa.schema([*ENVELOPE, ("value", pa.binary())]), lambda value: {"value": value})


def raw_table(topic: str, events: Sequence[StoredEvent]) -> pa.Table:
    """The events of a topic as a table; one that cannot be read, or held in the columns, is kept as bytes."""
    table = table_of(topic)
    rows = [_row(table, each) for each in events]
    try:
        return pa.Table.from_pylist(rows, schema=table.schema)
    except (pa.ArrowException, OverflowError, ValueError):
        checked = [_row_that_fits(table, row, each) for row, each in zip(rows, events, strict=True)]
        return pa.Table.from_pylist(checked, schema=table.schema)


def rules_table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """The rule of each placement for the ETL; the one without a name is for all others."""
    columns = (
        ("placement", _TEXT),
        ("window_us", pa.int64()),
        ("hold_us", pa.int64()),
        ("assume_displayed", pa.bool_()),
        ("display_s", pa.float64()),
        ("display_value", pa.float64()),
    )
    return pa.Table.from_pylist(list(rows), schema=pa.schema(columns))


def rule_values_table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """What each kind of outcome is worth, by the placement of a rule, for the ETL."""
    schema = pa.schema([("placement", _TEXT), ("kind", _TEXT), ("value", pa.float64())])
    return pa.Table.from_pylist(list(rows), schema=schema)


def decision_row(decision: Decision) -> Row:
    """The columns of a decision, but its id."""
    context = decision.context
    return {
        "decided_at": decision.at,
        "placement": context.placement,
        "persona": context.persona,
        "segment": context.segment,
        "category": context.category,
        "region": context.region,
        "season": context.season,
        "device": context.device,
        "actions": decision.actions,
        "distribution": decision.distribution,
        "action": decision.action,
        "probability": decision.probability,
        "policy": decision.policy,
        "mode": decision.mode.value,
        "reason": decision.reason,
        "subject": decision.subject,
        "session": decision.session,
        "trace_id": decision.trace_id,
    }


def outcome_row(outcome: Outcome) -> Row:
    """The columns of an outcome, but its id."""
    return {
        "decision_id": outcome.decision_id,
        "kind": outcome.kind.value,
        "occurred_at": outcome.occurred_at,
        "received_at": outcome.received_at,
        "product_id": outcome.product_id,
        "quantity": outcome.quantity,
        "session": outcome.session,
        "trace_id": outcome.trace_id,
        "duration_s": outcome.duration_s,
    }


def _joined_row(value: bytes) -> Row:
    joined = decode_joined(value)
    return decision_row(joined.decision) | {
        "outcomes": [{"id": each.id} | outcome_row(each) for each in joined.outcomes],
        "reward": joined.reward,
        "displayed": joined.displayed,
        "joined_at": joined.joined_at,
    }


def _exposure_row(value: bytes) -> Row:
    row = _members(decode_exposure(value))
    return row | {"exposed_at": row.pop("at")}


def _members(event: Exposure | ExposureEvent) -> Row:
    return {each.name: getattr(event, each.name) for each in fields(event) if each.name != "id"}


def _row(table: RawTable, stored: StoredEvent) -> Row:
    try:
        return _envelope(stored) | table.row(stored.event.value)
    except InvalidEvent:
        return _envelope(stored) | {"unreadable": stored.event.value}


def _row_that_fits(table: RawTable, row: Mapping[str, Any], stored: StoredEvent) -> Mapping[str, Any]:
    try:
        pa.Table.from_pylist([row], schema=table.schema)
    except (pa.ArrowException, OverflowError, ValueError):
        return _envelope(stored) | {"unreadable": stored.event.value}
    return row


def _envelope(stored: StoredEvent) -> Row:
    return {
        "id": stored.event.id,
        "hub_partition": stored.partition,
        "hub_offset": stored.offset,
        "appended_at": stored.appended_at,
        "traceparent": stored.event.headers.get(TRACEPARENT),
    }
