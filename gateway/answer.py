"""One HTTP answer, written in the media type the client takes."""

from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType

from starlette.types import Message, Send

from gateway.execution.kept import encode
from gateway.execution.masking import Refusal
from gateway.incremental import MultipartWriter, PartWriter, writer_for
from gateway.negotiation import Accepted, Media

NO_STORE = "no-store"
_CONTENT_TYPES = MappingProxyType({media: (b"content-type", media.value.encode("latin-1")) for media in Media})
_ALWAYS = ((b"x-content-type-options", b"nosniff"),)
_BY_ACCEPT = (b"vary", b"Accept")
_BY_AUDIENCE = (b"vary", b"Accept, Graphql-Audience")
# What a browser may keep for one viewer must not be shown to the next one who signs in there.
_BY_VIEWER = (b"vary", b"Accept, Authorization, Cookie")


class Answer:
    """The answer to one request. `started` says whether the status is out; then nothing but its end can follow.

    `shared` says that it is for whoever is of the audience that the request names.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._writer: PartWriter = MultipartWriter()
        self.accepted = Accepted(Media.JSON, None)
        self.started = False
        self.shared = False
        self._validates = False
        self._known_tags = ""

    def validates(self, if_none_match: str | None) -> None:
        """Give whole answers that may be kept an `ETag`, and nothing but 304 to those who have one of these already."""
        self._validates = True
        self._known_tags = if_none_match or ""

    async def whole(self, body: bytes, cache_control: str, age: int = 0) -> None:
        """The result of an operation in one piece: `body` is its JSON object; something in it is `age` seconds old."""
        media = self.accepted.whole
        if media is not None:
            headers = {"cache-control": cache_control}
            if age:
                headers["age"] = str(age)
            if self._validates and cache_control != NO_STORE and "no-store" not in cache_control:
                headers["etag"] = tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
                if _matches(tag, self._known_tags):
                    await self._start(304, media, headers)
                    await self._body(b"", more=False)
                    return
            await self._json(200, media, body, headers)
        elif self.accepted.parts is Media.MULTIPART:
            await self.first(body[:-1] + b',"hasNext":false}', last=True)
        else:
            await self.first(body, last=True)

    async def first(self, part: bytes, *, last: bool = False) -> None:
        """The first of several parts."""
        media = self.accepted.parts or Media.MULTIPART
        self._writer = writer = writer_for(media)
        await self._start(200, media, {"cache-control": NO_STORE, "x-accel-buffering": "no"})
        await self._body(writer.first(part) + (writer.end() if last else b""), more=not last)

    async def following(self, part: bytes, *, last: bool) -> None:
        """Any later part; after the last one the answer is complete."""
        writer = self._writer
        await self._body(writer.following(part) + (writer.end() if last else b""), more=not last)

    async def refuse(self, refusal: Refusal) -> None:
        """Errors and no data. JSON even to clients that take none, but events to those that read only events."""
        body = encode({"errors": refusal.errors})
        media = self.accepted.whole
        if media is None and self.accepted.parts is Media.EVENTS and refusal.legacy_status == 200:
            await self.first(body, last=True)
            return
        status = refusal.legacy_status if media is Media.JSON else refusal.status
        headers = {name.lower(): value for name, value in refusal.headers.items()}
        await self._json(status, media or Media.GRAPHQL, body, {"cache-control": NO_STORE, **headers})

    async def redirect(self, location: str) -> None:
        """Send a browser to a page."""
        await self._send_start(303, [(b"location", location.encode()), (b"content-length", b"0"), _BY_ACCEPT, *_ALWAYS])
        await self._body(b"", more=False)

    async def _json(self, status: int, media: Media, body: bytes, headers: Mapping[str, str]) -> None:
        await self._start(status, media, headers, (b"content-length", b"%d" % len(body)))
        await self._body(body, more=False)

    async def _start(self, status: int, media: Media, headers: Mapping[str, str], *more: tuple[bytes, bytes]) -> None:
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        kept = headers.get("cache-control", "").startswith("private, max-age")
        vary = _BY_AUDIENCE if self.shared else _BY_VIEWER if kept else _BY_ACCEPT
        await self._send_start(status, [_CONTENT_TYPES[media], *raw, *more, vary, *_ALWAYS])

    async def _send_start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _body(self, body: bytes, *, more: bool) -> None:
        message: Message = {"type": "http.response.body", "body": body, "more_body": more}
        await self._send(message)


def _matches(tag: str, known: str) -> bool:
    """Whether `If-None-Match` names the tag; weak comparison (RFC 9110, section 13.1.2)."""
    given = {each.strip().removeprefix("W/") for each in known.split(",")}
    return tag in given or "*" in given
