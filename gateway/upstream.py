"""Serves any `CommerceSource` over the REST contract of `docs/upstream.md`, for `resolvers/sources/http.py` to ask."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import structlog
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from personalization.clock import Clock, Deadline
from personalization.errors import PersonaError
from resolvers.sources.problems import (
    INTERNAL,
    INVALID_REQUEST,
    MEDIA_TYPE,
    METHOD_NOT_ALLOWED,
    NO_SUCH_ROUTE,
    InvalidRequest,
    Problem,
    RequestTooLarge,
    encode_problem,
    problem_of,
)
from resolvers.sources.rest_contract import encode
from resolvers.sources.rest_requests import (
    MAX_BODY_BYTES,
    Members,
    read_catalog_query,
    read_ids,
    read_shelf_queries,
)
from resolvers.sources.source import MAX_PAGE, CommerceSource

Answer = Callable[[Any, Deadline], Awaitable[object]]

_DEFAULT_DEADLINE_S = 10.0
_LONGEST_DEADLINE_MS = 60_000
_log = structlog.get_logger()


def build_upstream(source: CommerceSource, *, clock: Clock, tracer: Tracer) -> Starlette:
    """An application that answers the contract's routes from `source`, and closes the source when it shuts down."""
    shop = _Shop(source)
    door = _Door(clock, tracer)

    def route(path: str, answer: Answer, *methods: str, status: int = 200) -> Route:
        return Route(path, door.endpoint(path, answer, status), methods=list(methods))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await source.aclose()

    return Starlette(
        routes=[
            route("/health", shop.health, "GET"),
            route("/products", shop.products, "GET"),
            route("/products/batch", shop.products, "POST"),
            route("/prices", shop.prices, "GET"),
            route("/prices/batch", shop.prices, "POST"),
            route("/stock", shop.stock, "GET"),
            route("/stock/batch", shop.stock, "POST"),
            route("/coupons", shop.coupons, "GET"),
            route("/coupons/batch", shop.coupons, "POST"),
            route("/categories", shop.categories, "GET"),
            route("/categories/batch", shop.categories, "POST"),
            route("/categories/tree", shop.category_tree, "GET"),
            route("/catalog", shop.catalog, "GET"),
            route("/catalog/query", shop.catalog, "POST"),
            route("/catalog/count", shop.catalog_count, "GET"),
            route("/catalog/count/query", shop.catalog_count, "POST"),
            route("/shelves", shop.shelves, "POST"),
            route("/customers/batch", shop.customers, "POST"),
            route("/orders/batch", shop.orders, "POST"),
            route("/persona-categories", shop.persona_categories, "GET"),
            route("/baskets/find", shop.basket, "POST"),
            route("/baskets/lines", shop.add_to_basket, "POST", status=201),
        ],
        exception_handlers={HTTPException: _refused_by_router},
        lifespan=lifespan,
    )


