"""The journal of exposures."""

from prometheus_client import CollectorRegistry

from personalization.codec import encode_each
from personalization.events import Exposure
from personalization.hub.topics import EXPOSURES, Hub
from personalization.journal import Journal, JournalLimits, Line

LINE: Line[Exposure] = Line("exposures", EXPOSURES, encode_each, "gateway_exposure_journal")


class ExposureJournal(Journal[Exposure]):
    """Takes exposures on their way into the hub, where those with an id that is there already are dropped."""

    def __init__(self, hub: Hub, registry: CollectorRegistry, limits: JournalLimits | None = None) -> None:
        super().__init__(LINE, hub, registry, limits)
