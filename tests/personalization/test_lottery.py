"""Drawing for many from what a policy said once: the same decisions as asking it each time."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from personalization.bandit.canaries import Canary
from personalization.bandit.vw import VwLearner, VwPolicy
from personalization.bandit.vw_settings import VwSettings
from personalization.clock import SystemClock
from personalization.decision.conduct import Conduct
from personalization.decision.live_policy import LivePolicies
from personalization.decision.question import Question
from personalization.events import DecisionContext, DecisionMode
from personalization.registry import ModelRegistry
from tests.personalization.lessons import ACTIONS
from tests.personalization.test_conduct import CONTEXT, MODES, SKEWED, Broken, live_over
from tests.personalization.test_decisions import Fixed, Setup

QUESTION = Question(CONTEXT, ACTIONS, "trending")


@dataclass(frozen=True, slots=True)
class Asker:
    subject: str
    session: str = "s"
    trace_id: str = "ab" * 16


async def setups(folder: Path, conduct: Conduct, live: bool, load: object) -> tuple[Setup, Setup]:
    """Two services alike, which give the same ids."""
    made: list[LivePolicies | None] = [None, None]
    if live:
        made = [await live_over(folder / name, load) for name in ("one", "other")]  # type: ignore[arg-type]
    one, other = (Setup(live=each, conduct=conduct) for each in made)
    return one, other


@pytest.mark.parametrize("live", [False, True], ids=["no-model", "a-model"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("holdback", [0.0, 0.5])
async def test_it_draws_as_the_service_does(tmp_path: Path, mode: DecisionMode, holdback: float, live: bool) -> None:
    conduct = Conduct(mode, holdback, floor=0.1)
    one, other = await setups(tmp_path, conduct, live, lambda _stored: Fixed(lambda: SKEWED))
    lottery = one.service.lottery(QUESTION)
    for number in range(60):
        asker = Asker(f"visitor:{number}")
        asked = replace(QUESTION, subject=asker.subject, session=asker.session, trace_id=asker.trace_id)
        assert lottery.draw(asker).decision == other.service.draw(asked)


async def test_a_policy_that_fails_is_asked_each_time(tmp_path: Path) -> None:
    setup = Setup(live=await live_over(tmp_path, lambda _stored: Broken()))
    lottery = setup.service.lottery(QUESTION)
    for number in range(3):
        decision = lottery.draw(Asker(f"visitor:{number}")).decision
        assert (decision.mode, decision.action, decision.reason) == (DecisionMode.FALLBACK, "trending", "POLICY_FAILED")


async def test_a_policy_that_takes_over_draws_from_then_on(tmp_path: Path) -> None:
    turned = (0.01, 0.97, 0.01, 0.01)
    registry = ModelRegistry(tmp_path, SystemClock())
    # Both are named alike: what is remembered of the first must not answer for the second.
    live = await live_over(tmp_path, lambda stored: Fixed(lambda: SKEWED if stored.manifest.version == 1 else turned))
    setup = Setup(live=live)
    lottery = setup.service.lottery(QUESTION)
    assert lottery.draw(Asker("visitor:1")).chance.distribution == pytest.approx(SKEWED)
    registry.add("shelf", b"another", canaries=[Canary(CONTEXT, ACTIONS, turned)])
    registry.promote("shelf", 2, {})
    assert await live.shelf.refresh()
    assert lottery.draw(Asker("visitor:1")).chance.distribution == pytest.approx(turned)
    assert setup.service.decide(CONTEXT, ACTIONS).distribution == pytest.approx(turned)


def test_a_model_is_asked_once_for_each_question() -> None:
    settings = VwSettings()
    policy = VwPolicy(VwLearner(settings).model(), settings, "shelf@1")
    asked: list[DecisionContext] = []

    class Counted(Fixed):
        def distribution(self, context: DecisionContext, actions: object) -> tuple[float, ...]:
            asked.append(context)
            return policy.distribution(context, ACTIONS)

    setup = Setup(Counted(lambda: ()))
    contexts = [CONTEXT, DecisionContext("HOME", region="US-W"), DecisionContext("BASKET")]
    for _ in range(5):
        for context in contexts:
            decision = setup.service.decide(context, ACTIONS, subject="visitor:1")
            assert decision.distribution == pytest.approx(policy.distribution(context, ACTIONS))
    assert asked == contexts
