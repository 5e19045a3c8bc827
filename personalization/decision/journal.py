"""The journal of decisions."""

from prometheus_client import CollectorRegistry

from personalization.events import Drawn
from personalization.hub.topics import DECISIONS
from personalization.journal.journal import Journal, JournalLimits, Line
from personalization.journal.parcels import pack_decisions
from personalization.journal.writing import JournalWriter

__all__ = ["DecisionJournal", "JournalLimits"]

LINE: Line[Drawn] = Line("decisions", DECISIONS, pack_decisions, "gateway_journal")


class DecisionJournal(Journal[Drawn]):
    """Takes decisions on their way into the hub."""

    def __init__(self, writer: JournalWriter, registry: CollectorRegistry, limits: JournalLimits | None = None) -> None:
        super().__init__(LINE, writer, registry, limits)
