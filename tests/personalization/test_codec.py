"""Events come back from bytes as they went in, and nothing else does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization.bandit.sampling import normalized, sample
from personalization.codec import (
    decode_decision,
    decode_exposure,
    decode_exposure_event,
    decode_outcome,
    encode_event,
)
from personalization.errors import InvalidEvent
from personalization.events import (
    LONGEST_DISPLAY_S,
    Decision,
    DecisionContext,
    DecisionMode,
    Exposure,
    ExposureEvent,
    ExposureEventKind,
    Outcome,
    OutcomeKind,
)

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MAYBE = st.none() | TEXT
TIME = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))

CONTEXTS = st.builds(
    DecisionContext,
    placement=TEXT,
    persona=MAYBE,
    segment=MAYBE,
    category=MAYBE,
    region=MAYBE,
    season=MAYBE,
    device=MAYBE,
)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    actions = draw(st.lists(TEXT, min_size=1, max_size=6, unique=True))
    weights = [draw(st.floats(0.01, 1.0)) for _ in actions]
    distribution = normalized([each / sum(weights) for each in weights], len(actions))
    decision_id = str(draw(st.uuids()))
    index = sample(distribution, decision_id)
    return Decision(
        id=decision_id,
        at=draw(TIME),
        context=draw(CONTEXTS),
        actions=tuple(actions),
        distribution=distribution,
        action=actions[index],
        probability=distribution[index],
        policy=draw(TEXT),
        mode=draw(st.sampled_from(DecisionMode)),
        reason=draw(TEXT),
        subject=draw(MAYBE),
        session=draw(MAYBE),
        trace_id=draw(MAYBE),
    )


OUTCOMES = st.builds(
    Outcome,
    id=TEXT,
    decision_id=st.uuids().map(str),
    kind=st.sampled_from(OutcomeKind),
    occurred_at=TIME,
    received_at=TIME,
    product_id=MAYBE,
    quantity=st.none() | st.integers(1, 999),
    session=MAYBE,
    trace_id=MAYBE,
    duration_s=st.none() | st.floats(0, LONGEST_DISPLAY_S),
)

EXPOSURES = st.builds(
    Exposure,
    id=st.uuids().map(str),
    at=TIME,
    flag=TEXT,
    variant=TEXT,
    decider=TEXT,
    rule=TEXT,
    definitions=TEXT,
    subject=TEXT,
    hash_version=st.none() | st.integers(0, 9),
    policy=MAYBE,
    decision_id=st.none() | st.uuids().map(str),
    session=MAYBE,
    trace_id=MAYBE,
)

EXPOSURE_EVENTS = st.builds(
    ExposureEvent,
    id=TEXT,
    exposure_id=st.uuids().map(str),
    kind=st.sampled_from(ExposureEventKind),
    occurred_at=TIME,
    received_at=TIME,
    session=MAYBE,
    trace_id=MAYBE,
)

OUTCOME = Outcome(
    id="o1",
    decision_id="0198c0de-0000-7000-8000-000000000001",
    kind=OutcomeKind.PURCHASED,
    occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    received_at=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC),
)
DECISION = Decision(
    id="0198c0de-0000-7000-8000-000000000001",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    context=DecisionContext("HOME"),
    actions=("a", "b"),
    distribution=(0.25, 0.75),
    action="b",
    probability=0.75,
    policy="uniform@1",
    mode=DecisionMode.LOG_ONLY,
    reason="DRAWN",
)

EXPOSURE = Exposure(
    id="4f1c0de0-7a5e-8bad-a111-0123456789ab",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    flag="hero",
    variant="v2",
    decider="RULE",
    rule="TARGETING_MATCH",
    definitions="defs-1",
    subject="visitor:7",
)
EXPOSURE_EVENT = ExposureEvent(
    id="e1",
    exposure_id=EXPOSURE.id,
    kind=ExposureEventKind.SEEN,
    occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    received_at=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC),
)


@given(decisions())
@UNHURRIED
def test_decisions_come_back_bit_by_bit(decision: Decision) -> None:
    assert decode_decision(encode_event(decision)) == decision


@given(decisions())
@UNHURRIED
def test_a_record_says_itself_what_was_drawn(decision: Decision) -> None:
    record = decode_decision(encode_event(decision))
    index = sample(record.distribution, record.id)
    assert (record.actions[index], record.distribution[index]) == (decision.action, decision.probability)


@given(OUTCOMES)
@UNHURRIED
def test_outcomes_come_back_as_they_were(outcome: Outcome) -> None:
    assert decode_outcome(encode_event(outcome)) == outcome


@given(EXPOSURES)
@UNHURRIED
def test_exposures_come_back_as_they_were(exposure: Exposure) -> None:
    assert decode_exposure(encode_event(exposure)) == exposure


@given(EXPOSURE_EVENTS)
@UNHURRIED
def test_events_of_exposures_come_back_as_they_were(event: ExposureEvent) -> None:
    assert decode_exposure_event(encode_event(event)) == event


def test_events_are_written_as_they_always_were() -> None:
    assert encode_event(OUTCOME) == (
        b'{"v":1,"id":"o1","decision_id":"0198c0de-0000-7000-8000-000000000001","kind":"PURCHASED",'
        b'"occurred_at":"2026-01-01T00:00:00+00:00","received_at":"2026-01-01T00:00:01+00:00","product_id":null,'
        b'"quantity":null,"session":null,"trace_id":null,"duration_s":null}'
    )
    assert encode_event(DECISION) == (
        b'{"v":1,"id":"0198c0de-0000-7000-8000-000000000001","at":"2026-01-01T00:00:00+00:00",'
        b'"context":{"placement":"HOME","persona":null,"segment":null,"category":null,"region":null,"season":null,'
        b'"device":null},"actions":["a","b"],"distribution":[0.25,0.75],"action":"b","probability":0.75,'
        b'"policy":"uniform@1","mode":"LOG_ONLY","reason":"DRAWN","subject":null,"session":null,"trace_id":null}'
    )


def test_members_that_are_not_known_are_ignored() -> None:
    value = orjson.loads(encode_event(DECISION))
    value["floor"] = 0.05
    value["context"]["weather"] = "rain"
    assert decode_decision(orjson.dumps(value)) == DECISION


def test_an_outcome_from_before_there_was_a_duration_has_none() -> None:
    value = orjson.loads(encode_event(replace(OUTCOME, duration_s=3.0)))
    del value["duration_s"]
    assert decode_outcome(orjson.dumps(value)) == OUTCOME


@pytest.mark.parametrize("text", [b"-0.5", b"86400.5", b"1e400", b'"3"', b"true", b"3"])
def test_a_duration_that_cannot_be_is_refused(text: bytes) -> None:
    value = encode_event(replace(OUTCOME, duration_s=1.25))
    with pytest.raises(InvalidEvent):
        decode_outcome(value.replace(b"1.25", text))


def test_other_offsets_are_read_as_utc() -> None:
    elsewhere = replace(OUTCOME, occurred_at=OUTCOME.occurred_at.astimezone(timezone(timedelta(hours=-5))))
    assert decode_outcome(encode_event(elsewhere)).occurred_at.tzinfo is UTC


@pytest.mark.parametrize("name", sorted(orjson.loads(encode_event(DECISION))))
def test_a_decision_without_one_of_its_members_is_refused(name: str) -> None:
    value = orjson.loads(encode_event(DECISION))
    del value[name]
    with pytest.raises(InvalidEvent, match=f"decision.{name} is missing"):
        decode_decision(orjson.dumps(value))


@pytest.mark.parametrize("name", sorted(orjson.loads(encode_event(OUTCOME)).keys() - {"duration_s"}))
def test_an_outcome_without_one_of_its_members_is_refused(name: str) -> None:
    value = orjson.loads(encode_event(OUTCOME))
    del value[name]
    with pytest.raises(InvalidEvent, match=f"outcome.{name} is missing"):
        decode_outcome(orjson.dumps(value))


@pytest.mark.parametrize("name", sorted(orjson.loads(encode_event(EXPOSURE))))
def test_an_exposure_without_one_of_its_members_is_refused(name: str) -> None:
    value = orjson.loads(encode_event(EXPOSURE))
    del value[name]
    with pytest.raises(InvalidEvent, match=f"exposure.{name} is missing"):
        decode_exposure(orjson.dumps(value))


@pytest.mark.parametrize("name", sorted(orjson.loads(encode_event(EXPOSURE_EVENT))))
def test_an_event_of_an_exposure_without_one_of_its_members_is_refused(name: str) -> None:
    value = orjson.loads(encode_event(EXPOSURE_EVENT))
    del value[name]
    with pytest.raises(InvalidEvent, match=f"exposure event.{name} is missing"):
        decode_exposure_event(orjson.dumps(value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2),
        ("at", "2026-01-01T00:00:00"),
        ("variant", None),
        ("subject", 7),
        ("hash_version", "2"),
        ("hash_version", True),
        ("decision_id", 1),
    ],
)
def test_an_exposure_with_a_member_that_does_not_fit_is_refused(name: str, value: object) -> None:
    members = orjson.loads(encode_event(EXPOSURE)) | {name: value}
    with pytest.raises(InvalidEvent, match="exposure"):
        decode_exposure(orjson.dumps(members))


@pytest.mark.parametrize(("name", "value"), [("kind", "DISPLAYED"), ("exposure_id", None), ("occurred_at", 0)])
def test_an_event_of_an_exposure_with_a_member_that_does_not_fit_is_refused(name: str, value: object) -> None:
    members = orjson.loads(encode_event(EXPOSURE_EVENT)) | {name: value}
    with pytest.raises(InvalidEvent, match="exposure event"):
        decode_exposure_event(orjson.dumps(members))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2),
        ("v", "1"),
        ("id", 7),
        ("at", "yesterday"),
        ("at", "2026-01-01T00:00:00"),
        ("context", ["HOME"]),
        ("context", {"placement": "HOME"}),
        ("actions", ["a", 1]),
        ("actions", ["a", "b", "c"]),
        ("distribution", [0.25, None]),
        ("action", "c"),
        ("probability", "0.75"),
        ("probability", True),
        ("mode", "GUESSED"),
        ("session", 3),
    ],
)
def test_a_decision_with_a_member_that_does_not_fit_is_refused(name: str, value: object) -> None:
    members = orjson.loads(encode_event(DECISION)) | {name: value}
    with pytest.raises(InvalidEvent, match="decision"):
        decode_decision(orjson.dumps(members))


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"null", b"\xff", b'"x"'])
def test_what_is_no_object_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidEvent, match="outcome"):
        decode_outcome(value)


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="cannot be written"):
        encode_event(replace(OUTCOME, product_id="\ud800"))
    with pytest.raises(InvalidEvent, match="cannot be written"):
        encode_event(replace(EXPOSURE, subject="\ud800"))
    with pytest.raises(InvalidEvent, match="cannot be written"):
        encode_event(replace(EXPOSURE_EVENT, session="\ud800"))
