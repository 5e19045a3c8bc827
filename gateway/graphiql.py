"""GraphiQL for browsers, served whole from here: nothing is loaded from elsewhere, and a strict policy says so."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/graphiql/"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_ASSETS = (
    ("graphiql.min.js", "text/javascript"),
    ("graphiql.min.css", "text/css"),
    ("react.production.min.js", "text/javascript"),
    ("react-dom.production.min.js", "text/javascript"),
    ("start.js", "text/javascript"),
    ("home.graphql", "text/plain"),
    ("page.css", "text/css"),
    ("page.html", "text/html"),
)


@dataclass(frozen=True, slots=True)
class _Asset:
    """A file as it is sent: compressed and not, to whoever takes that."""

    content_type: str
    plain: bytes
    gzipped: bytes


def graphiql_routes() -> list[Route]:
    """The page at `/graphiql/` and its files below; it talks to `/graphql`. The files are read once, here."""
    assets = MappingProxyType({name: _read(name, kind) for name, kind in _ASSETS})

    async def page(request: Request) -> Response:
        return _response(request, assets["page.html"], max_age=0)

    async def asset(request: Request) -> Response:
        found = assets.get(request.path_params["name"])
        if found is None:
            return Response("there is no such file", 404, media_type="text/plain")
        return _response(request, found, max_age=3600)

    return [Route(PATH, page), Route(f"{PATH}{{name}}", asset)]


def _read(name: str, content_type: str) -> _Asset:
    folder = Path(__file__).parent / "graphiql_files"
    packed = folder / f"{name}.gz"
    if packed.is_file():
        gzipped = packed.read_bytes()
        return _Asset(content_type, gzip.decompress(gzipped), gzipped)
    plain = (folder / name).read_bytes()
    return _Asset(content_type, plain, gzip.compress(plain, mtime=0))


def _response(request: Request, asset: _Asset, max_age: int) -> Response:
    packed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {
        "Cache-Control": f"public, max-age={max_age}",
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.gzipped if packed else asset.plain, media_type=asset.content_type, headers=headers)
