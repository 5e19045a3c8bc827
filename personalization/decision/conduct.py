"""How decisions are made: by which mode, who is held back, and when an apprentice may decide on its own."""

from collections import deque
from dataclasses import dataclass

from personalization.bandit.sampling import unit_interval
from personalization.events import DecisionContext, DecisionMode, is_shelf

AGREEMENT = 0.8
AGREEING = 500


@dataclass(frozen=True, slots=True)
class Conduct:
    """What the operator wants.

    `mode` is the furthest that decisions go:

    - `LOG_ONLY`: the fixed policy explores and is logged; no model of the registry ever decides.
    - `APPRENTICE`: the default is served to everyone, and the model learns to imitate it; once it agrees it has
      graduated, and decides as under `ONLINE` from then on.
    - `ONLINE`: the live model decides; while there is none, as under `LOG_ONLY`.
    - `FALLBACK`: everyone gets the default, and nothing is learned.

    `holdback` is the share of subjects who always get the default on shelves while a model decides. `floor` is the
    share of every drawn distribution that is spread evenly: none of K actions is below `floor / K`.
    """

    mode: DecisionMode = DecisionMode.ONLINE
    holdback: float = 0.0
    floor: float = 0.0

    def holds_back(self, context: DecisionContext, subject: str | None, session: str | None) -> bool:
        """Whether this subject (or session, when there is none) belongs to the group that always gets the default.

        A matter of its hash alone, so it stays for as long as the name does. Flags have holdbacks of their own.
        """
        who = subject or session
        return who is not None and self.may_hold_back(context) and self.in_holdback(who)

    def in_holdback(self, who: str) -> bool:
        """Whether this one is held back wherever anybody is."""
        return unit_interval(f"holdback/{who}") < self.holdback

    def may_hold_back(self, context: DecisionContext) -> bool:
        """Whether anybody is held back there."""
        return self.holdback > 0.0 and is_shelf(context.placement)


class Agreement:
    """How far an apprentice agrees: the mean probability that it gave to the default, over the last 500 decisions."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=AGREEING)
        self._total = 0.0

    def observe(self, probability: float) -> None:
        """Count one more decision, in which the model would have chosen the default with this probability."""
        if len(self._last) == AGREEING:
            self._total -= self._last[0]
        self._last.append(probability)
        self._total += probability

    @property
    def reached(self) -> bool:
        """Whether the mean is 0.8 or more, over as many decisions as it takes."""
        return len(self._last) == AGREEING and self._total / AGREEING >= AGREEMENT
