"""The visitor cookie: a signed first-party id for those who are not signed in, and their browsing session."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.cookies import SimpleCookie

from cachetools import LRUCache
from itsdangerous import BadSignature, TimestampSigner
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.settings import Settings
from personalization.clock import Clock

COOKIE = "visitor"
LIFETIME = timedelta(days=400)
"""As long as browsers keep a cookie at most."""

IDLE = timedelta(minutes=30)
"""A session ends when nothing was asked for so long."""

RENEWAL = timedelta(minutes=1)
"""A cookie younger than this is not sent again; an idle session may so end up to a minute early."""

VERIFIED = 10_000
"""Cookies whose signature was found good and need not be looked at again: those of the visitors of the last minutes.

None is longer than 256 characters, so one takes 1 kB at most with what is read from it, and all of them 10 MB."""

_SLOT = "gateway.visitor_cookie"
_CONTENT = re.compile(r"([\w-]{10,40})\.([\w-]{10,40})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser: `id` for as long as it keeps the cookie, `session` until it idles.

    `due` says that the cookie must be sent (again), `known` that the browser brought a good one, `fresh` that the
    session begins with this request. Until `due_at` all of that stays as it is.
    """

    id: str
    session: str
    due: bool
    known: bool
    fresh: bool
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Signed:
    id: str
    session: str
    signed_at: datetime


@dataclass(slots=True)
class CookieSlot:
    """Where a request leaves each `Set-Cookie` that its response is to carry."""

    headers: list[str] = field(default_factory=list)


class VisitorCookies:
    """Reads and writes the cookie. One that is missing, forged or expired means a new visitor, never an error."""

    def __init__(self, settings: Settings, key: bytes, clock: Clock) -> None:
        self._clock = clock
        self._signer = _Signer(key, clock)
        self._verified: LRUCache[str, _Signed] = LRUCache(VERIFIED)
        self._attributes: Mapping[str, str | bool] = {
            "path": "/",
            "max-age": str(int(LIFETIME.total_seconds())),
            "httponly": True,
            "samesite": "Lax",
            "secure": settings.cookie_secure,
        }

    def read(self, value: str | None) -> Visitor:
        """The visitor whose cookie this is; a new one without."""
        if value is None or len(value) > 256:
            return _newcomer()
        known = self._verified.get(value)
        if known is None:
            known = self._verify(value)
            if known is None:
                return _newcomer()
            self._verified[value] = known
        age = self._clock.now() - known.signed_at
        if age > LIFETIME:
            return _newcomer()
        idled = age > IDLE
        session = secrets.token_urlsafe(16) if idled else known.session
        due_at = known.signed_at + RENEWAL
        return Visitor(known.id, session, due=age >= RENEWAL, known=True, fresh=idled, due_at=due_at)

    def _verify(self, value: str) -> "_Signed | None":
        try:
            content, signed_at = self._signer.unsign(
                value, max_age=int(LIFETIME.total_seconds()), return_timestamp=True
            )
        except BadSignature:
            return None
        parts = _CONTENT.fullmatch(content.decode())
        return _Signed(parts[1], parts[2], signed_at) if parts else None

    def header(self, visitor: Visitor) -> str:
        """The text of a `Set-Cookie` header for this visitor."""
        cookie: SimpleCookie = SimpleCookie()
        cookie[COOKIE] = self._signer.sign(f"{visitor.id}.{visitor.session}").decode()
        morsel = cookie[COOKIE]
        for name, value in self._attributes.items():
            morsel[name] = value
        return morsel.OutputString()


class SetVisitorCookie:
    """ASGI middleware: puts what `leave` left on the response, unless that is public and may be kept by others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        slot = scope[_SLOT] = CookieSlot()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and slot.headers:
                headers = MutableHeaders(scope=message)
                if not headers.get("cache-control", "").startswith("public"):
                    for header in slot.headers:
                        headers.append("set-cookie", header)
            await send(message)

        await self._app(scope, receive, sending)


def leave(scope: Scope, header: str) -> None:
    """Have the response to this request carry this `Set-Cookie`; nothing happens outside `SetVisitorCookie`."""
    slot = scope.get(_SLOT)
    if isinstance(slot, CookieSlot):
        slot.headers.append(header)


class _Signer(TimestampSigner):
    def __init__(self, key: bytes, clock: Clock) -> None:
        super().__init__(key, salt=b"gateway.visitor", key_derivation="hmac", digest_method=hashlib.sha256)
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock.now().timestamp())


def _newcomer() -> Visitor:
    return Visitor(secrets.token_urlsafe(16), secrets.token_urlsafe(16), due=True, known=False, fresh=True)
