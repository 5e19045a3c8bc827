"""Builds what explores and logs, once, and closes it in reverse."""

from dataclasses import dataclass
from pathlib import Path

from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from personalization.bandit.uniform import Uniform
from personalization.clock import Clock
from personalization.decision.journal import DecisionJournal
from personalization.decision.service import DecisionService
from personalization.errors import HubUnavailable
from personalization.exposures import ExposureJournal
from personalization.hub.retention import Pruner, Retention
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import DECISIONS
from personalization.ids import new_id
from personalization.outcomes import Outcomes


@dataclass(frozen=True, slots=True)
class Personalization:
    """The running parts. Use it as an async context manager, or call `aclose`."""

    hub: SqliteHub
    pruner: Pruner
    journal: DecisionJournal
    exposure_journal: ExposureJournal
    decisions: DecisionService
    outcomes: Outcomes

    async def available(self) -> bool:
        """Whether the hub can be written right now."""
        try:
            await self.hub.append(DECISIONS, ())
        except HubUnavailable:
            return False
        return True

    async def aclose(self) -> None:
        """Write what the journals hold, then close the hub. Safe to call twice."""
        await self.journal.aclose()
        await self.exposure_journal.aclose()
        await self.pruner.aclose()
        await self.hub.aclose()

    async def __aenter__(self) -> "Personalization":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


async def open_personalization(
    data_dir: Path,
    clock: Clock,
    tracer: Tracer,
    registry: CollectorRegistry,
    *,
    retention: Retention | None = None,
    max_bytes: int | None = None,
) -> Personalization:
    """The parts of one process over the hub in `data_dir`, which its other processes share. Call it after the fork.

    Does not fail when the folder cannot be written: decisions are made all the same and wait in the journal,
    outcomes raise `HubUnavailable`, and all goes on once the folder can be written.
    """
    hub = SqliteHub(HubFile(data_dir / HUB_FILE, max_bytes=max_bytes), clock, new_id)
    pruner = Pruner(hub, retention or Retention(), registry)
    journal = DecisionJournal(hub, registry)
    exposure_journal = ExposureJournal(hub, registry)
    decisions = DecisionService(Uniform(), journal, clock=clock, ids=new_id, tracer=tracer, registry=registry)
    outcomes = Outcomes(hub, clock=clock, ids=new_id, tracer=tracer, registry=registry)
    await pruner.start()
    await journal.start()
    await exposure_journal.start()
    return Personalization(hub, pruner, journal, exposure_journal, decisions, outcomes)
