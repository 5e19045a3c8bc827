"""How operators get into the console: a ticket that opens it once, and the session of a browser that had one.

A ticket is good for two minutes and for one use, on all workers of a machine. It travels in the fragment of an address,
which browsers send to nobody. Tickets and sessions are signed with keys of their own.
"""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Final

from itsdangerous import BadSignature, SignatureExpired, TimestampSigner

from gateway.errors import InvalidToken
from gateway.keys import derived
from personalization.clock import Clock

COOKIE: Final = "console"
PATH: Final = "/console"
TICKET_LIFETIME: Final = timedelta(minutes=2)
SESSION_LIFETIME: Final = timedelta(hours=8)

_LONGEST: Final = 512
_name = re.compile(r"[\w .@+-]{1,64}").fullmatch


@dataclass(frozen=True, slots=True)
class Operator:
    """Who looks at the console. `csrf` is what a page has to send with a change; None for bearers of tokens."""

    name: str
    csrf: str | None = None


class Tickets:
    """Makes tickets, and takes each of them once. `used` is a folder that the processes of a machine share."""

    def __init__(self, key: bytes, clock: Clock, used: Path) -> None:
        self._signer = _Signer(derived(key, "console ticket"), clock)
        self._clock = clock
        self._used = used

    def mint(self, name: str) -> str:
        """A ticket for whoever goes by this name; ValueError when it is none of 1 to 64 usual characters."""
        if not _name(name):
            raise ValueError(f"{name!r} is no name of 1 to 64 letters, digits, blanks and . _ @ + -")
        return self._signer.sign(f"{_packed(name)}~{secrets.token_urlsafe(12)}").decode()

    def redeem(self, ticket: str) -> str:
        """The name on the ticket, which is used up by that. Blocks.

        Raises:
            InvalidToken: it is forged, too old, or was used.
        """
        content, signed_at = self._signer.read(ticket, TICKET_LIFETIME, "the ticket")
        self._use_up(ticket, until=int((signed_at + TICKET_LIFETIME).timestamp()))
        return _unpacked(content.partition("~")[0])

    def _use_up(self, ticket: str, until: int) -> None:
        now = int(self._clock.now().timestamp())
        self._used.mkdir(parents=True, exist_ok=True)
        for old in self._used.iterdir():
            if int(old.name.partition("-")[0]) < now - 1:
                old.unlink(missing_ok=True)
        digest = hashlib.sha256(ticket.encode()).hexdigest()
        try:
            (self._used / f"{until}-{digest}").touch(exist_ok=False)
        except FileExistsError as error:
            raise InvalidToken("the ticket was used already: `gateway console` makes another") from error


class Sessions:
    """Makes and reads the cookie that a browser has after it gave a ticket or a token."""

    def __init__(self, key: bytes, clock: Clock, *, secure: bool) -> None:
        self._signer = _Signer(derived(key, "console session"), clock)
        self._csrf_key = derived(key, "console csrf")
        self._secure = secure

    def begin(self, name: str) -> str:
        """The `Set-Cookie` header of a new session."""
        return self._header(self._signer.sign(f"{_packed(name)}~{secrets.token_urlsafe(12)}").decode())

    def end(self) -> str:
        """The `Set-Cookie` header that ends a session."""
        return self._header("", lifetime=timedelta())

    def read(self, value: str | None) -> Operator | None:
        """Whose session this is; None when it is none (any more)."""
        if value is None:
            return None
        try:
            content, _ = self._signer.read(value, SESSION_LIFETIME, "the session")
        except InvalidToken:
            return None
        csrf = hmac.new(self._csrf_key, value.encode(), hashlib.sha256).hexdigest()
        return Operator(_unpacked(content.partition("~")[0]), csrf)

    def _header(self, value: str, lifetime: timedelta = SESSION_LIFETIME) -> str:
        cookie: SimpleCookie = SimpleCookie()
        cookie[COOKIE] = value
        morsel = cookie[COOKIE]
        morsel["path"] = PATH
        morsel["max-age"] = str(int(lifetime.total_seconds()))
        morsel["httponly"] = True
        morsel["samesite"] = "Strict"
        morsel["secure"] = self._secure
        return morsel.OutputString()


class _Signer(TimestampSigner):
    def __init__(self, key: bytes, clock: Clock) -> None:
        super().__init__(key, salt=b"gateway.console", key_derivation="hmac", digest_method=hashlib.sha256)
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock.now().timestamp())

    def read(self, signed: str, lifetime: timedelta, what: str) -> tuple[str, datetime]:
        """The signed text, and when that was; InvalidToken when it is not signed by this key, or too old."""
        try:
            if len(signed) > _LONGEST:
                raise BadSignature("too long")
            content, at = self.unsign(signed, max_age=int(lifetime.total_seconds()), return_timestamp=True)
            return content.decode(), at
        except SignatureExpired as error:
            raise InvalidToken(f"{what} has expired") from error
        except (BadSignature, UnicodeError) as error:
            raise InvalidToken(f"{what} is not one of this gateway's") from error


def _packed(name: str) -> str:
    return urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _unpacked(text: str) -> str:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
