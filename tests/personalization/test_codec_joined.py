"""Joined decisions come back from bytes as they went in, and nothing else does."""

from datetime import datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.codec import decode_joined, encode_joined
from personalization.errors import InvalidEvent
from personalization.events import Decision, JoinedDecision, Outcome
from tests.personalization.test_codec import DECISION, OUTCOME, OUTCOMES, TIME, UNHURRIED, decisions


@given(decisions(), st.lists(OUTCOMES, max_size=3), st.floats(-1e9, 1e9), st.booleans(), TIME)
@UNHURRIED
def test_a_joined_decision_comes_back_as_it_was(
    decision: Decision, outcomes: list[Outcome], reward: float, displayed: bool, joined_at: datetime
) -> None:
    joined = JoinedDecision(decision, tuple(outcomes), reward, displayed, joined_at)
    assert decode_joined(encode_joined(joined)) == joined


@pytest.mark.parametrize(
    "change",
    [
        {"displayed": 1},
        {"displayed": None},
        {"reward": "3"},
        {"outcomes": {}},
        {"outcomes": [[]]},
        {"outcomes": [{"id": "o1"}]},
        {"decision": None},
        {"decision": {"id": "d1"}},
        {"joined_at": "yesterday"},
    ],
)
def test_a_joined_decision_with_a_wrong_member_is_refused(change: dict[str, object]) -> None:
    members = orjson.loads(encode_joined(JoinedDecision(DECISION, (OUTCOME,), 1.0, True, DECISION.at)))
    with pytest.raises(InvalidEvent):
        decode_joined(orjson.dumps(members | change))
