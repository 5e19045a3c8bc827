"""Requests that came before: from the bytes of a body straight to what it asks for."""

from typing import Final

from cachetools import LRUCache

from gateway.exchange import Asked
from gateway.settings import DocumentsMode

LONGEST: Final = 8_192
"""Longer bodies are read anew each time."""

_HALF_SEEN: Final = 16_384


class KnownRequests:
    """At most `size` of them, the least recently used out first: of bodies, 8 kB each, 8 MB where there are 1,000.

    A body is kept when it comes a second time, so that those that come once, with variables of their own, push nobody
    out. Left out is what must be looked at each time: operations in parts, what is over a limit, and documents that are
    logged as not trusted. Whatever was read last is `held` for whoever asks for it next.
    """

    def __init__(self, size: int, mode: DocumentsMode) -> None:
        self._known: LRUCache[bytes, Asked] = LRUCache(size)
        self._mode = mode
        self._seen: set[int] = set()
        self._seen_before: set[int] = set()
        self._held: tuple[bytes, Asked] | None = None

    def find(self, body: bytes) -> Asked | None:
        """What this body asks for; None when it has to be read."""
        try:  # a third of what `get` of cachetools takes
            return self._known[body]
        except KeyError:
            held = self._held
            return held[1] if held is not None and held[0] == body else None

    def hold(self, body: bytes, asked: Asked) -> None:
        """Remember what a body asks for until another one is held."""
        self._held = (body, asked)

    def keep(self, body: bytes, asked: Asked) -> None:
        """Remember what a body asks for."""
        operation = asked.operation
        logged = self._mode is DocumentsMode.LOG and not operation.trusted
        if operation.incremental or operation.over or logged or len(body) > LONGEST:
            return
        mark = hash(body)
        if mark in self._seen or mark in self._seen_before:
            self._known[body] = asked
            return
        self._seen.add(mark)
        if len(self._seen) >= _HALF_SEEN:
            self._seen, self._seen_before = set(), self._seen
