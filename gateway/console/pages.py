"""The console's files, served whole from here: nothing is loaded from elsewhere, as a policy says."""

from pathlib import Path
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.web_files import WebFiles

FOLDER: Final = Path(__file__).parents[2] / "storefront" / "console"

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS: Final = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)
_PREFIX: Final = "console"


class Pages:
    """The files of the folder by their paths in it; a change of them is seen within a second."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = WebFiles({_PREFIX: folder})

    async def page(self, request: Request, name: str) -> Response:
        """A file; 304 where the browser has it. Browsers ask each time, so none shows an old page. 404 for no file."""
        file = (await self._files.current()).files.get(f"{_PREFIX}/{name}")
        if file is None:
            return Response("there is no such file", 404, HEADERS)
        return file.response(request.headers, {**HEADERS, "Cache-Control": "no-cache"})

    async def refusal(self, name: str, status: int) -> Response:
        """A page in place of one that is not shown; nobody keeps it."""
        file = (await self._files.current()).files[f"{_PREFIX}/{name}"]
        return Response(file.content, status, {**HEADERS, "Cache-Control": "no-store"}, file.media_type)
