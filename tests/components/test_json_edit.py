"""Members added to JSON that people wrote: the rest stays as it is, to the character."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.json_edit import with_members

names = st.text(max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(names, values, max_size=4)


@given(
    outer=objects, inner=objects, added=objects, path=st.lists(names, max_size=3), indent=st.none() | st.integers(0, 4)
)
def test_the_text_then_holds_what_it_held_and_the_new_members(
    outer: dict[str, Any], inner: dict[str, Any], added: dict[str, Any], path: list[str], indent: int | None
) -> None:
    added = {name: value for name, value in added.items() if name not in inner}
    expected: Any = {**inner, **added}
    whole: Any = inner
    for name in reversed(path):
        whole, expected = {**outer, name: whole}, {**outer, name: expected}
    text = json.dumps(whole, indent=indent)
    edited = with_members(text, path, added) if added else text
    assert json.loads(edited) == expected
    assert list(json.loads(edited)) == list(expected)


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ('{"a": {"v1": "v1"}}', '{"a": {"v1": "v1", "v2": "v2"}}'),
        ('{"a": { "v1": "v1" } }', '{"a": { "v1": "v1", "v2": "v2" } }'),
        ('{"a": {}}', '{"a": {"v2": "v2"}}'),
        (
            '{"x": [{"a": 1}],\n "a": {\n  "v1": "v1"\n }}\n',
            '{"x": [{"a": 1}],\n "a": {\n  "v1": "v1",\n  "v2": "v2"\n }}\n',
        ),
    ],
)
def test_new_members_are_laid_out_like_the_old_ones(text: str, edited: str) -> None:
    assert with_members(text, ["a"], {"v2": "v2"}) == edited


@pytest.mark.parametrize(("text", "path"), [("{}", ["a"]), ('{"a": 1}', ["a"]), ('{"a": []}', ["a", "b"]), ("[]", [])])
def test_an_object_that_is_not_there_is_told(text: str, path: list[str]) -> None:
    with pytest.raises(LookupError):
        with_members(text, path, {"x": 1})


def test_text_that_is_no_json_is_told() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        with_members('{"b": nope, "a": {}}', ["a"], {"x": 1})
