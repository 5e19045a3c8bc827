"""The journal of decisions."""

from prometheus_client import CollectorRegistry

from personalization.codec import encode_each
from personalization.events import Decision
from personalization.hub.topics import DECISIONS, Hub
from personalization.journal import Journal, JournalLimits, Line

__all__ = ["DecisionJournal", "JournalLimits"]

LINE: Line[Decision] = Line("decisions", DECISIONS, encode_each, "gateway_journal")


class DecisionJournal(Journal[Decision]):
    """Takes decisions on their way into the hub."""

    def __init__(self, hub: Hub, registry: CollectorRegistry, limits: JournalLimits | None = None) -> None:
        super().__init__(LINE, hub, registry, limits)
