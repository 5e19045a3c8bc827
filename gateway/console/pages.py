"""The console's files, read once and served whole from here: nothing is loaded from elsewhere, as a policy says."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

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
_KINDS: Final = MappingProxyType({".js": "text/javascript", ".css": "text/css", ".html": "text/html"})


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent; `tag` changes with what is in it."""

    content_type: str
    plain: bytes
    gzipped: bytes
    tag: str


def read_assets(folder: Path = FOLDER) -> Mapping[str, Asset]:
    """The files of a folder by their path in it. Blocks."""
    files = [each for each in sorted(folder.rglob("*")) if each.suffix in _KINDS]
    return MappingProxyType({each.relative_to(folder).as_posix(): _asset(each) for each in files})


def page(request: Request, asset: Asset, status: int = 200) -> Response:
    """An asset as an answer; 304 where the browser has it. Browsers ask each time, so none shows an old page."""
    headers = {**HEADERS, "Cache-Control": "no-cache", "ETag": f'"{asset.tag}"', "Vary": "Accept-Encoding"}
    if status == 200 and request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if status != 200:
        headers["Cache-Control"] = "no-store"
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.gzipped, status, {**headers, "Content-Encoding": "gzip"}, asset.content_type)
    return Response(asset.plain, status, headers, asset.content_type)


def _asset(path: Path) -> Asset:
    plain = path.read_bytes()
    tag = hashlib.sha256(plain).hexdigest()[:16]
    return Asset(_KINDS[path.suffix], plain, gzip.compress(plain, mtime=0), tag)
