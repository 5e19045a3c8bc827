"""One encoder for serving and learning: same features, and no text that breaks out of its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vowpalwabbit import Workspace

from personalization.bandit.lessons import Lesson
from personalization.bandit.vw_examples import lesson_text, question_text
from personalization.bandit.vw_settings import VwSettings
from personalization.errors import InvalidFeature
from personalization.events import DecisionContext
from tests.personalization.test_sampling import UNHURRIED

SPECIAL = " |:\n\r\t%?\x00\x0b\x85\u2028'"
HOSTILE = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(SPECIAL), max_size=40)
BREAKOUT = st.sampled_from(["a|s season=X", "b:9e99", "shared", "c\n0:1:0.5 |a x", "d |a", "%7C", "1"])
MEMBER = st.none() | HOSTILE | BREAKOUT
CONTEXTS = st.builds(DecisionContext, HOSTILE, MEMBER, MEMBER, MEMBER, MEMBER, MEMBER, MEMBER)
ACTIONS = st.lists(HOSTILE, min_size=1, max_size=6, unique=True).map(tuple)


class Parser:
    """VW's own parser of text."""

    def __init__(self) -> None:
        self._workspace = Workspace(arg_list=VwSettings().arguments())

    def features(self, text: str) -> list[list[tuple[int, float]]]:
        """Hash and value of every feature of every line, namespace by namespace."""
        examples = self._workspace.parse(text)
        found = [
            [
                (example.feature(space, index), example.feature_weight(space, index))
                for space in range(example.num_namespaces())
                for index in range(example.num_features_in(space))
            ]
            for example in examples
        ]
        self._workspace.finish_example(examples)
        return found


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser()


def test_the_lines_are_as_documented() -> None:
    context = DecisionContext("HOME", "BUILDER", None, "c 7", "north", "SUMMER", "PHONE")
    lesson = Lesson(context, ("bestsellers", "trending"), 1, 0.5, 0.25)
    assert question_text(context, ("bestsellers", "trending")) == (
        "shared |c placement=HOME persona=BUILDER segment=? region=north device=PHONE"
        " |k category=c%207 |s season=SUMMER\n"
        "|a action=bestsellers\n"
        "|a action=trending"
    )
    assert lesson_text(lesson).splitlines()[1:] == ["|a action=bestsellers", "0:0.5:0.25 |a action=trending"]


def test_a_version_is_an_action_of_its_component_only() -> None:
    text = question_text(DecisionContext("component:hero"), ("v1", "v2"))
    assert text.splitlines()[1:] == ["|a action=component%3Ahero/v1", "|a action=component%3Ahero/v2"]


@given(CONTEXTS, ACTIONS, st.data())
@UNHURRIED
def test_serving_and_learning_see_the_same_features(
    parser: Parser, context: DecisionContext, actions: tuple[str, ...], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(actions) - 1))
    lesson = Lesson(context, actions, index, 0.5, 0.25)
    assert parser.features(lesson_text(lesson)) == parser.features(question_text(context, actions))


@given(CONTEXTS, ACTIONS)
@UNHURRIED
def test_hostile_texts_stay_in_their_place(parser: Parser, context: DecisionContext, actions: tuple[str, ...]) -> None:
    text = question_text(context, actions)
    assert text.isascii()
    assert text.count("\n") == len(actions)
    shared, *lines = parser.features(text)
    plain = parser.features(question_text(DecisionContext("HOME"), ("a",)))
    assert [len(shared), *{len(line) for line in lines}] == [len(line) for line in plain]
    assert {weight for line in (shared, *lines) for _, weight in line} == {1.0}


@given(st.tuples(CONTEXTS, ACTIONS), st.tuples(CONTEXTS, ACTIONS))
@UNHURRIED
def test_different_questions_have_different_lines(
    one: tuple[DecisionContext, tuple[str, ...]], other: tuple[DecisionContext, tuple[str, ...]]
) -> None:
    assert (question_text(*one) == question_text(*other)) == (one == other)


@pytest.mark.parametrize("text", ["x" * 257, "\ud800", "ok\udfff"])
def test_what_no_feature_can_be_is_refused(text: str) -> None:
    for context, action in ((DecisionContext("HOME", category=text), "a"), (DecisionContext("HOME"), text)):
        with pytest.raises(InvalidFeature):
            question_text(context, (action,))
