"""The journal of exposures."""

from prometheus_client import CollectorRegistry

from personalization.events import Exposure
from personalization.hub.topics import EXPOSURES
from personalization.journal.journal import Journal, JournalLimits, Line
from personalization.journal.parcels import pack_exposures
from personalization.journal.writing import JournalWriter

LINE: Line[Exposure] = Line("exposures", EXPOSURES, pack_exposures, "gateway_exposure_journal")


class ExposureJournal(Journal[Exposure]):
    """Takes exposures on their way into the hub, where those with an id that is there already are dropped."""

    def __init__(self, writer: JournalWriter, registry: CollectorRegistry, limits: JournalLimits | None = None) -> None:
        super().__init__(LINE, writer, registry, limits)
