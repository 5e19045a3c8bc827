"""Who asks: a bearer token or the visitor cookie becomes a `Viewer`. Nothing else in a request is believed."""

import hashlib
import re
from datetime import datetime

import structlog
from prometheus_client import CollectorRegistry, Counter
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from gateway.errors import InvalidToken
from gateway.jwks import JwksKeys
from gateway.keys import Keys
from gateway.settings import Settings
from gateway.tokens import REGION, Claims, Tokens
from gateway.visitor import COOKIE, Visitor, VisitorCookies, leave
from personalization.clock import Clock
from personalization.events import Device, Persona
from resolvers.viewer import Viewer

_TABLET = re.compile(r"iPad|Tablet|Silk|PlayBook|Android(?!.*Mobile)", re.IGNORECASE)
_PHONE = re.compile(r"iPhone|iPod|Mobile|Windows Phone", re.IGNORECASE)
_LONGEST_AGENT = 512


class Viewers:
    """Makes viewers. A token that is wrong in any way is refused; it never makes its bearer anonymous."""

    def __init__(self, settings: Settings, keys: Keys, clock: Clock, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._jwks = JwksKeys(settings.token_jwks_url, clock) if settings.token_jwks_url else None
        self._tokens = Tokens(settings, keys.token, self._jwks)
        self._cookies = VisitorCookies(settings, keys.cookie, clock)
        viewers = Counter("gateway_viewers", "Requests by kind of viewer.", ["kind"], registry=registry)
        self._customers, self._visitors = viewers.labels("customer"), viewers.labels("visitor")
        self._refused = viewers.labels("refused")
        if keys.development is not None:
            structlog.get_logger().warning(
                "development_keys_in_use",
                file=str(keys.development),
                advice="who reads this file can sign in as anybody: set GATEWAY_TOKEN_KEY and GATEWAY_COOKIE_KEY",
            )

    async def warm(self) -> None:
        """Fetch the keys of the JWKS, where there is one, before the first token comes."""
        if self._jwks is not None:
            await self._jwks.warm()

    async def viewer(self, connection: HTTPConnection) -> Viewer:
        """Who asks; InvalidToken when a token came that is not to be believed.

        A new or renewed visitor cookie is left for `SetVisitorCookie` to send.
        """
        try:
            token = bearer(connection.headers)
            claims = await self._tokens.claims(token) if token is not None else None
        except InvalidToken:
            self._refused.inc()
            raise
        visitor = self._cookies.read(connection.cookies.get(COOKIE))
        if visitor.due and (visitor.known or claims is None):
            leave(connection.scope, self._cookies.header(visitor))
        if claims is None or token is None:
            return self._visitor(connection.headers, visitor)
        session = visitor.session if visitor.known else hashlib.sha256(token.encode()).hexdigest()[:32]
        return self._customer(connection.headers, claims, session, fresh=visitor.known and visitor.fresh)

    def returning(self, connection: HTTPConnection) -> "tuple[Viewer, datetime] | None":
        """The visitor without a token whose cookie is good and needs no renewal, and until when; counts nothing."""
        if "authorization" in connection.headers:
            return None
        visitor = self._cookies.read(connection.cookies.get(COOKIE))
        if not visitor.known or visitor.due or visitor.due_at is None:
            return None
        return self._anonymous(connection.headers, visitor), visitor.due_at

    def came_again(self, times: int) -> None:
        """Count requests of visitors whom `returning` gave."""
        self._visitors.inc(times)

    def _visitor(self, headers: Headers, visitor: Visitor) -> Viewer:
        self._visitors.inc()
        return self._anonymous(headers, visitor)

    def _anonymous(self, headers: Headers, visitor: Visitor) -> Viewer:
        return Viewer(
            subject=f"visitor:{visitor.id}",
            session=visitor.session,
            persona=Persona.VISITOR,
            region=self._region(headers),
            device=device(headers),
            fresh_session=visitor.fresh,
        )

    def _customer(self, headers: Headers, claims: Claims, session: str, *, fresh: bool) -> Viewer:
        self._customers.inc()
        return Viewer(
            subject=f"customer:{claims.customer_id}",
            session=session,
            customer_id=claims.customer_id,
            persona=claims.persona,
            region=claims.region or self._region(headers),
            device=device(headers),
            scopes=claims.scopes,
            fresh_session=fresh,
        )

    def _region(self, headers: Headers) -> str | None:
        told = headers.get(self._settings.region_header) if self._settings.region_header else None
        return told if told and REGION.fullmatch(told) else self._settings.default_region


def bearer(headers: Headers) -> str | None:
    """The token of the `Authorization` header, None without one; InvalidToken when there is anything else in it."""
    given = headers.getlist("authorization")
    if not given:
        return None
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise InvalidToken("`Authorization` must be given once, as `Bearer` and a token")
    return token.strip()


def device(headers: Headers) -> Device | None:
    """What the browser says it runs on; None for programs that say nothing of the kind."""
    agent = headers.get("user-agent", "")[:_LONGEST_AGENT]
    if _TABLET.search(agent):
        return Device.TABLET
    mobile = headers.get("sec-ch-ua-mobile")
    if mobile == "?1" or _PHONE.search(agent):
        return Device.PHONE
    return Device.DESKTOP if mobile == "?0" or agent.startswith("Mozilla/") else None
