"""The console over HTTP: the page and its files, what it asks for, and the two changes it can make.

GET          /console/                the page; without the right a page that says how to get in
GET          /console/files/…         modules and styles
POST, DELETE /console/session         a ticket or a token becomes a session, or it ends
GET          /console/api/…           what the charts show, as JSON
POST         /console/api/promote, /console/api/rollback

All but the files and the beginning of a session takes the right `ops`: a session's cookie, or a token that has it.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.console.answers import Answers
from gateway.console.flag_shares import FlagShares
from gateway.console.hub_state import hub_state
from gateway.console.pages import HEADERS, Pages
from gateway.console.policies import Policies, asked_change, told_change
from gateway.console.rewards import Rewards, span_of
from gateway.console.samples import History, Sampler
from gateway.console.segments import Segments
from gateway.console.sign_in import COOKIE, PATH, Operator, Sessions, Tickets
from gateway.errors import (
    BadRequest,
    CsrfRefused,
    InvalidToken,
    PayloadTooLarge,
    RequestTimeout,
    RightNeeded,
    UnsupportedMediaType,
    kind_of,
)
from gateway.settings import Settings
from gateway.tags import problem
from personalization.errors import PersonaError
from personalization.hub.survey import HubSurvey
from personalization.registry_records import Promotion
from resolvers.errors import Unauthenticated
from resolvers.viewer import OPS, Viewer

CSRF: Final = "console-csrf"
LONGEST_S: Final = 20.0
"""Longest that an answer may take, and a body to arrive."""

_MOST_BYTES: Final = 4096
_OWN_PAGES: Final = ("same-origin", "none")
_LONGEST_FILTER: Final = 128
_HOW: Final = "the console takes the right `ops`: run `gateway console` on the gateway's machine, or bring a token"

_log = structlog.get_logger("gateway.console")


@dataclass(frozen=True, slots=True)
class Shown:
    """Where what is shown comes from."""

    sampler: Sampler
    history: History
    rewards: Rewards
    policies: Policies
    flags: FlagShares
    segments: Segments
    survey: HubSurvey
    companion: Callable[[], Mapping[str, object] | None]


class Console:
    """Answers requests of the console. Use it from one event loop."""

    def __init__(
        self,
        shown: Shown,
        answers: Answers,
        days: Answers,
        tickets: Tickets,
        sessions: Sessions,
        viewer: Callable[[Request], Awaitable[Viewer]],
        settings: Settings,
        pages: Pages,
    ) -> None:
        self._shown = shown
        self._answers = answers
        self._days = days  # the lake may take seconds, and nothing else waits for it
        self._tickets = tickets
        self._sessions = sessions
        self._viewer = viewer
        self._settings = settings
        self._pages = pages

    async def aclose(self) -> None:
        """Take no more samples, and wait for the answers that are being made. Safe to call twice."""
        await self._shown.history.aclose()
        await self._answers.aclose()
        await self._days.aclose()

    async def shell(self, request: Request) -> Response:
        """The page, or the one that says how to get in: 401, or 403 to a token without the right."""
        try:
            await self._operator(request)
        except (Unauthenticated, InvalidToken, RightNeeded) as error:
            return await self._pages.refusal("sign-in.html", kind_of(type(error)).status)
        return await self._pages.page(request, "index.html")

    async def file(self, request: Request) -> Response:
        """A module or a style. Nothing in them is secret."""
        return await self._pages.page(request, request.path_params["name"])

    async def session(self, request: Request) -> Response:
        """POST begins a session with a ticket, or with a token in `Authorization`; DELETE ends it."""
        if request.method == "DELETE":
            return Response(status_code=204, headers={**HEADERS, "Set-Cookie": self._sessions.end()})
        try:
            name = await self._admitted(request)
        except PersonaError as error:
            return problem(error)
        _log.info("console_opened")
        headers = {**HEADERS, "Cache-Control": "no-store", "Set-Cookie": self._sessions.begin(name)}
        return Response(status_code=204, headers=headers)

    async def now(self, request: Request) -> Response:
        """A sample of the metrics now, and those since `since` (milliseconds since 1970)."""

        async def told(_who: Operator) -> bytes:
            since = request.query_params.get("since", "0")
            if not since.isascii() or not since.isdecimal() or len(since) > 15:
                raise BadRequest("`since` must be milliseconds since 1970")
            now = await self._answers.answer("now", self._shown.sampler.sample)
            earlier = orjson.dumps(list(self._shown.history.since(int(since))))
            companion = await asyncio.to_thread(self._shown.companion)
            return b'{"now":%b,"earlier":%b,"learning":%b}' % (now, earlier, orjson.dumps(companion))

        return await self._answered(request, told)

    async def me(self, request: Request) -> Response:
        """Who looks, what a change has to carry, and the settings that charts explain themselves by."""

        async def told(who: Operator) -> bytes:
            settings = self._settings
            return orjson.dumps(
                {
                    "name": who.name,
                    "csrf": who.csrf,
                    "policy_mode": settings.policy_mode.value,
                    "holdback": settings.holdback,
                    "join_window_s": settings.join_window_s + settings.join_lateness_s,
                    "workers": settings.workers,
                    "learning": settings.learning,
                    "cache": settings.cache,
                }
            )

        return await self._answered(request, told)

    async def rewards(self, request: Request) -> Response:
        """Decisions and rewards over time."""

        async def told(_who: Operator) -> bytes:
            query = request.query_params
            span = span_of(query.get("range", "15m"))
            persona, placement = query.get("persona") or None, query.get("placement") or None
            if span is None or any(each and len(each) > _LONGEST_FILTER for each in (persona, placement)):
                raise BadRequest("`range` is one of 15m, 1h, 24h and 7d, `persona` and `placement` are short texts")
            name = f"rewards {span.word} {persona} {placement}"
            answers, kept_s = (self._days, 30.0) if span.lake else (self._answers, None)
            return await answers.answer(name, lambda: self._shown.rewards.over(span, persona, placement), kept_s=kept_s)

        return await self._answered(request, told)

    async def view(self, request: Request) -> Response:
        """Flags, models, segments or the hub, as the path says."""
        made: dict[str, Callable[[], object]] = {
            "flags": self._shown.flags.all,
            "models": self._shown.policies.all,
            "segments": self._shown.segments.all,
            "hub": lambda: hub_state(self._shown.survey),
        }
        name = request.path_params["view"]
        if name not in made:
            return Response("there is no such view", 404, HEADERS)
        kept_s = 5.0 if name == "segments" else None
        return await self._answered(request, lambda _who: self._answers.answer(name, made[name], kept_s=kept_s))

    async def promote(self, request: Request) -> Response:
        """Make a version live."""

        def change(name: str, version: int | None, because: str, who: str) -> Promotion:
            if version is None:
                raise BadRequest("`version` is the one to make live")
            return self._shown.policies.promote(name, version, because, who)

        return await self._changed(request, change)

    async def rollback(self, request: Request) -> Response:
        """Go back to the version that the live one replaced, or to `version`."""
        return await self._changed(
            request,
            lambda name, version, because, who: self._shown.policies.roll_back(name, because, who, version),
        )

    async def _changed(self, request: Request, change: Callable[[str, int | None, str, str], Promotion]) -> Response:
        async def told(who: Operator) -> bytes:
            _check_meant(request, who)
            name, version, because = asked_change(await _json_of(request))
            promotion = await asyncio.to_thread(change, name, version, because, who.name)
            self._answers.forget()
            _log.info("console_changed_model", model=name, version=promotion.version, change=promotion.change.value)
            return orjson.dumps(told_change(name, promotion))

        return await self._answered(request, told)

    async def _answered(self, request: Request, told: Callable[[Operator], Awaitable[bytes]]) -> Response:
        try:
            operator = await self._operator(request)
            _check_origin(request, operator)
            content = await told(operator)
        except PersonaError as error:
            return problem(error)
        headers = {**HEADERS, "Cache-Control": "no-store"}
        return Response(content, 200, headers, "application/json")

    async def _operator(self, request: Request) -> Operator:
        """Who asks; a token comes before a cookie.

        Raises:
            Unauthenticated: there is neither.
            InvalidToken: the token is not good.
            RightNeeded: it does not carry the right.
        """
        if "authorization" in request.headers:
            return Operator(await self._bearer(request))
        operator = self._sessions.read(request.cookies.get(COOKIE))
        if operator is None:
            raise Unauthenticated(_HOW)
        return operator

    async def _bearer(self, request: Request) -> str:
        viewer = await self._viewer(request)
        if OPS not in viewer.scopes:
            raise RightNeeded("this token has no right `ops`, which the console takes")
        return viewer.subject

    async def _admitted(self, request: Request) -> str:
        if "authorization" in request.headers:
            return await self._bearer(request)
        body = await _json_of(request)
        ticket = body.get("ticket") if isinstance(body, dict) else None
        if not isinstance(ticket, str):
            raise BadRequest("the body must be an object with a `ticket`")
        return await asyncio.to_thread(self._tickets.redeem, ticket)


Answer = Callable[[Console, Request], Awaitable[Response]]


def console_routes(console: Callable[[], Console]) -> list[Route]:
    """The routes; they look for the console at each request, for there is none before the gateway is open."""

    def to(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                async with asyncio.timeout(LONGEST_S):
                    return await answer(console(), request)
            except TimeoutError:
                return problem(RequestTimeout(f"the console did not answer within {LONGEST_S:g} seconds"))
            except ClientDisconnect:
                return Response(status_code=400)  # nobody will read it

        return endpoint

    return [
        Route(PATH, RedirectResponse(f"{PATH}/")),
        Route(f"{PATH}/", to(Console.shell)),
        Route(f"{PATH}/files/{{name:path}}", to(Console.file)),
        Route(f"{PATH}/session", to(Console.session), methods=["POST", "DELETE"]),
        Route(f"{PATH}/api/me", to(Console.me)),
        Route(f"{PATH}/api/now", to(Console.now)),
        Route(f"{PATH}/api/rewards", to(Console.rewards)),
        Route(f"{PATH}/api/promote", to(Console.promote), methods=["POST"]),
        Route(f"{PATH}/api/rollback", to(Console.rollback), methods=["POST"]),
        Route(f"{PATH}/api/{{view}}", to(Console.view)),
    ]


def _check_origin(request: Request, who: Operator) -> None:
    """Whose cookie is sent by a page from elsewhere is not asked; CsrfRefused says so."""
    if who.csrf is not None and request.headers.get("sec-fetch-site", "same-origin") not in _OWN_PAGES:
        raise CsrfRefused("a page of another origin asks with the console's cookie")


def _check_meant(request: Request, who: Operator) -> None:
    """A cookie alone does not prove that the console's own page wants a change; CsrfRefused without that proof."""
    given = request.headers.get(CSRF, "")
    if who.csrf is not None and not hmac.compare_digest(given.encode(), who.csrf.encode()):
        raise CsrfRefused(f"changes need the header {CSRF} with what /console/api/me gave to this session")


async def _json_of(request: Request) -> object:
    """The body, which is JSON and small."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UnsupportedMediaType("the body must be `application/json`")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise PayloadTooLarge(f"the body has more than {_MOST_BYTES} bytes")
    try:
        return orjson.loads(bytes(body))
    except orjson.JSONDecodeError as error:
        raise BadRequest("the body is not JSON") from error
