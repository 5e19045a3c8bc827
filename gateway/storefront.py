"""The shop's pages: plain web files, served under a policy that lets them load nothing from elsewhere.

GET /                          the page of the shop; the same for each of its addresses (`PAGES`)
GET /assets/VERSION/...        its modules, styles, fonts and component versions; VERSION names the files as they are
GET /assets/VERSION/components.json   templates of documents; every version that has code, with its fragment
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from flags.registry import ComponentVersion, read_registry
from gateway.errors import InvalidToken
from gateway.web_files import Snapshot, WebFile, WebFiles
from resolvers.viewer import Viewer

FOLDER: Final = Path(__file__).parents[1] / "storefront"
PAGES: Final = ("/", "/category/{id}", "/search", "/product/{id}", "/basket", "/reorder", "/bulk", "/team")
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
GUARDS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "same-origin",
    }
)

_KEPT = "public, max-age=31536000, immutable"
_ASKED_AGAIN = "no-cache"
_LIST = "components.json"
_PLACE = b"/assets/now/"
"""What pages write where the version of the files is to stand."""

_DEMO_CLOSED = b'<meta name="demo" content="closed">'
_DEMO_OPEN = b'<meta name="demo" content="open">'


class Storefront:
    """The pages and their files. `viewer_of` knows who opens a page, so that its first questions have a cookie."""

    def __init__(self, components: Path, viewer_of: Callable[[Request], Awaitable[Viewer]], *, demo: bool) -> None:
        self._components = components
        self._demo = _DEMO_OPEN if demo else _DEMO_CLOSED
        self._viewer_of = viewer_of
        self._files = WebFiles(
            {"shop": FOLDER / "shop", "vendor": FOLDER / "vendor", "components": components},
        )
        self._listed: tuple[str, WebFile] | None = None

    async def page(self, request: Request) -> Response:
        """The one page that shows every address of the shop."""
        return await self._html(request, "shop/index.html", 200)

    async def missing(self, request: Request) -> Response:
        """404, as a page to who wants one."""
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse("Not Found", 404)
        return await self._html(request, "shop/missing.html", 404)

    async def asset(self, request: Request) -> Response:
        """A file. Its address names the version, so it is kept for good; under another one it is asked for again."""
        now = await self._files.current()
        name = request.path_params["name"]
        file = await self._list(now) if name == _LIST else now.files.get(name)
        if file is None:
            return PlainTextResponse("there is no such file", 404, {"X-Content-Type-Options": "nosniff"})
        current = request.path_params["version"] == now.version
        return file.response(request.headers, {"Cache-Control": _KEPT if current else _ASKED_AGAIN, **GUARDS})

    async def _html(self, request: Request, name: str, status: int) -> Response:
        now = await self._files.current()
        page = now.files[name].content.replace(_PLACE, f"/assets/{now.version}/".encode())
        page = page.replace(_DEMO_CLOSED, self._demo)
        with suppress(InvalidToken):  # a page is for everyone; what it asks for says what is wrong with a token
            await self._viewer_of(request)
        file = WebFile.of(name, page)
        if status != 200:
            return Response(file.content, status, {"Cache-Control": "no-store", **GUARDS}, file.media_type)
        return file.response(request.headers, {"Cache-Control": _ASKED_AGAIN, **GUARDS})

    async def _list(self, now: Snapshot) -> WebFile:
        """The templates of documents, and the component versions that have a module, as the page reads them."""
        if self._listed is None or self._listed[0] != now.version:
            registry = await asyncio.to_thread(read_registry, self._components)
            versions = [_told(each, now) for each in registry.versions if _module(each) in now.files]
            documents = {
                Path(name).stem: file.content.decode()
                for name, file in now.files.items()
                if name.startswith("shop/documents/")
            }
            self._listed = (
                now.version,
                WebFile.of(_LIST, orjson.dumps({"documents": documents, "versions": versions})),
            )
        return self._listed[1]


def storefront_routes(opened: Callable[[], Storefront]) -> list[Route]:
    """The pages and their files; `opened` is asked at each request, since routes are made before anything is open."""

    async def page(request: Request) -> Response:
        return await opened().page(request)

    async def asset(request: Request) -> Response:
        return await opened().asset(request)

    return [*(Route(path, page) for path in PAGES), Route("/assets/{version}/{name:path}", asset)]


def _module(version: ComponentVersion) -> str:
    return f"components/{version.manifest.folder}/{version.manifest.name}.js"


def _told(version: ComponentVersion, now: Snapshot) -> dict[str, object]:
    manifest = version.manifest
    style = f"components/{manifest.folder}/{manifest.name}.css"
    return {
        "name": manifest.name,
        "version": f"v{manifest.number}",
        "fragment": version.fragment,
        "fragmentName": manifest.fragment_name,
        "variables": dict(manifest.variables),
        "module": _module(version),
        "style": style if style in now.files else None,
    }
