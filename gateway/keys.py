"""The keys that tokens and visitor cookies are signed with: set, or for development made once and kept."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from gateway.errors import StartRefused
from gateway.settings import Settings, SourceKind

LEAST_KEY_BYTES = 32
DEVELOPMENT_KEY_FILE = "dev.key"
_HOW = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"


@dataclass(frozen=True, slots=True)
class Keys:
    """`token` signs HS256 tokens, None when only tokens of a JWKS are taken; `cookie` signs the visitor cookie.

    `development` is the file of the development key when either comes from there.
    """

    token: bytes | None = field(repr=False)
    cookie: bytes = field(repr=False)
    development: Path | None = None


def keys_of(settings: Settings) -> Keys:
    """The keys to use with these settings; the same each time, also after a restart.

    With the embedded shop a missing key is derived from a random one, kept in the data folder, readable by its owner.
    StartRefused names the variable when a key is missing or too short.
    """
    token = _checked("GATEWAY_TOKEN_KEY", settings.token_key)
    cookie = _checked("GATEWAY_COOKIE_KEY", settings.cookie_key)
    needs_token = token is None and settings.token_jwks_url is None
    if cookie is not None and not needs_token:
        return Keys(token, cookie)
    if settings.source is not SourceKind.EMBEDDED:
        missing = "GATEWAY_TOKEN_KEY (or GATEWAY_TOKEN_JWKS_URL)" if needs_token else "GATEWAY_COOKIE_KEY"
        raise StartRefused(f"{missing} is not set; with the {settings.source.value} shop it must be. {_HOW}")
    path = settings.data_dir / DEVELOPMENT_KEY_FILE
    development = development_key(path)
    token = derived(development, "token") if needs_token else token
    return Keys(token, cookie or derived(development, "cookie"), path)


def development_key(path: Path) -> bytes:
    """The key in this file, which is made when it is missing; processes that start at once agree on one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path)
    return _checked(str(path), path.read_text().strip()) or b""


def _create(path: Path) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        os.link(temporary, path)  # whole or not at all, and never over another's
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _checked(name: str, given: SecretStr | str | None) -> bytes | None:
    if given is None:
        return None
    key = given if isinstance(given, str) else given.get_secret_value()
    if len(key.encode()) < LEAST_KEY_BYTES:
        raise StartRefused(f"{name} has {len(key.encode())} bytes, at least {LEAST_KEY_BYTES} are needed. {_HOW}")
    return key.encode()


def derived(key: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, from which neither the key nor that of another purpose can be told."""
    return hmac.new(key, purpose.encode(), hashlib.sha256).digest()
