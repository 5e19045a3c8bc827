"""From the bytes of an HTTP request to one GraphQL request, or to the error that says what is wrong with them."""

import asyncio
import json
import re
from collections.abc import Mapping
from types import TracebackType
from typing import cast
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope

from gateway.documents import GraphQLRequest
from gateway.errors import (
    BadRequest,
    BatchRefused,
    CsrfRefused,
    PayloadTooLarge,
    UnsupportedMediaType,
    UriTooLong,
)
from gateway.negotiation import is_utf8, media_type

PARAMETERS = ("query", "operationName", "variables", "extensions")
PREFLIGHT_HEADERS = ("apollo-require-preflight", "x-apollo-operation-name", "graphql-require-preflight")
WATCH_AFTER_S = 0.005
"""Most answers are out before anybody could leave; watching them would cost a task each."""

_MAX_FIELDS = 50
_LONG_NUMBER = re.compile(rb"\d{19}")


class ClientGone(Exception):
    """The client closed the connection; there is nobody to answer."""


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers by their names in lower case; those given more than once joined by commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def from_query_string(query_string: bytes, limit: int) -> GraphQLRequest:
    """The request of a GET.

    Raises:
        UriTooLong: the query string is over `limit` bytes.
        BadRequest: not UTF-8, a parameter given twice, `variables` or `extensions` no JSON object.
    """
    if len(query_string) > limit:
        raise UriTooLong(f"the query string has {len(query_string)} bytes, at most {limit} are read; use POST")
    try:
        fields = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError as error:
        raise BadRequest("the query string is not URL-encoded UTF-8 with at most 50 parameters") from error
    given: dict[str, object] = {}
    for name, value in fields:
        if name not in PARAMETERS:
            continue
        if name in given:
            raise BadRequest(f"parameter `{name}` is given twice")
        given[name] = (_json(value, name) if name in ("variables", "extensions") else value) if value else None
    return from_parameters(given)


def from_body(body: bytes) -> GraphQLRequest:
    """The request of a POST.

    Raises:
        BadRequest: no JSON, or not an object with members of the right types.
        BatchRefused: an array.
    """
    try:
        parameters = _exact(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON in UTF-8: {error.msg}" if body else "the body is empty") from error
    if isinstance(parameters, list):
        raise BatchRefused("the body is an array of requests; send one request as an object")
    if not isinstance(parameters, dict):
        raise BadRequest(f"the body must be a JSON object, not {_json_type(parameters)}")
    return from_parameters(parameters)


def from_parameters(given: Mapping[str, object]) -> GraphQLRequest:
    """The request that JSON parameters make; members that are not known are ignored. Raises `BadRequest`."""
    return GraphQLRequest(
        query=_text(given, "query"),
        operation_name=_text(given, "operationName") or None,
        variables=_object(given, "variables"),
        extensions=_object(given, "extensions"),
    )


def check_content(headers: Mapping[str, str]) -> None:
    """Refuse bodies other than `application/json` in UTF-8, not compressed.

    That also refuses every POST that a foreign page could send without asking first: none of the content types of
    simple requests is read here. Raises `UnsupportedMediaType`.
    """
    given = headers.get("content-type", "none")
    essence, parameters = media_type(given)
    if essence != "application/json" or "," in given:
        raise UnsupportedMediaType(f"the content type must be `application/json`, received: {given[:100]}")
    if not is_utf8(charset := parameters.get("charset", "utf-8")):
        raise UnsupportedMediaType(f"the charset must be `utf-8`, received: {charset[:40]}")
    coding = headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise UnsupportedMediaType(f"compressed bodies are not read, received content coding: {coding[:40]}")


def check_origin(headers: Mapping[str, str], allowed_origins: tuple[str, ...]) -> None:
    """Refuse a GET that a page from elsewhere makes a browser send.

    A GET runs queries only, so plain ones from programs, from the address bar and from our own pages pass. What a
    browser marks as coming from another site must be from an allowed origin, or carry a header that made the browser
    ask first (`Apollo-Require-Preflight`, `X-Apollo-Operation-Name` or `GraphQL-Require-Preflight`).
    Raises `CsrfRefused`.
    """
    if any(headers.get(name) for name in PREFLIGHT_HEADERS):
        return
    origin = headers.get("origin")
    if origin in allowed_origins or "*" in allowed_origins:
        return
    site = headers.get("sec-fetch-site")
    foreign = site in ("cross-site", "same-site") if site else origin is not None and not _same_host(origin, headers)
    if foreign:
        raise CsrfRefused(
            "a page of another site may send GET requests only with the header `Apollo-Require-Preflight: true`"
        )


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The whole body, counted as it comes in.

    Raises:
        PayloadTooLarge: it is, or says it is, over `limit` bytes; the rest is not read.
        ClientGone: the connection closed before the end.
    """
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise PayloadTooLarge(f"the body has {declared} bytes, at most {limit} are read")
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge(f"the body has more than {limit} bytes, which is all that is read")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Hangup:
    """While entered, cancels the work inside when the client goes away, and then raises `ClientGone`.

    `release` ends the watch before the last bytes go out, after which every server reports a disconnect.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Hangup":
        self._work = cast("asyncio.Task[object]", asyncio.current_task())
        self._start = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
        if self._gone and kind is not None and issubclass(kind, asyncio.CancelledError) and not self._work.uncancel():
            raise ClientGone from error

    def release(self) -> None:
        """Stop watching."""
        self._start.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _begin(self) -> None:
        self._watch = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._work.cancel()


def _same_host(origin: str, headers: Mapping[str, str]) -> bool:
    return origin.partition("://")[2] == headers.get("host")


def _exact(text: bytes) -> object:
    """The JSON value, its integers exact. Raises `orjson.JSONDecodeError`."""
    value: object = orjson.loads(text)
    if not _LONG_NUMBER.search(text):
        return value
    try:  # of what is known to be JSON: beyond 64 bits orjson makes an integer a float, and an id another id
        return cast("object", json.loads(text))
    except RecursionError as error:
        raise orjson.JSONDecodeError("nested too deep", text.decode(), 0) from error


def _json(text: str, name: str) -> object:
    try:
        return _exact(text.encode())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"parameter `{name}` is not JSON: {error.msg}") from error


def _text(given: Mapping[str, object], name: str) -> str | None:
    value = given.get(name)
    if value is None or isinstance(value, str):
        return value
    raise BadRequest(f"parameter `{name}` must be a string, not {_json_type(value)}")


def _object(given: Mapping[str, object], name: str) -> dict[str, object] | None:
    value = given.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise BadRequest(f"parameter `{name}` must be an object, not {_json_type(value)}")


def _json_type(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
