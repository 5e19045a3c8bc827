"""The public keys of an identity provider, fetched from its JWKS address and kept for a while."""

import asyncio
from collections.abc import Mapping

import structlog
from jwt import PyJWK, PyJWKClient, PyJWKSet, PyJWTError

from gateway.errors import InvalidToken, StartRefused, TokenKeysUnavailable
from personalization.clock import Clock

LIFETIME_S = 300.0
"""How long keys are taken as they are."""

PAUSE_S = 60.0
"""Least time between fetches for a key that is not among those held."""

RETRY_S = 10.0
"""Least time between fetches while they fail."""


class JwksKeys:
    """RSA keys by their id. A fetch runs off the event loop, one at a time, and the last good keys outlive failures."""

    def __init__(self, url: str, clock: Clock, timeout_s: float = 2.0) -> None:
        try:
            self._client = PyJWKClient(url, cache_jwk_set=False, timeout=timeout_s)
        except PyJWTError as error:
            raise StartRefused(f"GATEWAY_TOKEN_JWKS_URL cannot be used: {error}") from error
        self._clock = clock
        self._timeout_s = timeout_s
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching = asyncio.Lock()
        self._log = structlog.get_logger()

    async def key(self, kid: object) -> PyJWK:
        """The key of that id; InvalidToken when there is none, TokenKeysUnavailable when none were ever fetched."""
        now = self._clock.monotonic()
        if now - self._fetched >= LIFETIME_S and not (self._keys and self._fetching.locked()):
            await self._fetch(RETRY_S)
        if not self._keys:
            retry = {"Retry-After": str(round(RETRY_S))}
            raise TokenKeysUnavailable("the keys that tokens are checked with cannot be reached", headers=retry)
        if isinstance(kid, str) and kid not in self._keys:
            await self._fetch(PAUSE_S)
        if not isinstance(kid, str) or kid not in self._keys:
            raise InvalidToken("the token names a key that is not known")
        return self._keys[kid]

    async def warm(self) -> int:
        """Fetch the keys before the first token comes; how many there are. A failure is logged, not raised."""
        await self._fetch(0.0)
        return len(self._keys)

    async def _fetch(self, pause_s: float) -> None:
        async with self._fetching:
            if self._clock.monotonic() - self._tried < pause_s:
                return
            self._tried = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._timeout_s):
                    self._keys = await asyncio.to_thread(self._read)
            except (PyJWTError, OSError, ValueError, TimeoutError) as error:
                self._log.warning("jwks_fetch_failed", reason=type(error).__name__, keys_held=len(self._keys))
            else:
                self._fetched = self._tried

    def _read(self) -> Mapping[str, PyJWK]:
        keys = PyJWKSet.from_dict(self._client.fetch_data()).keys
        usable = [key for key in keys if key.key_type == "RSA" and key.public_key_use in {"sig", None}]
        keys_by_id = {key.key_id: key for key in usable if key.key_id}
        if not keys_by_id:
            raise ValueError("no RSA key with an id")
        return keys_by_id
