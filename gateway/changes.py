"""What kept values stand on besides the shop. When it changes they are forgotten, in each process by itself.

- Flags: all that flags decided goes.
- A policy: what a decision of the policy before went into goes, by the tag `policy:component@7`. A decision itself is
  made for each answer and never kept; the products of a shelf are kept by the list that they are, which is the same
  whoever chose it. So a new policy for shelves finds nothing to forget, and one for components does.
- A classifier: what looked at one of its segments goes, by the tag `segment:loyal`. A viewer who moves to another
  segment needs no purge, for the segment is in the key; that a segment means something else now does.
"""

from collections.abc import Callable, Collection

from gateway.caching import FLAGGED
from personalization.classification.live import Classification
from personalization.decision.live_policy import LivePolicies, LivePolicy
from resolvers.caching.cache import FragmentCache
from resolvers.observing import policy_tag, segment_tag


class Changes:
    """Forgets what stood on what has changed. All of it returns at once; the second tier follows in the background."""

    def __init__(self, cache: FragmentCache) -> None:
        self._cache = cache

    def flags(self, _flags: object) -> None:
        """The definitions of flags are others now."""
        self._cache.unlearn()
        self._cache.purge_soon((FLAGGED,))

    def classified(self, before: Classification | None, now: Classification) -> None:
        """A classifier took over, or scored everybody anew."""
        if before is None or before.profiles.head.model != now.profiles.head.model:
            self.segments(now.segments | (before.segments if before else frozenset()))

    def segments(self, segments: Collection[str]) -> None:
        """A classifier took over that gives these segments, or the one before it did."""
        if segments:
            self._cache.purge_soon([segment_tag(segment) for segment in segments])

    def follow(self, live: LivePolicies, unled: str) -> Callable[[], None]:
        """Forget when a policy takes over; `unled` is who decides where none is live. The answer ends that."""
        ends = [self._follow(each, unled) for each in (live.shelf, live.component)]

        def end() -> None:
            for each in ends:
                each()

        return end

    def _follow(self, live: LivePolicy, unled: str) -> Callable[[], None]:
        before = live.version or unled

        def swapped(version: str) -> None:
            nonlocal before
            before, gone = version, before
            self._cache.purge_soon((policy_tag(gone),))

        return live.subscribe(swapped)
