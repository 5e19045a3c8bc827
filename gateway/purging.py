"""POST /cache/purge: throw out what is kept, by tag. For operators: the token must have the right `ops`.

The body is `{"tags": ["Product:123", "Query.catalog"]}` or `{"everything": true}`; the answer says how many values went
out of this process's memory. What is being made while a purge happens is not kept either.
"""

from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import BadRequest, InvalidToken
from gateway.tags import problem
from personalization.errors import PersonaError
from resolvers.caching.cache import FragmentCache
from resolvers.errors import Unauthenticated
from resolvers.viewer import OPS, Viewer

MOST_TAGS = 1000
LONGEST_TAG = 200
_MOST_BYTES = 262_144


class Purging:
    """Answers purges. Without a cache there is nothing to purge, which is no error."""

    def __init__(self, cache: FragmentCache | None, viewer: Callable[[Request], Awaitable[Viewer]]) -> None:
        self._cache = cache
        self._viewer = viewer

    async def receive(self, request: Request) -> Response:
        """Purge, and say how much that was; a problem (RFC 9457) when it is refused."""
        try:
            await self._check(request)
            tags = _tags(await request.body())
        except (PersonaError, InvalidToken) as error:
            return problem(error)
        purged = 0
        if self._cache is not None:
            purged = await self._cache.clear() if tags is None else await self._cache.purge(tags)
        return Response(orjson.dumps({"purged": purged}), 200, {"cache-control": "no-store"}, "application/json")

    async def _check(self, request: Request) -> None:
        viewer = await self._viewer(request)
        if OPS not in viewer.scopes:
            raise Unauthenticated("to purge takes a token with the right `ops`")


def _tags(body: bytes) -> list[str] | None:
    """The tags to purge; None for everything. Raises `BadRequest`."""
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
    return [*tags, *(POLICY_TAG for tag in tags if tag.startswith("policy:")), *_flagged(tags)]


POLICY_TAG = "Recommendations.products"
"""Decisions are never kept; of what they choose, this is."""


def _flagged(tags: list[str]) -> list[str]:
    return ["Query.components"] if any(tag.startswith("flag:") for tag in tags) else []
