"""What outcomes are worth: rules as frozen values, the same for the online and the offline join."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from personalization.events import Decision, Outcome, OutcomeKind

SHELF_VALUES = ((OutcomeKind.ADDED_TO_BASKET, 3.0), (OutcomeKind.DETAIL_DISPLAYED, 1.0))
"""The reward of a shelf: 3 when a product was added to the basket, 1 when its detail was displayed."""


@dataclass(frozen=True, slots=True)
class RewardRule:
    """What each kind of outcome is worth within a window after the decision, and what being looked at for long is.

    The reward is the largest value among the outcomes that count, the earliest of each kind; 0 when none does. So it
    does not matter how often something was done. `window` counts from the decision's time, its end included.
    An outcome of whatever kind that says of at least `display_s` seconds of display is worth `display_value`; with
    None display times are worth nothing. Those of several outcomes are not added up.

    A decision was displayed when an outcome within the window says so: `DISPLAYED`, or any other, for nobody opens
    what was not shown. With `assume_displayed` whatever was served counts as displayed: for pages that do not report
    it, of which otherwise only the clicks would be learned from.
    """

    values: tuple[tuple[OutcomeKind, float], ...] = SHELF_VALUES
    window: timedelta = timedelta(seconds=20)
    assume_displayed: bool = False
    display_s: float | None = None
    display_value: float = 1.0

    def reward(self, outcomes: Sequence[Outcome]) -> float:
        """The reward of the outcomes within the window."""
        kinds = {each.kind for each in outcomes}
        worth = [value for kind, value in self.values if kind in kinds]
        if self.display_s is not None and any(_lasted(each, self.display_s) for each in outcomes):
            worth.append(self.display_value)
        return max(worth, default=0.0)

    def displayed(self, outcomes: Sequence[Outcome]) -> bool:
        """Whether the viewer saw it, going by the outcomes within the window."""
        return self.assume_displayed or bool(outcomes)


@dataclass(frozen=True, slots=True)
class JoinRules:
    """The rule of each placement, and how long outcomes may be on their way.

    `by_placement` holds the rules of those that differ (`component:<name>`, say) from `default`. An outcome counts if
    it was received within `lateness` after its window. Of one decision the `most_outcomes` earliest are kept.
    """

    default: RewardRule = field(default_factory=RewardRule)
    by_placement: Mapping[str, RewardRule] = field(default_factory=dict)
    lateness: timedelta = timedelta(seconds=2)
    most_outcomes: int = 64

    def rule_of(self, decision: Decision) -> RewardRule:
        """The rule that holds for a decision."""
        return self.by_placement.get(decision.context.placement, self.default)

    def closes_at(self, decision: Decision) -> datetime:
        """When a decision is joined: what is received later does not count."""
        return decision.at + self.rule_of(decision).window + self.lateness

    @property
    def longest_hold(self) -> timedelta:
        """The longest time from a decision to when it is joined."""
        return max(rule.window for rule in (self.default, *self.by_placement.values())) + self.lateness


def _lasted(outcome: Outcome, seconds: float) -> bool:
    return outcome.duration_s is not None and outcome.duration_s >= seconds


def moment_of(outcome: Outcome, decided_at: datetime) -> datetime:
    """When an outcome happened, by the page's clock where that can be true.

    It names its decision, so it cannot have happened before it, nor after it was received: a page's time outside of
    that is wrong, and the gateway's is taken, but none before the decision's.
    """
    if decided_at <= outcome.occurred_at <= outcome.received_at:
        return outcome.occurred_at
    return max(outcome.received_at, decided_at)
