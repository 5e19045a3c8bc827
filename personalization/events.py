"""What happens: contexts, decisions and outcomes, as frozen values, the same in memory, in the hub and in the lake."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

HOLDBACK = "HOLDBACK"
"""The reason of a decision that gave the default because its subject belongs to the group that always gets it."""

MOST_REWARD = 3.0
"""The largest reward of a decision; the least is 0."""

LONGEST_DISPLAY_S = 86_400.0
"""The longest that something is displayed, in seconds: a day."""


class Persona(StrEnum):
    """The five target persons of multilevel selling."""

    VISITOR = "VISITOR"
    BUILDER = "BUILDER"
    CONSULTANT = "CONSULTANT"
    SHOP_OWNER = "SHOP_OWNER"
    DIRECT_CUSTOMER = "DIRECT_CUSTOMER"


class Season(StrEnum):
    """Season of the year in the viewer's region."""

    SPRING = "SPRING"
    SUMMER = "SUMMER"
    AUTUMN = "AUTUMN"
    WINTER = "WINTER"


class Device(StrEnum):
    """What kind of screen the viewer holds."""

    PHONE = "PHONE"
    TABLET = "TABLET"
    DESKTOP = "DESKTOP"


class Placement(StrEnum):
    """Where a shelf of products stands."""

    HOME = "HOME"
    CATEGORY = "CATEGORY"
    BASKET = "BASKET"


class ShelfAction(StrEnum):
    """What the bandit of a shelf may choose."""

    CATEGORY1 = "category1"
    CATEGORY2 = "category2"
    BESTSELLERS = "bestsellers"
    TRENDING = "trending"


class DecisionMode(StrEnum):
    """How a decision came to be."""

    DEFAULT = "DEFAULT"
    LOG_ONLY = "LOG_ONLY"
    APPRENTICE = "APPRENTICE"
    ONLINE = "ONLINE"
    FALLBACK = "FALLBACK"


class OutcomeKind(StrEnum):
    """What happened next."""

    DISPLAYED = "DISPLAYED"
    DETAIL_DISPLAYED = "DETAIL_DISPLAYED"
    ADDED_TO_BASKET = "ADDED_TO_BASKET"
    PURCHASED = "PURCHASED"


class ExposureEventKind(StrEnum):
    """What a page tells of a variant that it was given."""

    RENDERED = "RENDERED"
    SEEN = "SEEN"


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """What a decision depends on. Every member may be unknown (None).

    `placement` is where the choice stands (a `Placement`'s value, `component:<name>` or `flag:<key>`).
    """

    placement: str
    persona: str | None = None
    segment: str | None = None
    category: str | None = None
    region: str | None = None
    season: str | None = None
    device: str | None = None


def is_shelf(placement: str) -> bool:
    """Whether a shelf of products stands there, rather than a component or another flag."""
    return ":" not in placement


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice: the action, the whole distribution it was drawn from, and who chose.

    `actions` and `distribution` are of one length; the distribution sums to 1 within 1e-9 in float64;
    `probability` is the chosen action's. `subject` is a pseudonym (customer or visitor id), never a name.
    """

    id: str
    at: datetime
    context: DecisionContext
    actions: tuple[str, ...]
    distribution: tuple[float, ...]
    action: str
    probability: float
    policy: str
    mode: DecisionMode
    reason: str
    subject: str | None = None
    session: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Chance:
    """What a decision says but for its id, its time and who asked: the same for all to whom it falls.

    The members are those of `Decision`, in the same order.
    """

    context: DecisionContext
    actions: tuple[str, ...]
    distribution: tuple[float, ...]
    action: str
    probability: float
    policy: str
    mode: DecisionMode
    reason: str


class Drawn(NamedTuple):
    """A decision by what is its own and the chance that it shares with many: quick to make, and to write down."""

    id: str
    at: datetime
    chance: Chance
    subject: str | None = None
    session: str | None = None
    trace_id: str | None = None

    @classmethod
    def of(cls, decision: Decision) -> "Drawn":
        """The decision, taken apart."""
        chance = Chance(
            decision.context,
            decision.actions,
            decision.distribution,
            decision.action,
            decision.probability,
            decision.policy,
            decision.mode,
            decision.reason,
        )
        return cls(decision.id, decision.at, chance, decision.subject, decision.session, decision.trace_id)

    @property
    def decision(self) -> Decision:
        """The decision as a whole."""
        chance = self.chance
        return Decision(
            id=self.id,
            at=self.at,
            context=chance.context,
            actions=chance.actions,
            distribution=chance.distribution,
            action=chance.action,
            probability=chance.probability,
            policy=chance.policy,
            mode=chance.mode,
            reason=chance.reason,
            subject=self.subject,
            session=self.session,
            trace_id=self.trace_id,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something a viewer did, tied to the decision that led there.

    `occurred_at` is the page's time, bounded; `received_at` is the gateway's. `duration_s` is for how long the viewer
    had it before their eyes until then, where the page says so: seconds from 0 to a day.
    """

    id: str
    decision_id: str
    kind: OutcomeKind
    occurred_at: datetime
    received_at: datetime
    product_id: str | None = None
    quantity: int | None = None
    session: str | None = None
    trace_id: str | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """A viewer was given this variant of this flag.

    `decider` is the layer that decided, in capitals; `rule` the reason that it gave. `hash_version` is the pinned one
    of a split, `policy` and `decision_id` are there when a bandit chose, `definitions` is the version of the flags.
    `subject` is a pseudonym (customer or visitor id), never a name.
    """

    id: str
    at: datetime
    flag: str
    variant: str
    decider: str
    rule: str
    definitions: str
    subject: str
    hash_version: int | None = None
    policy: str | None = None
    decision_id: str | None = None
    session: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class ExposureEvent:
    """A page rendered what an exposure gave it, or a viewer had it in view.

    `occurred_at` is the page's time, bounded; `received_at` is the gateway's.
    """

    id: str
    exposure_id: str
    kind: ExposureEventKind
    occurred_at: datetime
    received_at: datetime
    session: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class JoinedDecision:
    """A decision, what came of it, and what that is worth; its id is the decision's.

    `outcomes` are those within the window that arrived in time, in the order in which they happened. Only a row that
    was `displayed` is an example to learn from: the reward of one that nobody saw is 0 and means nothing.
    `joined_at` is when the decision was closed in event time, the same however often it is joined.
    """

    decision: Decision
    outcomes: tuple[Outcome, ...]
    reward: float
    displayed: bool
    joined_at: datetime
