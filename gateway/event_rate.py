"""How many events a page may send, so that one in a loop does not fill the hub."""

from math import inf

from cachetools import LRUCache
from prometheus_client import CollectorRegistry, Counter

from gateway.errors import RateLimited
from personalization.clock import Clock
from personalization.outcomes import MOST_REPORTS
from resolvers.viewer import Viewer

REMEMBERED = 50_000
"""Keys that buckets are kept for; the one that came longest ago is forgotten first, and has a full one again."""


class Buckets:
    """Token buckets by key: each fills with `per_minute` tokens evenly, and holds so many, but at least `burst`."""

    def __init__(self, per_minute: int, clock: Clock, *, burst: int = 1, remembered: int = REMEMBERED) -> None:
        self._rate = per_minute / 60
        self._size = float(max(per_minute, burst))
        self._clock = clock
        self._left: LRUCache[str, tuple[float, float]] = LRUCache(remembered)

    def take(self, key: str, tokens: int) -> float:
        """0.0 when they were taken; otherwise none was, and the answer are the seconds until they could be.

        More than a bucket holds can never be taken: infinite seconds.
        """
        now = self._clock.monotonic()
        before, at = self._left.get(key, (self._size, now))
        left = min(self._size, before + (now - at) * self._rate)
        allowed = tokens <= left
        self._left[key] = (left - tokens if allowed else left, now)
        if allowed:
            return 0.0
        return (tokens - left) / self._rate if tokens <= self._size else inf


class EventRate:
    """The bound on events in this process: of each session, and of all whose sessions are new at one address.

    A client without a cookie, or with one that idled, has another session each time, which bounds nothing.
    """

    def __init__(self, *, per_session: int, per_address: int, clock: Clock, registry: CollectorRegistry) -> None:
        self._sessions = Buckets(per_session, clock, burst=MOST_REPORTS)
        self._addresses = Buckets(per_address, clock, burst=MOST_REPORTS)
        self._refused = Counter(
            "gateway_events_limited_total",
            "Events refused because too many came, by what they were counted for: `session` or `address`.",
            ["of"],
            registry=registry,
        )

    def check(self, viewer: Viewer, address: str, events: int) -> None:
        """Let up to a hundred events of this viewer in; a request without any counts as one.

        Raises:
            RateLimited: none of them may come in now.
        """
        of, buckets, key = "session", self._sessions, viewer.session
        if viewer.fresh_session:
            of, buckets, key = "address", self._addresses, address
        wait = buckets.take(key, max(1, events))
        if wait > 0:
            self._refused.labels(of).inc(events)
            raise RateLimited(f"too many events of one {of}: send these {events} again later", retry_after=wait)
