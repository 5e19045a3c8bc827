"""Keys of values that depend on who asks: those put together for a plan are those of all other ways."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanContext

from gateway.execution.answer_plan import OWN_KEYS, OwnKey
from gateway.execution.forms import Form
from resolvers.cache_control import CacheScope
from resolvers.caching.cache import Life
from resolvers.observing import AUDIENCE
from resolvers.plans import Turn

TEXTS = st.text(max_size=12)
FORM = Form(b"form", "Query.field", CacheScope.SEGMENT, Life(60.0), ("page",), keepable=True)


def turn(subject: str, session: str) -> Turn:
    return Turn(subject, session, SpanContext(1, 1, is_remote=False), "1" * 32)


@given(st.sets(st.sampled_from(sorted(AUDIENCE))), st.data(), TEXTS, TEXTS)
def test_a_key_is_that_of_what_was_read(names: set[str], data: st.DataObject, subject: str, session: str) -> None:
    audience, values = tuple(sorted(names)), {"page": data.draw(TEXTS)}
    read: list[Any] = [data.draw(st.none() | TEXTS | st.lists(TEXTS, max_size=2)) for _ in audience]
    whose = {"subject": subject, "session": session}
    own = [whose.get(name, value) for name, value in zip(audience, read, strict=True)]
    expected = FORM.key(orjson.dumps([audience, own]), values)
    assert OwnKey(FORM, values, audience, read).of(turn(subject, session)) == expected


def test_so_many_are_remembered_with_a_viewer() -> None:
    keys = [OwnKey(FORM, {}, ("subject",), (None,)) for _ in range(OWN_KEYS + 1)]
    asking = turn("visitor:1", "session")
    assert len({id(key.of(asking)) for key in (keys[0], keys[0])}) == 1
    for key in keys:
        key.of(asking)
    assert list(asking.keys) == keys[-1:]
