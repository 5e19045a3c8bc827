"""A token is believed only when every part of it holds; otherwise the request is refused, never made anonymous."""

import base64
import hashlib
import hmac
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from gateway.errors import InvalidToken
from gateway.tokens import Claims, mint
from personalization.events import Persona
from tests.viewer.parts import (
    TOKEN_KEY,
    bearing,
    connection,
    jwks,
    provider,
    public_pem,
    rsa_key,
    settings,
    token,
    viewers,
)


def packed(content: object) -> str:
    raw = content if isinstance(content, bytes) else orjson.dumps(content)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


async def test_a_good_token_makes_a_customer() -> None:
    text = token(role="CONSULTANT", region="EU-1", scope="preview ops other")
    viewer = await viewers().viewer(bearing(text))
    assert (viewer.subject, viewer.customer_id, viewer.persona) == ("customer:7", "7", Persona.CONSULTANT)
    assert (viewer.region, viewer.may_preview) == ("EU-1", True)
    assert viewer.scopes == {"preview", "ops", "other"}


async def test_a_minted_token_is_taken() -> None:
    chosen = settings(token_issuer="us", token_audience="shop")
    claims = Claims("42", Persona.BUILDER, "R1", frozenset({"ops", "preview"}))
    text = mint(TOKEN_KEY.encode(), chosen, claims, datetime.now(UTC), timedelta(hours=1))
    viewer = await viewers(token_issuer="us", token_audience="shop").viewer(bearing(text))
    assert (viewer.customer_id, viewer.persona, viewer.region) == ("42", Persona.BUILDER, "R1")
    assert viewer.scopes == {"ops", "preview"}


BAD = [
    (token(exp=1), "expired"),
    (token(exp=None), "no claim `exp`"),
    (token(sub=None), "no claim `sub`"),
    (token(nbf=3_900_000_000), "not valid yet"),
    (token("x" * 40), "signature is wrong"),
    (token()[:-4] + "AAAA", "signature is wrong"),
    (token(algorithm="HS512", key="x" * 64), "signed in a way"),
    (token(role="KING"), "`role` must be one of VISITOR, BUILDER"),
    (token(role=["VISITOR"]), "`role`"),
    (token(region="a" * 17), "`region`"),
    (token(region="a b"), "`region`"),
    (token(region=7), "`region`"),
    (token(scope=["preview"]), "`scope`"),
    (token(sub=""), "`sub`"),
    (token(sub="a" * 129), "`sub`"),
    (token(sub="a\nb"), "`sub`"),
    (token(exp="soon"), "malformed"),
    ("a.b.c", "malformed"),
    ("a.b", "not a signed JWT"),
    ("é.é.é", "not a signed JWT"),
    ("a." + "b" * 9000 + ".c", "not a signed JWT"),
    (f"{packed({'alg': 'none', 'typ': 'JWT'})}.{packed({'sub': '7', 'exp': 4_000_000_000})}.", "signed in a way"),
    (f"{packed({'alg': ['HS256']})}.{packed({})}.AAAA", "signed in a way"),
    (f"{packed({'typ': 'JWT'})}.{packed({})}.AAAA", "signed in a way"),
    (f"{packed([])}.{packed({})}.AAAA", "malformed"),
    (f"{packed(b'[' * 5000)}.{packed({})}.AAAA", "malformed"),
    (f"{packed({'alg': 'HS256', 'kid': {}})}.{packed({})}.AAAA", "malformed"),
]


@pytest.mark.parametrize(("text", "reason"), BAD, ids=[f"{place}" for place in range(len(BAD))])
async def test_a_bad_token_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidToken, match=reason) as caught:
        await viewers().viewer(bearing(text))
    assert (caught.value.code, caught.value.status) == ("INVALID_TOKEN", 401)
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "shop"}, "no claim `iss`"),
        ({"iss": "us"}, "no claim `aud`"),
        ({"iss": "them", "aud": "shop"}, "another issuer"),
        ({"iss": "us", "aud": "bank"}, "another audience"),
    ],
)
async def test_issuer_and_audience_must_be_ours_when_set(claims: dict[str, object], reason: str) -> None:
    strict = viewers(token_issuer="us", token_audience="shop")
    with pytest.raises(InvalidToken, match=reason):
        await strict.viewer(bearing(token(**claims)))  # type: ignore[arg-type]  # claims are not the other arguments
    assert (await strict.viewer(bearing(token(iss="us", aud=["shop", "other"])))).customer_id == "7"


async def test_an_audience_is_not_looked_at_when_none_is_set() -> None:
    assert (await viewers().viewer(bearing(token(aud="anybody")))).customer_id == "7"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dTpw", "Token abc", token()])
async def test_an_authorization_header_that_is_no_bearer_token_is_refused(header: str) -> None:
    with pytest.raises(InvalidToken):
        await viewers().viewer(connection({"Authorization": header}))


async def test_two_tokens_are_refused_and_the_scheme_may_be_written_in_any_case() -> None:
    good = f"bearer {token()}"
    assert (await viewers().viewer(connection({"authorization": good}))).customer_id == "7"
    with pytest.raises(InvalidToken):
        await viewers().viewer(connection({"Authorization": good}, ("Authorization", good)))


async def test_a_public_key_is_not_taken_for_a_shared_one() -> None:
    key = rsa_key()
    pem = public_pem(key)
    header = packed({"alg": "HS256", "kid": "k"})
    body = f"{header}.{packed({'sub': '7', 'exp': 4_000_000_000})}"
    forged = f"{body}.{packed(hmac.new(pem.encode(), body.encode(), hashlib.sha256).digest())}"
    with provider(jwks(k=key)) as keys:
        for shared in ({"token_key": None}, {}):
            with pytest.raises(InvalidToken):
                await viewers(token_jwks_url=keys.url, **shared).viewer(bearing(forged))


async def test_each_kind_of_key_goes_with_its_algorithm() -> None:
    key = rsa_key()
    with provider(jwks(k=key)) as keys:
        both = viewers(token_jwks_url=keys.url)
        assert (await both.viewer(bearing(token(key, "RS256", "k")))).customer_id == "7"
        assert (await both.viewer(bearing(token()))).customer_id == "7"
        for algorithm in ("RS512", "PS256"):
            with pytest.raises(InvalidToken):
                await both.viewer(bearing(token(key, algorithm, "k")))
    with pytest.raises(InvalidToken):
        await viewers().viewer(bearing(token(key, "RS256", "k")))


@trying(deadline=None)
@given(st.text(), st.lists(st.binary(max_size=40), max_size=4))
async def test_no_authorization_header_breaks_anything(text: str, parts: list[bytes]) -> None:
    guarded = viewers()
    for header in (f"Bearer {text}", "Bearer " + ".".join(map(packed, parts))):
        with suppress(InvalidToken):
            request = connection({"Authorization": header.encode("latin-1", "replace").decode("latin-1")})
            assert (await guarded.viewer(request)).subject
