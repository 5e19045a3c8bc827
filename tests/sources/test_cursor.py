"""Cursors come back whole in their own list, and are refused everywhere else."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from resolvers.errors import InvalidCursor
from resolvers.sources.cursor import Place, decode_cursor, encode_cursor

places = st.lists(st.integers() | st.text(max_size=30), max_size=4).map(tuple)


@given(listing=st.text(max_size=50), place=places)
def test_a_cursor_gives_back_its_place(listing: str, place: Place) -> None:
    assert decode_cursor(listing, encode_cursor(listing, place)) == place


@given(listing=st.text(max_size=50), other=st.text(max_size=50), place=places)
def test_another_list_refuses_it(listing: str, other: str, place: Place) -> None:
    assume(listing != other)
    with pytest.raises(InvalidCursor):
        decode_cursor(other, encode_cursor(listing, place))


@given(place=places, at=st.integers(0, 10_000), char=st.characters())
def test_a_changed_character_is_noticed(place: Place, at: int, char: str) -> None:
    cursor = encode_cursor("list", place)
    at %= len(cursor)
    changed = cursor[:at] + char + cursor[at + 1 :]
    assume(changed != cursor)
    with pytest.raises(InvalidCursor):
        decode_cursor("list", changed)


@given(st.text() | st.text("ABCabc019-_=", max_size=80))
def test_made_up_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor, match="leave `after` out"):
        decode_cursor("list", text)


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: c + "=", lambda c: c + "A", lambda c: c * 20])
def test_cut_and_lengthened_cursors_are_refused(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(InvalidCursor):
        decode_cursor("list", damage(encode_cursor("list", (1, "819395"))))
