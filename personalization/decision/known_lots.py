"""What the policies of now have said: the same question has the same answer until another policy decides."""

from collections.abc import MutableMapping
from typing import Final

from cachetools import LRUCache

from personalization.bandit.policy import Policy
from personalization.decision.lottery import Lot
from personalization.events import DecisionContext, DecisionMode

KNOWN: Final = 4096
"""Questions of which the answer is remembered, a kilobyte each, for each of the two policies."""

Asked = tuple[DecisionMode, DecisionContext, tuple[str, ...], float]
"""The mode, a context, actions, and the floor below which none of them may be."""

Given = MutableMapping[Asked, Lot]


class KnownLots:
    """Remembers for one policy of shelves and one of components; what replaces one begins with nothing."""

    def __init__(self) -> None:
        self._of: dict[bool, tuple[Policy, Given]] = {}

    def of(self, policy: Policy, *, shelf: bool) -> Given:
        """What this policy gave; no other policy's is remembered in its place."""
        known = self._of.get(shelf)
        if known is None or known[0] is not policy:
            known = self._of[shelf] = (policy, LRUCache(KNOWN))
        return known[1]
