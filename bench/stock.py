"""What the home query is measured against: stock Strawberry over the same schema, data and parts, and the floor.

POST /graphql   Strawberry's own ASGI view, with its caches of parsed and validated documents
PUT  /floor     keep these bytes
POST /floor     the kept bytes, ready
"""

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry import Schema
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from gateway.assembly import Assembly
from gateway.settings import Settings
from gateway.telemetry import build_telemetry
from personalization.clock import SystemClock
from resolvers.schema import build_schema
from resolvers.visit import Visit


class StockView(GraphQL[Visit, None]):
    """Strawberry's view, with our visit as its context."""

    def __init__(self, assembly: Assembly) -> None:
        super().__init__(_fast(build_schema()), graphql_ide=None)
        self._assembly = assembly

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Visit:
        """A visit, as the gateway opens it; it ends with the response."""
        if not isinstance(request, Request) or not isinstance(response, Response):
            raise TypeError("the measurement speaks HTTP only")
        visit = await self._assembly.opened.visits.make(request)
        response.background = BackgroundTask(_ended, visit)
        return visit


async def _ended(visit: Visit) -> None:
    visit.cancel()


def _fast(schema: Schema) -> Schema:
    """The schema with what Strawberry has to parse and validate a document once only."""
    schema.extensions = (ParserCache, ValidationCache)
    return schema


class Floor:
    """Answers every POST with the bytes that the last PUT brought."""

    def __init__(self) -> None:
        self._kept = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        if request.method == "PUT":
            self._kept = body
        await Response(self._kept, media_type="application/json")(scope, receive, send)


def create_app() -> Starlette:
    """The application, with the settings of the environment."""
    settings = Settings()
    assembly = Assembly(settings, build_telemetry(settings), SystemClock())
    return Starlette(
        routes=[Route("/graphql", StockView(assembly)), Route("/floor", Floor(), methods=["PUT", "POST"])],
        lifespan=assembly.lifespan,
    )
