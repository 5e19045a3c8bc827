"""Which decisions the service makes under each mode, for whom, and what of it may be learned."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from personalization.bandit.canaries import Canary
from personalization.bandit.lessons import explored
from personalization.bandit.policy import Policy
from personalization.bandit.uniform import Uniform
from personalization.clock import SystemClock
from personalization.decision.conduct import Conduct
from personalization.decision.live_policy import LivePolicies, Load
from personalization.decision.question import Question
from personalization.events import DecisionContext, DecisionMode
from personalization.registry import ModelRegistry, StoredModel
from tests.personalization.lessons import ACTIONS, context_of
from tests.personalization.test_decisions import Fixed, Setup, broken
from tests.personalization.test_sampling import UNHURRIED

CONTEXT = context_of(1)
MODES = (DecisionMode.LOG_ONLY, DecisionMode.ONLINE, DecisionMode.APPRENTICE, DecisionMode.FALLBACK)
SKEWED = (0.97, 0.01, 0.01, 0.01)


def skewed(stored: StoredModel) -> Policy:
    return Fixed(lambda: SKEWED)


class Broken(Fixed):
    """A policy that only answers its canaries, and nobody after that."""

    def __init__(self) -> None:
        answers = iter([SKEWED])
        super().__init__(lambda: next(answers, None) or broken())


async def live_over(folder: Path, load: Load = skewed) -> LivePolicies:
    """A live model of `shelf` and one of `component` that give `SKEWED`."""
    registry = ModelRegistry(folder, SystemClock())
    for name in ("shelf", "component"):
        registry.add(name, b"model", canaries=[Canary(CONTEXT, ACTIONS, SKEWED)])
        registry.promote(name, 1, {})
    live = LivePolicies.over(registry, load, CollectorRegistry())
    for policy in (live.shelf, live.component):
        assert await policy.refresh()
    return live


async def test_log_only_never_lets_a_model_decide(tmp_path: Path) -> None:
    setup = Setup(live=await live_over(tmp_path), conduct=Conduct(DecisionMode.LOG_ONLY, holdback=1.0))
    decision = setup.service.decide(CONTEXT, ACTIONS, subject="visitor:1")
    assert (decision.mode, decision.policy, decision.distribution) == (DecisionMode.LOG_ONLY, "uniform@1", (0.25,) * 4)
    assert explored(decision)


async def test_online_lets_the_model_decide(tmp_path: Path) -> None:
    setup = Setup(live=await live_over(tmp_path))
    decision = setup.service.decide(CONTEXT, ACTIONS, subject="visitor:1")
    assert (decision.mode, decision.reason, decision.policy) == (DecisionMode.ONLINE, "DRAWN", "fixed@7")
    assert decision.distribution == pytest.approx(SKEWED)
    assert explored(decision)


async def test_online_without_a_model_is_log_only_and_holds_nobody_back() -> None:
    setup = Setup(conduct=Conduct(DecisionMode.ONLINE, holdback=1.0))
    decision = setup.service.decide(CONTEXT, ACTIONS, subject="visitor:1")
    assert (decision.mode, decision.policy) == (DecisionMode.LOG_ONLY, "uniform@1")


async def test_the_holdback_group_gets_the_default_with_the_probability_it_had(tmp_path: Path) -> None:
    setup = Setup(live=await live_over(tmp_path), conduct=Conduct(holdback=1.0))
    decision = setup.service.decide(CONTEXT, ACTIONS, default_action="bestsellers", subject="visitor:1")
    assert (decision.mode, decision.reason, decision.policy) == (DecisionMode.ONLINE, "HOLDBACK", "default@1")
    assert (decision.action, decision.distribution) == ("bestsellers", (0.0, 0.0, 1.0, 0.0))
    assert not explored(decision)
    assert await setup.journalled() == [decision]


async def test_components_and_nameless_visitors_are_not_held_back(tmp_path: Path) -> None:
    setup = Setup(live=await live_over(tmp_path), conduct=Conduct(holdback=1.0))
    component = setup.service.decide(DecisionContext("component:hero"), ACTIONS, subject="visitor:1")
    nameless = setup.service.decide(CONTEXT, ACTIONS)
    assert {component.reason, nameless.reason} == {"DRAWN"}
    assert setup.service.decide(CONTEXT, ACTIONS, session="s").reason == "HOLDBACK"


@given(st.floats(0.0, 1.0), st.uuids())
@UNHURRIED
def test_a_subject_is_held_back_always_or_never_and_more_of_them_with_a_larger_share(share: float, who: object) -> None:
    held = Conduct(holdback=share).holds_back(CONTEXT, str(who), None)
    assert held == Conduct(holdback=share).holds_back(DecisionContext("BASKET"), str(who), "another session")
    assert not held or Conduct(holdback=min(1.0, share + 0.1)).holds_back(CONTEXT, str(who), None)


def test_the_share_held_back_is_the_one_asked_for() -> None:
    conduct = Conduct(holdback=0.05)
    held = sum(conduct.holds_back(CONTEXT, f"visitor:{number}", None) for number in range(20_000))
    assert 800 < held < 1200


async def test_an_apprentice_without_a_model_serves_the_default_to_learn_from() -> None:
    setup = Setup(conduct=Conduct(DecisionMode.APPRENTICE))
    decision = setup.service.decide(CONTEXT, ACTIONS, default_action="trending", subject="visitor:1")
    assert (decision.mode, decision.action, decision.reason) == (DecisionMode.APPRENTICE, "trending", "IMITATED")


async def test_switched_off_everyone_gets_the_default(tmp_path: Path) -> None:
    setup = Setup(live=await live_over(tmp_path), conduct=Conduct(DecisionMode.FALLBACK))
    decision = setup.service.decide(CONTEXT, ACTIONS, default_action="trending")
    assert (decision.mode, decision.action, decision.reason) == (DecisionMode.FALLBACK, "trending", "SWITCHED_OFF")


@pytest.mark.parametrize("mode", [DecisionMode.ONLINE, DecisionMode.APPRENTICE])
async def test_a_model_that_fails_gives_the_default(tmp_path: Path, mode: DecisionMode) -> None:
    setup = Setup(live=await live_over(tmp_path, lambda _stored: Broken()), conduct=Conduct(mode))
    decision = setup.service.decide(CONTEXT, ACTIONS, default_action="trending")
    assert (decision.mode, decision.action, decision.reason) == (DecisionMode.FALLBACK, "trending", "POLICY_FAILED")


async def test_one_page_is_decided_by_one_policy(tmp_path: Path) -> None:
    setup = Setup(live=await live_over(tmp_path))
    questions = [Question(context_of(number), ACTIONS, subject="visitor:1") for number in range(10)]
    assert {each.policy for each in setup.service.propose_many(questions)} == {"fixed@7"}


@given(
    st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=8),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
)
@UNHURRIED
def test_no_action_is_drawn_below_the_floor(weights: list[float], share: float, own: float) -> None:
    total = sum(weights)
    given = tuple(each / total for each in weights)
    actions = tuple(f"a{number}" for number in range(len(weights)))
    setup = Setup(Fixed(lambda: given), conduct=Conduct(floor=share))
    question = Question(CONTEXT, actions, floor=own / len(actions))
    (decision,) = setup.service.propose_many([question])
    assert decision.mode is DecisionMode.LOG_ONLY
    assert min(decision.distribution) >= max(share, own) / len(actions) - 1e-12
    assert sum(decision.distribution) == pytest.approx(1.0, abs=1e-9)


def test_a_distribution_above_the_floor_is_logged_as_it_is() -> None:
    setup = Setup(Uniform(), conduct=Conduct(floor=0.05))
    assert setup.service.decide(CONTEXT, ACTIONS).distribution == (0.25,) * 4


async def test_flags_are_told_which_policy_decides_about_them(tmp_path: Path) -> None:
    live = await live_over(tmp_path)
    versions = {mode: Setup(live=live, conduct=Conduct(mode)).service.policy_version for mode in MODES}
    assert versions == {
        DecisionMode.LOG_ONLY: "uniform@1",
        DecisionMode.ONLINE: "fixed@7",
        DecisionMode.APPRENTICE: "default@1",
        DecisionMode.FALLBACK: "default@1",
    }
    assert live.at("flag:banner") is live.at("component:hero") is live.component
    assert live.at("HOME") is live.shelf
