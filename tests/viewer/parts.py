"""Tokens, keys and connections for the tests of viewers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import jwt
import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm
from prometheus_client import CollectorRegistry
from starlette.requests import HTTPConnection

from gateway.keys import keys_of
from gateway.settings import Settings
from gateway.viewer import Viewers
from personalization.clock import Clock, ManualClock

TOKEN_KEY = "t" * 40
COOKIE_KEY = "c" * 40
NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
FAR = 4_000_000_000


def settings(**members: object) -> Settings:
    """Settings with both keys set, and these members."""
    return Settings.model_validate({"token_key": TOKEN_KEY, "cookie_key": COOKIE_KEY} | members)


def viewers(clock: Clock | None = None, **members: object) -> Viewers:
    """Viewers under these settings; the clock stands still unless one is given."""
    chosen = settings(**members)
    return Viewers(chosen, keys_of(chosen), clock or ManualClock(NOW), CollectorRegistry())


def connection(headers: Mapping[str, str] | None = None, *more: tuple[str, str]) -> HTTPConnection:
    """A request with these headers."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in [*(headers or {}).items(), *more]]
    return HTTPConnection({"type": "http", "headers": raw})


def token(
    key: str | RSAPrivateKey = TOKEN_KEY, algorithm: str = "HS256", kid: str | None = None, **claims: object
) -> str:
    """A token of customer 7 that is good for long, with these claims; a claim that is None is left out."""
    content = {"sub": "7", "exp": FAR} | claims
    kept = {name: value for name, value in content.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def bearing(text: str) -> HTTPConnection:
    """A request with this token."""
    return connection({"Authorization": f"Bearer {text}"})


def rsa_key() -> RSAPrivateKey:
    """A new private key."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(key: RSAPrivateKey) -> str:
    """The public half, as text that anyone may have."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def jwks(**keys: RSAPrivateKey) -> dict[str, object]:
    """The JWKS of these keys by their ids."""
    return {
        "keys": [
            RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig", "alg": "RS256"}
            for kid, key in keys.items()
        ]
    }


class Provider(ThreadingHTTPServer):
    """An identity provider: `content` is its answer (None: it fails), `asked` how often it was asked."""

    content: object = None
    asked = 0

    @property
    def url(self) -> str:
        """Where its keys are."""
        return f"http://127.0.0.1:{self.server_address[1]}/keys"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Provider)
        self.server.asked += 1
        content = self.server.content
        body = content if isinstance(content, bytes) else orjson.dumps(content)
        self.send_response(500 if content is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextmanager
def provider(content: object) -> Iterator[Provider]:
    """A running identity provider with this answer."""
    with Provider(("127.0.0.1", 0), _Handler) as server:
        server.content = content
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(20)


def development(folder: Path) -> Settings:
    """Settings without any key, with their data in this folder."""
    return Settings.model_validate({"data_dir": folder})
