"""A gateway as simulated shoppers see it: the page they ask for, and the reports that it sends."""

import asyncio
import http.client
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from personalization.errors import StorefrontFailed
from personalization.events import OutcomeKind
from personalization.simulation.shoppers import Shopping

TIMEOUT = 10.0
"""Seconds that an answer may take."""

_SHELF = (
    "query Shelf($context: Context) { recommendations(placement: HOME, first: 1, context: $context)"
    " { decision { id action policy mode reason } } }"
)
_CATEGORIES = "{ categories { id } }"

TokenOf = Callable[[Shopping], str]
"""A bearer token of the shopper, with its persona as the role and its region."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a shopper was shown, and who decided that."""

    decision_id: str
    action: str
    policy: str
    mode: str
    reason: str


class Storefront(Protocol):
    """Where simulated shoppers go.

    Raises:
        StorefrontFailed: it does not answer, or refuses.
    """

    async def categories(self) -> Sequence[str]:
        """The ids of the categories there are."""
        ...

    async def visit(self, shopping: Shopping, category: str) -> Shown:
        """Ask for the shelf of the home page, in the shopper's context with this category."""
        ...

    async def report(self, shopping: Shopping, decision_id: str, kind: OutcomeKind) -> None:
        """Tell what the shopper has just done; durable when this returns."""
        ...


class HttpStorefront:
    """A running gateway: GraphQL for the page, `POST /events` for the reports. At most 32 requests at a time."""

    def __init__(self, url: str, token_of: TokenOf) -> None:
        """
        Raises:
            StorefrontFailed: the address is none of http or https.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or parts.hostname is None:
            raise StorefrontFailed(f"{url!r} is no address of a gateway, give one as http://localhost:8000")
        self._url = url
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._token_of = token_of
        self._kept = threading.local()
        self._room = asyncio.Semaphore(32)

    async def categories(self) -> Sequence[str]:
        """The ids of the categories there are."""
        return [str(each["id"]) for each in (await self._ask(_CATEGORIES, {}, {}))["categories"]]

    async def visit(self, shopping: Shopping, category: str) -> Shown:
        """Ask for the shelf of the home page, in the shopper's context with this category."""
        claimed = {"category": category, "season": shopping.context.season, "device": shopping.context.device}
        found = await self._ask(_SHELF, {"context": claimed}, self._authorization(shopping))
        decision = found["recommendations"]["decision"]
        return Shown(decision["id"], decision["action"], decision["policy"], decision["mode"], decision["reason"] or "")

    async def report(self, shopping: Shopping, decision_id: str, kind: OutcomeKind) -> None:
        """Tell what the shopper has just done; durable when this returns."""
        events = [{"type": kind.value.lower(), "decisionId": decision_id}]
        answer = await self._post("/events", events, self._authorization(shopping))
        if answer.get("accepted") != 1:
            raise StorefrontFailed(f"{self._url} did not take an outcome: {answer}")

    def _authorization(self, shopping: Shopping) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token_of(shopping)}"}

    async def _ask(self, query: str, variables: Mapping[str, object], headers: Mapping[str, str]) -> dict[str, Any]:
        answer = await self._post("/graphql", {"query": query, "variables": variables}, headers)
        if answer.get("errors") or not isinstance(answer.get("data"), dict):
            raise StorefrontFailed(f"{self._url} answered: {answer.get('errors', answer)}")
        data: dict[str, Any] = answer["data"]
        return data

    async def _post(self, path: str, body: object, headers: Mapping[str, str]) -> dict[str, Any]:
        async with self._room:
            status, answer = await asyncio.to_thread(self._send, path, orjson.dumps(body), headers)
        try:
            members = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise StorefrontFailed(f"{self._url}{path} answered {status} and no JSON") from error
        if status >= http.client.BAD_REQUEST or not isinstance(members, dict):
            raise StorefrontFailed(f"{self._url}{path} answered {status}: {members}")
        return members

    def _send(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """One request on this thread's connection, which is opened anew when the gateway has closed it."""
        whole = {"Content-Type": "application/json", "Accept": "application/json", **headers}
        for last in (False, True):
            connection = self._connection()
            try:
                connection.request("POST", f"{self._base}{path}", body, whole)
                response = connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if last:
                    raise StorefrontFailed(f"{self._url} does not answer: {error}") from error
        raise AssertionError("not reached")

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if connection is None:
            connection = self._kept.connection = self._connect(self._host, self._port, timeout=TIMEOUT)
        return connection
