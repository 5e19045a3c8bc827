"""Previews over HTTP: which one a request carries, and the page that puts it into a browser or takes it out again.

GET /preview?token=...&to=/   keeps the token in a cookie and goes on to a page of this site
GET /preview                  ends the preview
"""

from http.cookies import SimpleCookie

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response

from flags.errors import InvalidPreview
from flags.preview import Preview, PreviewTokens
from gateway.settings import Settings
from gateway.tags import problem
from personalization.clock import Clock
from resolvers.viewer import Viewer

HEADER = "preview-token"
COOKIE = "preview"


class Previews:
    """Reads the token of a request: its header (`Preview-Token`), else the browser's cookie."""

    def __init__(self, tokens: PreviewTokens, settings: Settings, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock
        self._secure = settings.cookie_secure

    def of(self, connection: HTTPConnection, viewer: Viewer) -> Preview | None:
        """The preview that this viewer's request is under, None for none.

        A cookie that is no good any more, or that another viewer brings, is as good as none.

        Raises:
            InvalidPreview: the header carries a token that is not good, or is another viewer's.
        """
        header = connection.headers.get(HEADER)
        if header is not None:
            return _for(viewer, self._tokens.read(header, self._clock.now()))
        cookie = connection.cookies.get(COOKIE)
        if cookie is None:
            return None
        try:
            return _for(viewer, self._tokens.read(cookie, self._clock.now()))
        except InvalidPreview:
            return None

    async def visit(self, request: Request) -> Response:
        """Begin a preview in this browser, or end it, and go on to a page."""
        token = request.query_params.get("token")
        response = RedirectResponse(_local(request.query_params.get("to", "/")), 303, {"Cache-Control": "no-store"})
        try:
            response.headers["Set-Cookie"] = self._cookie(token)
        except InvalidPreview as error:
            return problem(error)
        return response

    def _cookie(self, token: str | None) -> str:
        seconds = 0
        if token is not None:
            preview = self._tokens.read(token, self._clock.now())
            seconds = int((preview.until - self._clock.now()).total_seconds())
        cookie: SimpleCookie = SimpleCookie()
        cookie[COOKIE] = token or ""
        attributes = {"path": "/", "max-age": seconds, "httponly": True, "samesite": "Lax", "secure": self._secure}
        for name, value in attributes.items():
            cookie[COOKIE][name] = value
        return cookie[COOKIE].OutputString()


def _for(viewer: Viewer, preview: Preview) -> Preview:
    if preview.subject is not None and preview.subject != viewer.subject:
        raise InvalidPreview("the preview token is another viewer's")
    return preview


def _local(page: str) -> str:
    """The page, if it is one of this site's, otherwise the first one."""
    own = page.startswith("/") and not page.startswith(("//", "/\\")) and page.isprintable()
    return page if own else "/"
