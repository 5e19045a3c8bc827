"""The audience cookie: what a viewer shares with many, signed, so that a CDN can keep answers for all of them.

With `GATEWAY_AUDIENCE_COOKIE` viewers get it beside the visitor cookie. A CDN hands it back in the header
`Graphql-Audience` and keeps answers by it (docs/caching.md). Everybody in an audience has the same cookie.
"""

from collections.abc import Mapping
from functools import partial
from http.cookies import SimpleCookie
from typing import Final

from cachetools import LRUCache
from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import Request

from gateway.previews import COOKIE as PREVIEW_COOKIE
from gateway.previews import HEADER as PREVIEW_HEADER
from gateway.settings import Settings
from gateway.visitor import leave
from personalization.events import Device, Persona
from resolvers.viewer import Audience

COOKIE: Final = "audience"
HEADER: Final = "graphql-audience"

LIFETIME_S: Final = 3600
"""How long a browser that only ever gets kept answers stays in an audience that it may have left."""

KNOWN: Final = 4096
"""Audiences whose cookie is at hand; there are segments x personas x regions x devices of them."""

_LONGEST: Final = 512


class Audiences:
    """Signs audiences and reads them back."""

    def __init__(self, settings: Settings, key: bytes) -> None:
        self._serializer = URLSafeSerializer(key, salt=b"gateway.audience", signer_kwargs={"key_derivation": "hmac"})
        self._tokens: LRUCache[Audience, str] = LRUCache(KNOWN)
        self._audiences: LRUCache[str, Audience] = LRUCache(KNOWN)
        self._attributes: Mapping[str, str | bool] = {
            "path": "/",
            "max-age": str(LIFETIME_S),
            "httponly": True,
            "samesite": "Lax",
            "secure": settings.cookie_secure,
        }

    def token(self, audience: Audience) -> str:
        """The same text for equal audiences, whenever and wherever it is made with this key."""
        token = self._tokens.get(audience)
        if token is None:
            persona, device = audience.persona.value, audience.device.value if audience.device else None
            signed = self._serializer.dumps([persona, audience.segment, audience.region, device])
            token = self._tokens[audience] = signed if isinstance(signed, str) else signed.decode()
        return token

    def of(self, request: Request) -> Audience | None:
        """The audience that a request names; None where it names none of ours, or is under a preview."""
        if PREVIEW_HEADER in request.headers or PREVIEW_COOKIE in request.cookies:
            return None
        return self.read(request.headers.get(HEADER))

    def read(self, token: str | None) -> Audience | None:
        """The audience of a token; None for one that is missing or not ours."""
        if not token or len(token) > _LONGEST:
            return None
        audience = self._audiences.get(token)
        if audience is None:
            try:
                persona, segment, region, device = self._serializer.loads(token)
            except BadSignature:
                return None
            audience = Audience(Persona(persona), segment, region, Device(device) if device else None)
            self._audiences[token] = audience
        return audience

    def greet(self, request: Request, audience: Audience) -> None:
        """Have the answer to a request carry the cookie, unless the browser brought this one."""
        token = self.token(audience)
        if request.cookies.get(COOKIE) != token:
            leave(request.scope, self._header(token))

    def greeter(self, request: Request) -> "partial[None]":
        """`greet` for this request."""
        return partial(self.greet, request)

    def _header(self, token: str) -> str:
        cookie: SimpleCookie = SimpleCookie()
        cookie[COOKIE] = token
        for name, value in self._attributes.items():
            cookie[COOKIE][name] = value
        return cookie[COOKIE].OutputString()
