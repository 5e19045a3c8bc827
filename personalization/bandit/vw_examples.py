"""Contexts and actions as VW's text: the one encoder, for serving and for learning.

VW hashes the features of its text and its JSON differently, and reads space, `|`, `:` and line ends as its own. So all
goes through here. The namespaces start with different letters, which is how interactions name them:

    shared |c placement=HOME persona=BUILDER segment=s3 region=north device=PHONE |k category=c7 |s season=SUMMER
    |a action=bestsellers
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

from personalization.bandit.lessons import Lesson
from personalization.errors import InvalidFeature
from personalization.events import DecisionContext, is_shelf

UNKNOWN = "?"
"""The value of a member that is not known; no text becomes this, since `?` is escaped."""

MOST_CHARACTERS = 256

_plain = re.compile(rf"[A-Za-z0-9_.~-]{{1,{MOST_CHARACTERS}}}").fullmatch


def question_text(context: DecisionContext, actions: Sequence[str]) -> str:
    """The lines that ask for a distribution: one that is shared, then one an action.

    Raises:
        InvalidFeature: a text is longer than 256 characters or not valid Unicode.
    """
    return "\n".join([_shared(context), *_action_lines(context, actions)])


def lesson_text(lesson: Lesson) -> str:
    """The same lines, with cost and probability before the action that was tried.

    Raises:
        InvalidFeature: as above.
    """
    lines = [_shared(lesson.context), *_action_lines(lesson.context, lesson.actions)]
    lines[lesson.index + 1] = f"0:{lesson.cost!r}:{lesson.probability!r} {lines[lesson.index + 1]}"
    return "\n".join(lines)


def _shared(context: DecisionContext) -> str:
    return (
        f"shared |c placement={_value(context.placement)} persona={_value(context.persona)}"
        f" segment={_value(context.segment)} region={_value(context.region)} device={_value(context.device)}"
        f" |k category={_value(context.category)} |s season={_value(context.season)}"
    )


def _action_lines(context: DecisionContext, actions: Sequence[str]) -> list[str]:
    """A component's version is an action of that component only: `v2` of two components has nothing in common."""
    owner = "" if is_shelf(context.placement) else f"{_value(context.placement)}/"
    return [f"|a action={owner}{_value(action)}" for action in actions]


def _value(text: str | None) -> str:
    """The text with everything but letters, digits and `_.~-` as %XX of its UTF-8; different texts stay different."""
    if text is None:
        return UNKNOWN
    if _plain(text):
        return text
    if len(text) > MOST_CHARACTERS:
        raise InvalidFeature(f"a feature has {len(text)} characters, at most {MOST_CHARACTERS} are taken")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise InvalidFeature(f"a feature is not valid Unicode: {text[:64]!r}") from error
