"""A candidate takes over only when it is better beyond doubt."""

import orjson
import pytest

from personalization.events import DecisionContext
from personalization.learning.baselines import BEST_FIXED, UNIFORM, best_fixed
from personalization.learning.estimators import Method
from personalization.learning.promotion import PromotionRules, Verdict, judge
from tests.learning.logs import ACTIONS, EVEN, SKEWED, Known, at, liking, log, worth

GOOD = Known("good@1", liking)
SAME = Known("same@1", lambda _: SKEWED)


def worse(context: DecisionContext) -> tuple[float, ...]:
    best = liking(context)
    return tuple((1.0 - each) / 3.0 for each in best)


def test_a_better_candidate_is_promoted_and_a_worse_one_is_not() -> None:
    trial = judge([GOOD, Known("bad@1", worse)], SAME, log(4000, 1, subjects=400))
    good, bad = trial.candidates
    assert good.verdict is Verdict.PROMOTE
    assert good.gains["same@1"].low > 0.0
    assert bad.verdict is Verdict.KEEP_LIVE
    assert bad.gains["same@1"].high < 0.0
    assert trial.best() is good
    assert good.scores.values[Method.DR].low <= worth(liking) <= good.scores.values[Method.DR].high


def test_a_candidate_like_the_live_policy_is_not_better() -> None:
    trial = judge([Known("twin@1", liking)], GOOD, log(4000, 2))
    assert trial.candidates[0].gains["good@1"].value == 0.0
    assert trial.candidates[0].verdict is Verdict.KEEP_LIVE
    assert trial.best() is None


def test_without_a_live_policy_even_chances_are_to_be_beaten() -> None:
    trial = judge([GOOD], None, log(4000, 3))
    assert trial.live == UNIFORM
    assert trial.candidates[0].promoted
    assert {each.policy for each in trial.others} == {UNIFORM, BEST_FIXED}


@pytest.mark.parametrize(("rows", "subjects"), [(150, 150), (4000, 12)])
def test_too_little_is_not_enough_data(rows: int, subjects: int) -> None:
    trial = judge([GOOD], SAME, log(rows, 4, subjects=subjects))
    assert trial.candidates[0].verdict is Verdict.NOT_ENOUGH_DATA
    assert trial.best() is None


def test_a_log_with_false_probabilities_is_in_doubt() -> None:
    rows = log(4000, 5)
    false = [type(each)(each.context, each.actions, EVEN, each.index, each.reward, each.cluster) for each in rows]
    assert judge([GOOD], SAME, false).candidates[0].verdict is Verdict.LOG_IN_DOUBT


def test_more_candidates_are_asked_for_more() -> None:
    rows = log(1000, 6)
    alone = judge([GOOD], SAME, rows).candidates[0].gains["same@1"]
    among = judge([GOOD, *(Known(f"x@{each}", worse) for each in range(9))], SAME, rows).candidates[0].gains["same@1"]
    assert among.value == alone.value
    assert among.low < alone.low


def test_better_than_the_live_policy_but_not_than_one_fixed_action() -> None:
    """A live policy may be so bad that beating it says little."""
    never = Known("never@1", lambda _: (0.01, 0.01, 0.01, 0.97))
    rather = Known("rather@1", lambda _: (0.02, 0.03, 0.03, 0.92))
    always = Known("always@1", lambda _: (0.97, 0.01, 0.01, 0.01))
    rows = log(20_000, 7)
    trial = judge([rather, always], never, rows, PromotionRules(least_effective=100))
    assert [each.verdict for each in trial.candidates] == [Verdict.KEEP_LIVE, Verdict.KEEP_LIVE]
    assert trial.candidates[1].gains["never@1"].low > 0.0


def test_the_best_fixed_action_is_found_and_gives_way_where_it_is_not_offered() -> None:
    fixed = best_fixed(log(4000, 8))
    assert fixed.distribution(at("BUILDER"), ACTIONS) == (1.0, 0.0, 0.0, 0.0)
    assert fixed.distribution(at("BUILDER"), ("v1", "v2")) == (0.5, 0.5)


def test_the_evidence_holds_every_number_and_can_be_written() -> None:
    trial = judge([GOOD], SAME, log(2000, 9))
    evidence = orjson.loads(orjson.dumps(trial.evidence("good@1")))
    assert evidence["verdict"] == "promote"
    assert evidence["gains"]["same@1"]["low"] == trial.candidates[0].gains["same@1"].low
    assert [each["policy"] for each in evidence["scores"]] == ["good@1", UNIFORM, BEST_FIXED, "same@1"]
    assert set(evidence["weight_sums"]) == set(ACTIONS)
