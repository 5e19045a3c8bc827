"""POST /cache/purge: throw out what is kept, by tag, in every process. For operators: the token has the right `ops`.

The body is `{"tags": ["Product:123", "Query.catalog"]}` or `{"everything": true}`; the answer says how many values went
out of this process's memory. What is being made while a purge happens is not kept either. 503 says that it is done in
this process and the others could not be told: ask again.
"""

from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import InvalidToken
from gateway.purges import Purges, asked_tags
from gateway.tags import problem
from personalization.errors import PersonaError
from resolvers.errors import Unauthenticated
from resolvers.viewer import OPS, Viewer


class Purging:
    """Answers purges. Without a cache there is nothing to purge, which is no error."""

    def __init__(self, purges: Purges | None, viewer: Callable[[Request], Awaitable[Viewer]]) -> None:
        self._purges = purges
        self._viewer = viewer

    async def receive(self, request: Request) -> Response:
        """Purge, and say how much that was; a problem (RFC 9457) when it is refused."""
        purged = 0
        try:
            await self._check(request)
            tags = asked_tags(await request.body())
            if self._purges is not None:
                purged = await self._purges.purge(tags)
        except (PersonaError, InvalidToken) as error:
            return problem(error)
        return Response(orjson.dumps({"purged": purged}), 200, {"cache-control": "no-store"}, "application/json")

    async def _check(self, request: Request) -> None:
        viewer = await self._viewer(request)
        if OPS not in viewer.scopes:
            raise Unauthenticated("to purge takes a token with the right `ops`")
