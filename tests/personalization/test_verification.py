"""A past decision is decided once more; what does not fit is found."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.bandit.uniform import Uniform
from personalization.bandit.vw import VwPolicy
from personalization.bandit.vw_settings import VwSettings
from personalization.decision.conduct import Conduct
from personalization.decision.verification import Verdict, contributions, verify_distribution, verify_draw
from personalization.events import Decision, DecisionContext, DecisionMode
from tests.personalization.lessons import ACTIONS, context_of, liked, snapshot_of
from tests.personalization.test_decisions import Fixed, Setup, broken
from tests.personalization.test_sampling import UNHURRIED


def decided(policy: object = None, **conduct: Any) -> Decision:
    setup = Setup(policy or Uniform(), conduct=Conduct(**conduct))  # type: ignore[arg-type]
    return setup.service.decide(context_of(1), ACTIONS, default_action="bestsellers", subject="visitor:1")


def test_what_was_logged_is_confirmed() -> None:
    decision = decided()
    assert verify_draw(decision).verdict is Verdict.CONFIRMED
    finding = verify_distribution(decision, Uniform())
    assert (finding.verdict, finding.detail) == (Verdict.CONFIRMED, "uniform@1 gives the same")


@pytest.mark.parametrize("mode", [DecisionMode.FALLBACK, DecisionMode.APPRENTICE])
def test_a_default_is_confirmed_too(mode: DecisionMode) -> None:
    decision = decided(mode=mode)
    assert verify_draw(decision).verdict is Verdict.CONFIRMED
    assert verify_distribution(decision, None).verdict is Verdict.CONFIRMED
    forged = replace(decision, probability=0.5, distribution=(0.5, 0.0, 0.5, 0.0))
    assert verify_distribution(forged, None).verdict is Verdict.CONTRADICTED


@given(st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4), st.floats(0.0, 1.0))
@UNHURRIED
def test_a_floor_mixed_in_is_found(weights: list[float], share: float) -> None:
    policy = Fixed(lambda: [each / sum(weights) for each in weights])
    decision = decided(policy, floor=share)
    assert verify_distribution(decision, policy).verdict is Verdict.CONFIRMED
    if min(weights) / sum(weights) < share / 4 - 1e-3:
        assert "mixed with a floor" in verify_distribution(decision, policy).detail


def forged(decision: Decision, action: str) -> Decision:
    return replace(decision, action=action, probability=decision.distribution[ACTIONS.index(action)])


def test_another_action_than_the_one_drawn_is_contradicted() -> None:
    decision = decided()
    verdicts = [verify_draw(forged(decision, action)).verdict for action in ACTIONS]
    assert verdicts.count(Verdict.CONFIRMED) == 1
    assert verdicts[ACTIONS.index(decision.action)] is Verdict.CONFIRMED


@pytest.mark.parametrize("changes", [{"probability": 0.3}, {"distribution": (0.25, 0.25, 0.25, 0.3)}])
def test_a_record_that_does_not_add_up_is_contradicted(changes: dict[str, Any]) -> None:
    finding = verify_draw(replace(decided(), **changes))
    assert finding.verdict is Verdict.CONTRADICTED
    assert "sum to" in finding.detail


def test_another_distribution_than_the_policys_is_contradicted() -> None:
    decision = decided()
    sharper = Fixed(lambda: (0.4, 0.3, 0.2, 0.1))
    for policy, distribution in (
        (sharper, (0.1, 0.2, 0.3, 0.4)),
        (sharper, (0.7, 0.1, 0.1, 0.1)),
        (Uniform(), (0.9, 0.1, 0.0, 0.0)),
    ):
        finding = verify_distribution(replace(decision, distribution=distribution), policy)
        assert finding.verdict is Verdict.CONTRADICTED


def test_a_policy_that_is_gone_leaves_it_open_and_one_that_fails_contradicts() -> None:
    decision = decided()
    assert verify_distribution(replace(decision, policy="shelf@3"), None).verdict is Verdict.UNKNOWN
    failing = Fixed(lambda: (0.5, 0.1))
    assert verify_distribution(decision, failing).verdict is Verdict.CONTRADICTED
    with pytest.raises(ZeroDivisionError):
        verify_distribution(decision, Fixed(broken))


def test_the_persona_contributes_most_where_it_decides_what_is_liked() -> None:
    policy = VwPolicy(snapshot_of(2000).model, VwSettings(), "shelf@1")
    context = context_of(1)
    decision = replace(decided(policy), context=context, action=liked(context))
    now = policy.distribution(context, ACTIONS)[ACTIONS.index(decision.action)]
    found = contributions(decision, policy)
    assert {each.member for each in found} == {"persona", "category", "region", "season", "device"}
    assert found[0].member == "persona"
    assert now - found[0].without > 0.3


def test_without_any_member_nothing_contributes() -> None:
    assert contributions(replace(decided(), context=DecisionContext("HOME")), Uniform()) == ()
