"""What is packed for whoever writes into the hub comes out as it would have been written one by one."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, TraceFlags

from personalization.codec import encode_event
from personalization.errors import InvalidEvent
from personalization.events import Decision, Drawn, Exposure
from personalization.hub.topics import DECISIONS, EXPOSURES, OUTCOMES, NewEvent
from personalization.journal.parcels import pack_decisions, pack_exposures, unpack
from personalization.tracing import headers_of
from tests.personalization.test_codec import DECISION, UNHURRIED, decisions
from tests.personalization.test_codec import EXPOSURES as ANY_EXPOSURE

SPANS = st.builds(
    SpanContext,
    trace_id=st.integers(0, 2**128 - 1),
    span_id=st.integers(0, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.sampled_from([TraceFlags(0), TraceFlags(1)]),
)


def written(event: Decision | Exposure, span: SpanContext) -> NewEvent:
    """The event by the codec alone."""
    return NewEvent(event.id, event.id, encode_event(event), headers_of(span))


@given(st.lists(st.tuples(decisions(), SPANS), min_size=1, max_size=8), st.data())
@UNHURRIED
def test_decisions(recorded: Sequence[tuple[Decision, SpanContext]], data: st.DataObject) -> None:
    drawn = [(Drawn.of(decision), span) for decision, span in recorded]
    chances = [each.chance for each, _ in drawn]
    shared = [(each._replace(chance=data.draw(st.sampled_from(chances))), span) for each, span in drawn]
    assert unpack(DECISIONS, pack_decisions(shared)) == [written(each.decision, span) for each, span in shared]


@given(st.lists(st.tuples(ANY_EXPOSURE, SPANS), min_size=1, max_size=8))
@UNHURRIED
def test_exposures(recorded: Sequence[tuple[Exposure, SpanContext]]) -> None:
    assert unpack(EXPOSURES, pack_exposures(recorded)) == [written(exposure, span) for exposure, span in recorded]


@given(decisions())
@UNHURRIED
def test_a_decision_taken_apart_is_the_same_decision(decision: Decision) -> None:
    assert Drawn.of(decision).decision == decision


def test_what_decisions_share_is_packed_once() -> None:
    one = Drawn.of(DECISION)
    span = SpanContext(1, 1, is_remote=False)
    assert pack_decisions([(one, span)] * 64).count(b'"placement"') == 1


def test_what_no_json_can_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        pack_decisions([(Drawn.of(replace(DECISION, subject="\ud800")), SpanContext(1, 1, is_remote=False))])


def test_only_what_journals_carry_is_packed() -> None:
    with pytest.raises(InvalidEvent, match="'outcomes' are known, those of decisions, exposures are"):
        unpack(OUTCOMES, b"[]")
