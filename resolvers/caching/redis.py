"""The tier that processes share: Redis, through aiocache. The only importer of aiocache."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import orjson
import structlog
from redis.exceptions import RedisError

from personalization.clock import Clock
from resolvers.caching.metrics import CacheMetrics
from resolvers.caching.tier import Stored
from resolvers.sources.circuit import Circuit, CircuitOpen

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # aiocache asks old Pythons for their loop while it is imported
    from aiocache import RedisCache
    from aiocache.serializers import NullSerializer

CALL_S: Final = 0.05
"""Longest a call may take; whoever waits for it is better off making the value."""

TAGS_S: Final = 86_400
"""How long it is remembered what carries a tag: longer than any value is kept."""

FAILURES: Final = 3
RECOVERY_S: Final = 1.0
CONNECTIONS: Final = 16

T = TypeVar("T")
_log = structlog.get_logger()


class RedisTier:
    """Values in Redis under keys of one release, so that two releases never read each other.

    While Redis does not answer in time, calls give nothing; after a few of them it is left alone for a second.
    """

    def __init__(self, url: str, release: str, clock: Clock, metrics: CacheMetrics) -> None:
        address = urlsplit(url)
        self._cache = RedisCache(
            serializer=NullSerializer(encoding=None),
            namespace=f"gateway:{release}",
            timeout=0,
            endpoint=address.hostname or "127.0.0.1",
            port=address.port or 6379,
            db=int(address.path.strip("/") or 0),
            password=unquote(address.password) if address.password else None,
            pool_max_size=CONNECTIONS,
            create_connection_timeout=CALL_S,
        )
        self._prefix = f"gateway:{release}:"
        self._clock = clock
        self._metrics = metrics
        self._circuit = Circuit(FAILURES, RECOVERY_S, clock)
        self._owed: set[str] = set()

    async def get_many(self, keys: Sequence[bytes]) -> Sequence[Stored | None]:
        """The values under these keys, in their order; nothing while Redis is away."""
        nothing: list[Stored | None] = [None] * len(keys)
        if not keys or not await self._settled():
            return nothing
        found = await self._call("get", lambda: self._cache.multi_get([key.hex() for key in keys]))
        return nothing if found is None else [_read(value) for value in found]

    async def put_many(self, values: Mapping[bytes, Stored]) -> None:
        """Keep values, each until it is no longer good."""
        if values and await self._settled():
            await self._call("put", lambda: self._put(values))

    async def forget(self, tags: Collection[str]) -> None:
        """Throw out all that carries one of these tags. While Redis is away it is owed; nothing is read before."""
        self._owed |= frozenset(tags)
        await self._settled()

    async def clear(self) -> None:
        """Throw out everything of this release."""
        await self._call("clear", self._clear)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._cache.client.aclose()

    async def _settled(self) -> bool:
        """Whether nothing is owed any more."""
        owed = frozenset(self._owed)
        if owed and await self._call("forget", lambda: self._forget(owed)) is not None:
            self._owed -= owed
        return not self._owed

    async def _put(self, values: Mapping[bytes, Stored]) -> None:
        now = self._clock.now().timestamp()
        async with self._cache.client.pipeline(transaction=False) as pipe:
            for key, value in values.items():
                left = int((value.stale_until - now) * 1000)
                if left <= 0:
                    continue
                name = f"{self._prefix}{key.hex()}"
                pipe.set(name, _written(value), px=left)
                for tag in value.tags:
                    pipe.sadd(f"{self._prefix}tag:{tag}", name)
                    pipe.expire(f"{self._prefix}tag:{tag}", TAGS_S)
            await pipe.execute()

    async def _forget(self, tags: Collection[str]) -> bool:
        client = self._cache.client
        names = [f"{self._prefix}tag:{tag}" for tag in tags]
        tagged = await client.sunion(names)
        await client.unlink(*names, *tagged)
        return True

    async def _clear(self) -> None:
        client = self._cache.client
        async for name in client.scan_iter(f"{self._prefix}*", count=1000):
            await client.unlink(name)

    async def _call(self, what: str, call: Callable[[], Awaitable[T]]) -> T | None:
        """What the call gives; None when it fails, or is not even tried."""
        try:
            ticket = self._circuit.admit()
        except CircuitOpen:
            self._metrics.called(what, "skipped")
            return None
        try:
            async with asyncio.timeout(CALL_S):
                result = await call()
        except (TimeoutError, RedisError, OSError, ValueError) as error:
            self._circuit.failed(ticket)
            self._metrics.called(what, "late" if isinstance(error, TimeoutError) else "failed")
            _log.warning("cache_second_tier_failed", call=what, reason=type(error).__name__)
            return None
        except BaseException:
            self._circuit.abandoned(ticket)
            raise
        self._circuit.succeeded(ticket)
        self._metrics.called(what, "ok")
        return result


def _written(value: Stored) -> bytes:
    return orjson.dumps(
        [
            value.field,
            [part.decode() for part in value.parts],
            [hole.hex() for hole in value.holes],
            sorted(value.tags),
            value.made_at,
            value.fresh_until,
            value.stale_until,
            value.cost,
        ]
    )


def _read(written: Any) -> Stored | None:
    """The value that was written so; None for anything else, for who knows who writes to a Redis."""
    if written is None:
        return None
    try:
        field, parts, holes, tags, made_at, fresh_until, stale_until, cost = orjson.loads(written)
        return Stored(
            field=field,
            parts=tuple(part.encode() for part in parts),
            holes=tuple(bytes.fromhex(hole) for hole in holes),
            tags=frozenset(tags),
            made_at=float(made_at),
            fresh_until=float(fresh_until),
            stale_until=float(stale_until),
            cost=float(cost),
        )
    except (ValueError, TypeError, AttributeError):
        return None
