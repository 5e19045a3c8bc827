"""What happens: contexts, decisions and outcomes, as frozen values, the same in memory, in the hub and in the lake."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """What a decision depends on. Every member may be unknown (None).

    `placement` is where the choice stands (a `Placement`'s value, or `component:<name>`).
    """

    placement: str
    persona: str | None = None
    segment: str | None = None
    category: str | None = None
    region: str | None = None
    season: str | None = None
    device: str | None = None


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
class Outcome:
    """Something a viewer did, tied to the decision that led there.

    `occurred_at` is the page's time, bounded; `received_at` is the gateway's.
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
