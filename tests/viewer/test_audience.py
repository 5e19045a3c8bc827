"""The audience cookie: the same for all who share what shared answers may depend on, and forged by nobody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from gateway.audience import COOKIE, HEADER, Audiences
from personalization.events import Device, Persona
from resolvers.viewer import Audience
from tests.viewer.parts import settings

NAMES = st.none() | st.text(min_size=1, max_size=16)
AUDIENCES = st.builds(
    Audience,
    persona=st.sampled_from(Persona),
    segment=NAMES,
    region=NAMES,
    device=st.none() | st.sampled_from(Device),
)
KEY = b"k" * 32


def audiences(key: bytes = KEY) -> Audiences:
    return Audiences(settings(), key)


def request(**headers: str) -> Request:
    return Request({"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]})


@given(AUDIENCES, AUDIENCES)
def test_equal_audiences_and_no_others_have_the_same_token_everywhere(one: Audience, other: Audience) -> None:
    here, there = audiences(), audiences()
    assert (here.token(one) == there.token(other)) is (one == other)
    assert there.read(here.token(one)) == one


@given(AUDIENCES, st.data())
def test_a_token_that_was_changed_or_made_with_another_key_names_nobody(
    audience: Audience, data: st.DataObject
) -> None:
    ours = audiences()
    token = ours.token(audience)
    place = data.draw(st.integers(0, len(token) - 2))  # the last character has bits that nothing reads
    other = data.draw(st.sampled_from("AZaz09-_.").filter(lambda each: each != token[place]))
    assert ours.read(token[:place] + other + token[place + 1 :]) is None
    assert audiences(b"o" * 32).read(token) is None


@pytest.mark.parametrize("token", [None, "", ".", "x" * 10_000, "bnVsbA.AAAA", "\0", "é"])
def test_what_is_no_token_names_nobody(token: str | None) -> None:
    assert audiences().read(token) is None


def test_under_a_preview_a_request_names_nobody() -> None:
    token = audiences().token(Audience(Persona.VISITOR))
    named = {HEADER: token}
    assert audiences().of(request(**named)) == Audience(Persona.VISITOR)
    assert audiences().of(request(**named, **{"preview-token": "any"})) is None
    assert audiences().of(request(**named, cookie="preview=any")) is None
    assert audiences().of(request(cookie=f"{COOKIE}={token}")) is None, "only what a CDN passes on counts"
