"""The visitor cookie: one id for long, a session until it idles, nothing that can be forged."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from itsdangerous import TimestampSigner
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from gateway.viewer import Viewers
from gateway.visitor import COOKIE, IDLE, LIFETIME, RENEWAL, SetVisitorCookie
from personalization.clock import ManualClock
from personalization.events import Persona
from tests.viewer.parts import COOKIE_KEY, NOW, connection, token, viewers


class Page:
    """An application that says who asked, behind the middleware that sends the cookie."""

    def __init__(self, found: Viewers, cache_control: str) -> None:
        self._viewers = found
        self._cache_control = cache_control
        self.app = SetVisitorCookie(self._serve)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        viewer = await self._viewers.viewer(Request(scope))
        response = PlainTextResponse(
            f"{viewer.subject} {viewer.session}", headers={"Cache-Control": self._cache_control, "Set-Cookie": "a=b"}
        )
        await response(scope, receive, send)


async def visit(page: Page, cookie: str | None = None, **headers: str) -> tuple[str, str, str | None]:
    """Subject, session, and the cookie that was set, attributes and all."""
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(message: Message) -> None:
        sent.append(message)

    given_headers = headers | ({"cookie": cookie} if cookie else {})
    scope = {**connection(given_headers).scope, "method": "GET", "path": "/"}
    await page.app(scope, receive, send)
    set_cookies = [value.decode() for name, value in sent[0]["headers"] if name == b"set-cookie" and value != b"a=b"]
    subject, session = sent[1]["body"].decode().split()
    assert len(set_cookies) <= 1
    return subject, session, set_cookies[0] if set_cookies else None


def page(clock: ManualClock, cache_control: str = "private, no-store", **members: object) -> Page:
    return Page(viewers(clock, **members), cache_control)


def pair(set_cookie: str | None) -> str:
    assert set_cookie is not None
    return set_cookie.split(";")[0]


async def test_a_newcomer_gets_a_cookie_and_is_known_by_it() -> None:
    clock = ManualClock(NOW)
    shop = page(clock)
    subject, session, cookie = await visit(shop)
    assert subject.startswith("visitor:")
    assert cookie is not None
    assert {"HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={400 * 86400}"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert await visit(shop, pair(cookie)) == (subject, session, None)
    assert (await visit(shop))[0] != subject


async def test_the_cookie_is_for_https_only_when_the_setting_says_so() -> None:
    cookie = (await visit(page(ManualClock(NOW), cookie_secure=True)))[2]
    assert cookie is not None
    assert "Secure" in cookie.split("; ")


async def test_a_session_ends_when_it_idles_and_the_visitor_stays() -> None:
    clock = ManualClock(NOW)
    shop = page(clock)
    subject, session, cookie = await visit(shop)
    for _ in range(5):
        clock.at += IDLE - RENEWAL
        again, same, renewed = await visit(shop, pair(cookie))
        assert (again, same) == (subject, session)
        cookie = renewed
    clock.at += IDLE + timedelta(seconds=1)
    again, other, renewed = await visit(shop, pair(cookie))
    assert (again, other != session, renewed is not None) == (subject, True, True)
    clock.at += LIFETIME + timedelta(seconds=1)
    assert (await visit(shop, pair(renewed)))[0] != subject


async def test_a_viewer_says_whether_the_session_begins_with_the_request() -> None:
    clock = ManualClock(NOW)
    found = viewers(clock)
    _, _, cookie = await visit(page(clock))
    signed_in = {"authorization": f"Bearer {token()}"}

    async def fresh(**headers: str) -> bool:
        return (await found.viewer(connection(headers))).fresh_session

    assert await fresh()
    assert not await fresh(cookie=pair(cookie))
    assert not await fresh(**signed_in)
    assert not await fresh(cookie=pair(cookie), **signed_in)
    clock.at += IDLE + timedelta(seconds=1)
    assert await fresh(cookie=pair(cookie))
    assert await fresh(cookie=pair(cookie), **signed_in)


async def test_a_public_answer_carries_nobodys_cookie() -> None:
    assert (await visit(page(ManualClock(NOW), "public, max-age=60")))[2] is None


async def test_a_forged_cookie_means_a_new_visitor() -> None:
    clock = ManualClock(NOW)
    shop = page(clock)
    subject, _, cookie = await visit(shop)
    value = pair(cookie)
    other_key = TimestampSigner("x" * 40, salt="gateway.visitor").sign("a" * 22 + "." + "b" * 22).decode()
    other_salt = TimestampSigner(COOKIE_KEY).sign("a" * 22 + "." + "b" * 22).decode()
    forged = (value[:-3] + "AAA", f"{COOKIE}={other_key}", f"{COOKIE}={other_salt}", f"{COOKIE}=a.b.c.d", f"{COOKIE}=")
    for text in (*forged, value.replace("=", "=x", 1), f"{COOKIE}=" + "a" * 5000):
        stranger, _, renewed = await visit(shop, text)
        assert stranger.startswith("visitor:")
        assert stranger != subject
        assert renewed is not None


async def test_a_cookie_from_the_future_means_a_new_visitor() -> None:
    clock = ManualClock(NOW)
    subject, _, cookie = await visit(page(clock))
    clock.at -= timedelta(days=1)
    assert (await visit(page(clock), pair(cookie)))[0] != subject


async def test_a_customer_keeps_the_session_of_the_browser_and_gets_no_cookie_of_its_own() -> None:
    clock = ManualClock(NOW)
    shop = page(clock)
    _, session, cookie = await visit(shop)
    signed_in = {"authorization": f"Bearer {token()}"}
    assert await visit(shop, pair(cookie), **signed_in) == ("customer:7", session, None)
    subject, own, none = await visit(shop, **signed_in)
    assert (subject, none) == ("customer:7", None)
    assert await visit(shop, **signed_in) == ("customer:7", own, None)
    assert (await visit(shop, authorization=f"Bearer {token(jti='other')}"))[1] != own


async def test_a_visitor_is_known_without_the_middleware_too() -> None:
    viewer = await viewers().viewer(connection())
    assert (viewer.persona, viewer.customer_id, viewer.scopes) == (Persona.VISITOR, None, frozenset())


async def test_other_scopes_pass_the_middleware() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(message: Message) -> None:
        raise AssertionError("nothing is sent")

    await SetVisitorCookie(app)({"type": "lifespan"}, receive, send)
    assert seen == ["lifespan"]


@trying(deadline=None)
@given(st.text())
async def test_no_cookie_breaks_anything(text: str) -> None:
    value = text.encode("latin-1", "replace").decode("latin-1")
    for header in (value, f"{COOKIE}={value}", f'{COOKIE}="{value}"'):
        assert (await viewers().viewer(connection({"cookie": header}))).subject.startswith("visitor:")


@pytest.mark.parametrize("name", ["visitor", "VISITOR", "visitor2"])
async def test_only_our_cookie_is_read(name: str) -> None:
    clock = ManualClock(NOW)
    shop = page(clock)
    subject, _, cookie = await visit(shop)
    brought = pair(cookie).replace(COOKIE, name, 1)
    assert ((await visit(shop, brought))[0] == subject) is (name == COOKIE)
