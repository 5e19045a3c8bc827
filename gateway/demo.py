"""The demo's door: who tries the shop out on its own machine may become any customer of the embedded shop.

GET  /demo/people?persona=&under=   customers, of a persona or below a sponsor
POST /demo/sign-in {"customerId"}   a token of that customer, with the right to look behind the page

It is there only while the embedded shop is served to this machine with a development key: who can read that key's file
can sign in as anybody anyway.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.errors import BadRequest, PayloadTooLarge
from gateway.keys import Keys
from gateway.settings import Settings, SourceKind
from gateway.tags import as_json, body_of, problem
from gateway.tokens import Claims, mint
from personalization.clock import Clock
from resolvers.sources.embedded_build import prepare_store
from resolvers.sources.embedded_roll import read_roll
from resolvers.sources.source import Customer

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
LIFETIME = timedelta(hours=12)
MOST = 50
RIGHTS = frozenset({"preview"})


def is_demo(settings: Settings, keys: Keys) -> bool:
    """Whether tokens may be handed out: an embedded shop with a development key, that no other machine reaches."""
    ours = settings.source is SourceKind.EMBEDDED and settings.host in LOOPBACK
    return ours and keys.development is not None and keys.token is not None and settings.token_key is None


class DemoDoor:
    """Lists customers and signs in as them; closed (404) where this is no demo."""

    def __init__(self, settings: Settings, keys: Keys, clock: Clock) -> None:
        self._settings = settings
        self._key = keys.token if is_demo(settings, keys) else None
        self._clock = clock
        self._roll: dict[str, Customer] = {}

    async def people(self, request: Request) -> Response:
        """Up to 50 customers as `{"people": [{"id", "persona", "region"}], "total"}`."""
        if self._key is None:
            return _closed()
        asked = request.query_params
        found = [
            each for each in (await self._people()).values() if _fits(each, asked.get("persona"), asked.get("under"))
        ]
        return as_json(HTTPStatus.OK, {"people": [_told(each) for each in found[:MOST]], "total": len(found)})

    async def sign_in(self, request: Request) -> Response:
        """`{"token", "customer"}`, good for twelve hours; problem+json for a request that makes no sense."""
        if self._key is None:
            return _closed()
        try:
            customer_id = _customer_id(request, await body_of(request))
        except (BadRequest, PayloadTooLarge) as error:
            return problem(error)
        customer = (await self._people()).get(customer_id)
        if customer is None:
            return PlainTextResponse("there is no such customer", HTTPStatus.NOT_FOUND)
        claims = Claims(customer.id, customer.persona, customer.region, RIGHTS)
        token = mint(self._key, self._settings, claims, self._clock.now(), LIFETIME)
        return as_json(HTTPStatus.OK, {"token": token, "customer": _told(customer)})

    async def _people(self) -> dict[str, Customer]:
        if not self._roll:
            roll = await asyncio.to_thread(lambda: read_roll(prepare_store(self._settings.data_dir)))
            self._roll = {each.id: each for each in roll}
        return self._roll


def demo_routes(opened: Callable[[], DemoDoor]) -> list[Route]:
    """Both addresses; `opened` is asked at each request, since routes are made before anything is open."""

    async def people(request: Request) -> Response:
        return await opened().people(request)

    async def sign_in(request: Request) -> Response:
        return await opened().sign_in(request)

    return [Route("/demo/people", people), Route("/demo/sign-in", sign_in, methods=["POST"])]


def _closed() -> Response:
    return PlainTextResponse("Not Found", HTTPStatus.NOT_FOUND)


def _fits(customer: Customer, persona: str | None, sponsor: str | None) -> bool:
    return (persona is None or customer.persona == persona) and (sponsor is None or sponsor in customer.sponsors)


def _told(customer: Customer) -> dict[str, object]:
    return {"id": customer.id, "persona": customer.persona, "region": customer.region}


def _customer_id(request: Request, body: bytes) -> str:
    # A media type that no form of another site can send without asking first.
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise BadRequest("the body must be application/json")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    customer_id = content.get("customerId") if isinstance(content, dict) else None
    if not isinstance(customer_id, str):
        raise BadRequest('the body is not {"customerId": "..."}')
    return customer_id
