"""Bearer tokens: made for development, and checked before anything in them is believed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt

from gateway.errors import InvalidToken
from gateway.jwks import JwksKeys
from gateway.settings import Settings
from personalization.events import Persona

LEEWAY_S = 30.0
"""How far clocks may be apart."""

REGION = re.compile("[A-Za-z0-9-]{1,16}")
_SUBJECT = re.compile("[!-~]{1,128}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_LONGEST = 8192
_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is meant for another audience"),
    (jwt.InvalidIssuerError, "the token is from another issuer"),
    (jwt.InvalidSignatureError, "the token's signature is wrong"),
)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says: whose it is, and which rights it carries."""

    customer_id: str
    persona: Persona | None
    region: str | None
    scopes: frozenset[str]


def mint(key: bytes, settings: Settings, claims: Claims, now: datetime, lifetime: timedelta) -> str:
    """An HS256 token with these claims, which the gateway with the same settings takes until `now + lifetime`."""
    content: dict[str, object] = {"sub": claims.customer_id, "iat": now, "exp": now + lifetime}
    optional = {
        "role": claims.persona.value if claims.persona else None,
        "region": claims.region,
        "scope": " ".join(sorted(claims.scopes)) or None,
        "iss": settings.token_issuer,
        "aud": settings.token_audience,
    }
    return jwt.encode(content | {name: value for name, value in optional.items() if value}, key, algorithm="HS256")


class Tokens:
    """Checks tokens. Each kind of key goes with one algorithm: the shared key with HS256, keys of a JWKS with RS256."""

    def __init__(self, settings: Settings, key: bytes | None, jwks: JwksKeys | None) -> None:
        self._key = key
        self._jwks = jwks
        self._issuer = settings.token_issuer
        self._audience = settings.token_audience

    async def claims(self, token: str) -> Claims:
        """What the token says; InvalidToken with the reason when it is not to be believed."""
        if len(token) > _LONGEST or not _TOKEN.fullmatch(token):
            raise InvalidToken("the token is not a signed JWT")
        try:
            content = await self._verified(token)
        except jwt.MissingRequiredClaimError as error:
            raise InvalidToken(f"the token has no claim `{error.claim}`") from error
        except (jwt.PyJWTError, RecursionError, OverflowError) as error:
            known = (reason for kind, reason in _REASONS if isinstance(error, kind))
            raise InvalidToken(next(known, "the token is malformed")) from error
        return _claims(content)

    async def _verified(self, token: str) -> Mapping[str, object]:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm == "HS256" and self._key is not None:
            return self._decoded(token, self._key, algorithm)
        if algorithm == "RS256" and self._jwks is not None:
            return self._decoded(token, await self._jwks.key(header.get("kid")), algorithm)
        raise InvalidToken("the token is signed in a way that is not taken here")

    def _decoded(self, token: str, key: bytes | jwt.PyJWK, algorithm: str) -> Mapping[str, object]:
        required = ["exp", "sub", *(["iss"] if self._issuer else []), *(["aud"] if self._audience else [])]
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_S,
            options={"require": required, "verify_aud": self._audience is not None},
        )


def _claims(content: Mapping[str, object]) -> Claims:
    role, region, scope = (content.get(name) for name in ("role", "region", "scope"))
    if role is not None and not (isinstance(role, str) and role in Persona.__members__):
        raise InvalidToken(f"the token's claim `role` must be one of {', '.join(Persona)}")
    if region is not None and not (isinstance(region, str) and REGION.fullmatch(region)):
        raise InvalidToken("the token's claim `region` must be 1 to 16 letters, digits or hyphens")
    if scope is not None and not isinstance(scope, str):
        raise InvalidToken("the token's claim `scope` must be words separated by spaces")
    subject = content["sub"]
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise InvalidToken("the token's claim `sub` must be 1 to 128 printable ASCII characters")
    return Claims(subject, Persona(role) if role else None, region, frozenset((scope or "").split()))
