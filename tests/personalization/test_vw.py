"""A VW model: learns what is liked, gives proper distributions, is the same bytes everywhere, and takes no poison."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from functools import cache
from hashlib import sha256
from math import fsum, inf, nan
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vowpalwabbit import Workspace

from personalization.bandit.canaries import Canary, check_canaries
from personalization.bandit.lessons import Lesson, Refusal, lesson_of
from personalization.bandit.policy import Learner
from personalization.bandit.vw import VwLearner, VwPolicy
from personalization.bandit.vw_examples import lesson_text, question_text
from personalization.bandit.vw_settings import VwSettings
from personalization.errors import InvalidDistribution, InvalidFeature, InvalidModel, ModelDamaged
from personalization.events import DecisionContext, DecisionMode, JoinedDecision
from tests.personalization.lessons import (
    ACTIONS,
    PERSONAS,
    context_of,
    imitated_of,
    joined_of,
    liked,
    snapshot_of,
    taught,
)
from tests.personalization.test_sampling import UNHURRIED

ROOT = Path(__file__).parents[2]
SETTINGS = VwSettings()


def policy_of(model: bytes, settings: VwSettings = SETTINGS) -> VwPolicy:
    return VwPolicy(model, settings, "shelf@1")


def test_it_learns_what_each_persona_likes() -> None:
    policy = policy_of(snapshot_of(2000).model)
    for number in range(len(PERSONAS)):
        context = context_of(number)
        distribution = policy.distribution(context, ACTIONS)
        assert ACTIONS[distribution.index(max(distribution))] == liked(context)
        assert max(distribution) > 0.6


def test_an_apprentice_comes_to_agree_with_the_default() -> None:
    learner = VwLearner(SETTINGS)
    for number in range(1000):
        assert learner.learn(imitated_of(number)) is None
    policy = policy_of(learner.model())
    assert min(policy.distribution(context_of(each), ACTIONS)[2] for each in range(60)) > 0.8


@given(st.integers(0, 59), st.integers(1, 4))
@UNHURRIED
def test_a_distribution_sums_to_one_keeps_the_floor_and_never_changes(number: int, count: int) -> None:
    policy = policy_of(snapshot_of(300).model)
    first = policy.distribution(context_of(number), ACTIONS[:count])
    assert abs(fsum(first) - 1.0) <= 1e-9
    assert min(first) >= SETTINGS.floor_share / count
    assert all(policy.distribution(context_of(number), ACTIONS[:count]) == first for _ in range(5))


def test_without_actions_there_is_no_distribution() -> None:
    policy = policy_of(snapshot_of(300).model)
    with pytest.raises(InvalidDistribution):
        policy.distribution(context_of(1), ())
    with pytest.raises(InvalidFeature):
        policy.distribution(context_of(1), ("x" * 300,))
    assert policy.version == "shelf@1"


def test_it_does_what_the_librarys_own_methods_do() -> None:
    """The short way past the library's wrapper gives the same model and the same predictions."""
    reference = Workspace(arg_list=SETTINGS.arguments())
    for number in range(200):
        lesson = lesson_of(joined_of(number))
        assert isinstance(lesson, Lesson)
        reference.learn(lesson_text(lesson))
    policy = policy_of(taught(0, 200).model(), replace(SETTINGS, floor_share=1e-9))
    for number in range(60):
        expected = reference.predict(question_text(context_of(number), ACTIONS))
        assert policy.distribution(context_of(number), ACTIONS) == pytest.approx(expected, abs=1e-6)


def test_the_model_is_the_same_bytes_when_learning_was_interrupted() -> None:
    straight = taught(0, 300).model()
    assert taught(150, 300, taught(0, 150).model()).model() == straight
    watched = taught(0, 150)
    watched.snapshot()
    watched.health()
    for number in range(150, 300):
        watched.learn(joined_of(number))
    assert watched.model() == straight


async def test_the_model_is_the_same_bytes_in_every_process() -> None:
    code = (
        "import sys; from hashlib import sha256; from tests.personalization.lessons import taught;"
        "sys.stdout.write(sha256(taught(0, 300).model()).hexdigest())"
    )
    digests = []
    for seed in ("1", "2"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=PIPE, cwd=ROOT, env={"PYTHONHASHSEED": seed}
        )
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
        digests.append(output.decode())
    assert digests == [sha256(taught(0, 300).model()).hexdigest()] * 2


def changed(**changes: Any) -> JoinedDecision:
    return replace(joined_of(7), decision=replace(joined_of(7).decision, **changes))


BAD_NUMBER = st.sampled_from([nan, inf, -inf, 0.0, -0.5, 1.0000001, 1e300, -1e-300, 1e-320])
POISON = st.one_of(
    BAD_NUMBER.map(lambda value: changed(probability=value)),
    st.sampled_from([nan, inf, -inf, -1e-9, 3.0001, 1e300]).map(lambda value: replace(joined_of(7), reward=value)),
    st.just(changed(actions=(), distribution=())),
    st.just(changed(action="nothing")),
    st.just(changed(actions=("trending",) * 4, action="trending")),
    st.lists(BAD_NUMBER | st.floats(0, 1), max_size=4).map(lambda row: changed(distribution=(*row, nan))),
    st.sampled_from(["\ud800", "x" * 10_000]).map(lambda text: changed(context=DecisionContext("HOME", category=text))),
    st.just(changed(actions=("\ud800", *ACTIONS[1:]), action="\ud800")),
)


