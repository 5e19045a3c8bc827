"""Folders of web files as one snapshot in memory: every file ready to be sent, all under one version.

Requests name a file by its key in the snapshot, never by a path, so nothing outside of the folders can be reached.
"""

import asyncio
import gzip
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType

from starlette.datastructures import Headers
from starlette.responses import Response

LOOKS_APART_S = 1.0
"""A folder is looked at again after this many seconds at the earliest; a saved file is served then."""

LARGEST_FILE = 4 * 1024 * 1024
TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".css": "text/css",
        ".graphql": "text/plain",
        ".html": "text/html",
        ".js": "text/javascript",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".woff2": "font/woff2",
    }
)
"""What is served, by how the name ends. Files that end otherwise, such as notices, stay where they are."""

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file as it is sent: whole, and compressed where that is shorter."""

    media_type: str
    content: bytes
    gzipped: bytes | None
    tag: str

    @classmethod
    def of(cls, name: str, content: bytes) -> "WebFile":
        """The file of this name, which says what it is."""
        packed = gzip.compress(content, 6, mtime=0) if not name.endswith(".woff2") else content
        return cls(
            TYPES[Path(name).suffix],
            content,
            packed if len(packed) < len(content) else None,
            blake2b(content, digest_size=12).hexdigest(),
        )

    def response(self, request: Headers, headers: Mapping[str, str]) -> Response:
        """The file with these headers, or 304 to who has it already. Compressed and whole have a tag each."""
        packed = self.gzipped is not None and "gzip" in request.get("accept-encoding", "")
        tag = f'"{self.tag}-gz"' if packed else f'"{self.tag}"'
        sent = {"ETag": tag, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff", **headers}
        if tag in request.get("if-none-match", ""):
            return Response(status_code=304, headers=sent)
        if packed:
            sent["Content-Encoding"] = "gzip"
        body = self.gzipped if packed and self.gzipped is not None else self.content
        return Response(body, media_type=self.media_type, headers=sent)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All files at one moment by their names, such as `shop/app.js`; `version` changes when any of them does."""

    version: str
    files: Mapping[str, WebFile]


class WebFiles:
    """The files of some folders, each under a name of its own. A change is seen within a second, whole."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)
        self._stamp: Stamp = ()
        self._snapshot = Snapshot("", {})
        self._looked = float("-inf")
        self._looking = asyncio.Lock()

    async def current(self) -> Snapshot:
        """The files as they are now, or were a second ago."""
        if time.monotonic() - self._looked >= LOOKS_APART_S:
            async with self._looking:
                if time.monotonic() - self._looked >= LOOKS_APART_S:
                    await asyncio.to_thread(self._look)
        return self._snapshot

    def _look(self) -> None:
        found = dict(self._found())
        stamp = tuple((name, each.stat().st_mtime_ns, each.stat().st_size) for name, each in found.items())
        if stamp != self._stamp:
            files = {name: WebFile.of(name, path.read_bytes()) for name, path in found.items()}
            digest = blake2b(repr([(name, file.tag) for name, file in files.items()]).encode(), digest_size=8)
            self._snapshot = Snapshot(digest.hexdigest(), MappingProxyType(files))
            self._stamp = stamp
        self._looked = time.monotonic()

    def _found(self) -> Iterator[tuple[str, Path]]:
        for prefix, folder in self._folders.items():
            for path in sorted(folder.rglob("*")):
                parts = path.relative_to(folder).parts
                hidden = any(part.startswith(".") or part == "node_modules" for part in parts)
                if not hidden and path.suffix in TYPES and path.is_file() and path.stat().st_size <= LARGEST_FILE:
                    yield "/".join((prefix, *parts)), path
