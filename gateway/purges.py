"""Purges that reach every process: done here, told in the hub, and done by all who follow it."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter

from gateway.caching import FLAGGED
from gateway.errors import BadRequest
from personalization.errors import HubUnavailable
from personalization.hub.topics import PURGES, Hub, NewEvent, StoredEvent
from personalization.ids import Ids
from resolvers.caching.cache import FragmentCache

MOST_TAGS: Final = 1000
LONGEST_TAG: Final = 200
_MOST_BYTES: Final = 262_144

_KEY: Final = "purges"
"""One key for all, so that they have one order."""

_ORIGIN: Final = "origin"
_POLL_S: Final = 1.0
_BACKOFF_S: Final = 0.5

_log = structlog.get_logger()


class Purges:
    """Purges the cache of this process and, by the topic `purges`, those of all others on the hub.

    Others are some 20 ms behind. Who has missed something, because the hub was away or there was too much of it,
    throws out everything: nothing that was purged is served again, whatever happened in between.
    """

    def __init__(self, cache: FragmentCache, hub: Hub, ids: Ids, registry: CollectorRegistry) -> None:
        self._cache = cache
        self._hub = hub
        self._ids = ids
        self._origin = ids()
        self._news = hub.tail(PURGES)
        self._task: asyncio.Task[None] | None = None
        self._received = Counter(
            "gateway_cache_purge_events",
            "Purges read in the hub: `done`, `refused` as none, or `missed`, after which everything is thrown out.",
            ("result",),
            registry=registry,
        )

    async def purge(self, tags: Collection[str] | None) -> int:
        """Throw out what carries one of the tags, everything without; how many values left this process's memory.

        Raises:
            HubUnavailable: it is done in this process, and the others could not be told.
        """
        purged = await self._do(tags)
        content = {"everything": True} if tags is None else {"tags": sorted(tags)}
        event = NewEvent(self._ids(), _KEY, orjson.dumps(content), {_ORIGIN: self._origin})
        await self._hub.append(PURGES, [event])
        return purged

    async def start(self) -> None:
        """Follow the hub from here on: nothing is kept yet, so no earlier purge matters."""
        with suppress(HubUnavailable):  # the first news say then that something may be missing
            await self._news.start()
        self._task = asyncio.create_task(self._follow(), name="purges")

    async def aclose(self) -> None:
        """Follow no longer. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _follow(self) -> None:
        while True:
            try:
                news = await self._news.poll(_POLL_S)
            except HubUnavailable as error:
                _log.warning("purges_not_followed", reason=type(error).__name__)
                await asyncio.sleep(_BACKOFF_S)
                continue
            if news.whole:
                await self._take(news.events)
            else:
                self._received.labels("missed").inc()
                _log.warning("purges_missed")
                await self._cache.clear()

    async def _take(self, events: Sequence[StoredEvent]) -> None:
        """Do what others ask for; together, for a storm of purges is one purge of many tags."""
        tags: set[str] = set()
        for stored in events:
            if stored.event.headers.get(_ORIGIN) == self._origin:
                continue
            try:
                wanted = asked_tags(stored.event.value)
            except BadRequest as error:
                self._received.labels("refused").inc()
                _log.warning("purge_refused", event_id=stored.event.id, reason=str(error))
                continue
            self._received.labels("done").inc()
            if wanted is None:
                await self._do(None)
                tags.clear()
            else:
                tags |= set(wanted)
        if tags:
            await self._do(tags)

    async def _do(self, tags: Collection[str] | None) -> int:
        if tags is None:
            return await self._cache.clear()
        flagged = (FLAGGED,) if any(tag.startswith("flag:") for tag in tags) else ()
        return await self._cache.purge({*tags, *flagged})


def asked_tags(body: bytes) -> list[str] | None:
    """The tags that are to be purged; None for everything. Raises `BadRequest`."""
    try:
        asked = orjson.loads(body) if len(body) <= _MOST_BYTES else None
    except orjson.JSONDecodeError as error:
        raise BadRequest("the body is not JSON") from error
    if not isinstance(asked, dict):
        raise BadRequest('the body must be an object, such as {"tags": ["Product:123"]}')
    if asked == {"everything": True}:
        return None
    tags = asked.get("tags")
    if not isinstance(tags, list) or not tags or len(tags) > MOST_TAGS:
        raise BadRequest(f"`tags` must be an array of 1 to {MOST_TAGS} tags")
    if not all(isinstance(tag, str) and 0 < len(tag) <= LONGEST_TAG for tag in tags):
        raise BadRequest(f"a tag is a text of 1 to {LONGEST_TAG} characters")
    return tags