@given(st.lists(st.tuples(st.integers(0, 20), POISON), max_size=10))
@UNHURRIED
def test_after_poison_the_model_is_byte_equal_to_one_that_never_saw_it(
    doses: list[tuple[int, JoinedDecision]],
) -> None:
    learner = VwLearner(SETTINGS)
    for number in range(21):
        for _, poison in (dose for dose in doses if dose[0] == number):
            refusal = learner.learn(poison)
            assert refusal is not None
            assert refusal.poison
        assert learner.learn(joined_of(number)) is None
    assert learner.model() == model_of_21()
    assert learner.health().well


@cache
def model_of_21() -> bytes:
    return taught(0, 21).model()


def test_known_actions_are_the_only_ones() -> None:
    learner: Learner = VwLearner(SETTINGS, known_actions=ACTIONS[:3])
    assert learner.learn(joined_of(1)) is Refusal.UNKNOWN_ACTION


def test_what_was_not_explored_changes_nothing() -> None:
    learner = VwLearner(SETTINGS)
    assert learner.learn(changed(mode=DecisionMode.FALLBACK)) is Refusal.NOT_EXPLORED
    assert learner.learn(replace(joined_of(7), displayed=False)) is Refusal.NOT_DISPLAYED
    assert learner.model() == VwLearner(SETTINGS).model()


def test_the_health_of_weights_tells_a_sick_model() -> None:
    """Straight past the checks, one infinite cost is enough."""
    learner = taught(0, 50)
    health = learner.health()
    assert health.well
    assert health.weights > 20
    assert 0 < health.largest < 2
    sick = Workspace(arg_list=SETTINGS.arguments())
    sick.learn(lesson_text(Lesson(context_of(1), ACTIONS, 0, inf, 0.25)))
    model = saved(sick)
    ill = VwLearner(SETTINGS, model)
    assert not ill.health().well
    with pytest.raises(InvalidDistribution):
        policy_of(model).distribution(context_of(1), ACTIONS)


def saved(workspace: Workspace) -> bytes:
    with NamedTemporaryFile(suffix=".vw") as file:
        workspace.save(file.name)
        return Path(file.name).read_bytes()


def test_a_snapshot_answers_its_canaries() -> None:
    snapshot = snapshot_of(300)
    assert 0 < len(snapshot.canaries) <= 8
    check_canaries(policy_of(snapshot.model), snapshot.canaries)
    resumed = VwLearner(SETTINGS, snapshot.model, canaries=snapshot.canaries)
    assert resumed.snapshot() == snapshot


def test_a_model_without_canaries_or_with_other_answers_is_damaged() -> None:
    policy = policy_of(snapshot_of(300).model)
    with pytest.raises(ModelDamaged, match="no canaries"):
        check_canaries(policy, ())
    with pytest.raises(ModelDamaged, match="answers"):
        check_canaries(policy, [Canary(context_of(1), ACTIONS, (0.25,) * 4)])


def test_a_file_that_was_cut_off_is_refused_by_vw_or_by_the_canaries() -> None:
    """Most of these load without a word."""
    snapshot = snapshot_of(300)
    silent = 0
    for length in range(0, len(snapshot.model) - 400, 97):
        try:
            policy = policy_of(snapshot.model[:length])
        except InvalidModel:
            continue
        silent += 1
        with pytest.raises((ModelDamaged, InvalidDistribution)):
            check_canaries(policy, snapshot.canaries)
    assert silent > 10


@pytest.mark.parametrize("model", [b"", b"no model", b"\x00" * 500])
def test_bytes_that_are_no_model_are_refused(model: bytes) -> None:
    with pytest.raises(InvalidModel):
        policy_of(model)
    with pytest.raises(InvalidModel):
        VwLearner(SETTINGS, model)


def test_settings_are_kept_in_a_manifest_and_read_back() -> None:
    settings = VwSettings(("ca", "ksa"), 3.0, 0.25, 0.1, 16, 0.1)
    assert VwSettings.of(settings.record()) == settings
    assert VwSettings.of({}) == VwSettings()


@pytest.mark.parametrize(
    "record",
    [
        {"bits": "eighteen"},
        {"bits": 0},
        {"bits": True},
        {"gamma": 1.0},
        {"gamma_scale": 0.0},
        {"learning_rate": inf},
        {"floor_share": 0.0},
        {"floor_share": 1.5},
        {"interactions": "ca xyz"},
        {"interactions": 3},
    ],
)
def test_settings_that_cannot_be_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(InvalidModel):
        VwSettings.of(record)