class _Shop:
    """The routes' answers: members of a request and a deadline in, a value that is ready to be encoded out."""

    def __init__(self, source: CommerceSource) -> None:
        self._source = source

    async def health(self, values: Any, deadline: Deadline) -> object:
        Members(values, set())
        await self._source.products(["health"], deadline)
        return {"status": "ok"}

    async def products(self, values: Any, deadline: Deadline) -> object:
        return {"items": await self._source.products(_ids(values), deadline)}

    async def prices(self, values: Any, deadline: Deadline) -> object:
        return {"items": await self._source.prices(_ids(values), deadline)}

    async def stock(self, values: Any, deadline: Deadline) -> object:
        return {"items": await self._source.stock(_ids(values), deadline)}

    async def coupons(self, values: Any, deadline: Deadline) -> object:
        return {"items": await self._source.coupons(_ids(values), deadline)}

    async def categories(self, values: Any, deadline: Deadline) -> object:
        return {"items": await self._source.categories(_ids(values), deadline)}

    async def category_tree(self, values: Any, deadline: Deadline) -> object:
        Members(values, set())
        return {"items": await self._source.category_tree(deadline)}

    async def catalog(self, values: Any, deadline: Deadline) -> object:
        return await self._source.catalog(read_catalog_query(values), deadline)

    async def catalog_count(self, values: Any, deadline: Deadline) -> object:
        return {"count": await self._source.catalog_count(read_catalog_query(values), deadline)}

    async def shelves(self, values: Any, deadline: Deadline) -> object:
        return {"items": await self._source.shelves(read_shelf_queries(values), deadline)}

    async def customers(self, values: Any, deadline: Deadline) -> object:
        return {"items": await self._source.customers(_ids(values), deadline)}

    async def orders(self, values: Any, deadline: Deadline) -> object:
        members = Members(values, {"ids", "limit"})
        limit = members.within("limit", 1, MAX_PAGE, MAX_PAGE)
        return {"items": await self._source.orders(read_ids(members), limit, deadline)}

    async def persona_categories(self, values: Any, deadline: Deadline) -> object:
        Members(values, set())
        found = await self._source.persona_categories(deadline)
        return {"personas": {persona.value: categories for persona, categories in found.items()}}

    async def basket(self, values: Any, deadline: Deadline) -> object:
        members = Members(values, {"id", "owner"})
        return {"basket": await self._source.basket(members.text("id"), members.text("owner"), deadline)}

    async def add_to_basket(self, values: Any, deadline: Deadline) -> object:
        members = Members(values, {"id", "owner", "product_id", "quantity"})
        basket_id, owner = members.optional_text("id"), members.text("owner")
        product_id, quantity = members.text("product_id"), members.integer("quantity")
        return {"basket": await self._source.add_to_basket(basket_id, owner, product_id, quantity, deadline)}


class _Door:
    """What all routes share: reading the request, the deadline, the trace, and telling errors."""

    def __init__(self, clock: Clock, tracer: Tracer) -> None:
        self._clock = clock
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    def endpoint(self, path: str, answer: Answer, status: int) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of a route: whatever happens, a JSON answer or a problem."""

        async def respond(request: Request) -> Response:
            with self._tracer.start_as_current_span(
                f"{request.method} {path}",
                context=self._propagator.extract(request.headers),
                kind=SpanKind.SERVER,
                attributes={"http.request.method": request.method, "http.route": path},
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                response = await self._answered(request, path, answer, status)
                _describe(span, response.status_code)
                return response

        return respond

    async def _answered(self, request: Request, path: str, answer: Answer, status: int) -> Response:
        try:
            deadline = self._deadline(request)
            value = await answer(await _values(request), deadline)
            return Response(encode(value), status, media_type="application/json")
        except PersonaError as error:
            return _problem(problem_of(error), str(error))
        except ClientDisconnect:
            return _problem(INVALID_REQUEST, "the body ended early")
        except Exception as error:
            _log.exception("upstream_failed", route=path, error=type(error).__name__)
            return _problem(INTERNAL, "the shop's log says why")

    def _deadline(self, request: Request) -> Deadline:
        header = request.headers.get("x-deadline-ms")
        if header is None:
            return Deadline.after(_DEFAULT_DEADLINE_S, self._clock)
        if not (header.isascii() and header.isdigit() and len(header) <= 9):
            raise InvalidRequest("X-Deadline-Ms must be milliseconds")
        return Deadline.after(min(int(header), _LONGEST_DEADLINE_MS) / 1000, self._clock)


def _ids(values: Any) -> list[str]:
    return read_ids(Members(values, {"ids"}))


async def _values(request: Request) -> Any:
    """The members of a request: of its body if it is a POST, else of its address, where only `ids` may be many."""
    if request.method == "POST":
        try:
            return orjson.loads(await _body(request))
        except orjson.JSONDecodeError as error:
            raise InvalidRequest("the body is not JSON") from error
    params = request.query_params
    values: dict[str, object] = dict(params)
    if "ids" in values:
        values["ids"] = params.getlist("ids")
    return values


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLarge(f"a body may have {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _describe(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def _problem(problem: Problem, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(encode_problem(problem, detail), problem.status, headers, MEDIA_TYPE)


async def _refused_by_router(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    if isinstance(error, HTTPException) and error.status_code == 405:
        return _problem(METHOD_NOT_ALLOWED, f"{request.method} is not taken here", headers)
    return _problem(NO_SUCH_ROUTE, "docs/upstream.md lists the routes", headers)
