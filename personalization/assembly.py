"""Builds what explores and logs, once, and closes it in reverse."""

from dataclasses import dataclass
from pathlib import Path

from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from personalization.bandit.policy import Policy
from personalization.bandit.uniform import Uniform
from personalization.clock import Clock
from personalization.decision.conduct import Conduct
from personalization.decision.journal import DecisionJournal
from personalization.decision.live_policy import LivePolicies
from personalization.decision.service import DecisionService
from personalization.errors import HubUnavailable
from personalization.exposures import ExposureJournal
from personalization.hub.retention import Pruner, Retention
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import DECISIONS
from personalization.ids import new_id
from personalization.journal.process import WriterProcess
from personalization.journal.writing import HubWriter, JournalWriter
from personalization.outcomes import Outcomes
from personalization.registry import REGISTRY_FOLDER, ModelRegistry, StoredModel


@dataclass(frozen=True, slots=True)
class Personalization:
    """The running parts. Use it as an async context manager, or call `aclose`."""

    hub: SqliteHub
    writer: JournalWriter
    pruner: Pruner
    journal: DecisionJournal
    exposure_journal: ExposureJournal
    live: LivePolicies
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
        await self.live.aclose()
        await self.journal.aclose()
        await self.exposure_journal.aclose()
        await self.writer.aclose()
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
    conduct: Conduct | None = None,
    writer_process: bool = False,
) -> Personalization:
    """The parts of one process over the hub and the registry in `data_dir`, which its other processes share.

    Call it after the fork. What journals hold is written by a process beside this one where `writer_process` says so,
    by a thread otherwise. Until a model is live in the registry, decisions are drawn evenly and logged.

    Does not fail when the folder cannot be written: decisions are made all the same and wait in the journal,
    outcomes raise `HubUnavailable`, and all goes on once the folder can be written.
    """
    file = HubFile(data_dir / HUB_FILE, max_bytes=max_bytes)
    hub = SqliteHub(file, clock, new_id)
    writer = WriterProcess(file) if writer_process else HubWriter(hub)
    pruner = Pruner(hub, retention or Retention(), registry)
    journal = DecisionJournal(writer, registry)
    exposure_journal = ExposureJournal(writer, registry)
    live = LivePolicies.over(ModelRegistry(data_dir / REGISTRY_FOLDER, clock), load_policy, registry)
    decisions = DecisionService(
        Uniform(), journal, clock=clock, ids=new_id, tracer=tracer, registry=registry, live=live, conduct=conduct
    )
    outcomes = Outcomes(hub, clock=clock, ids=new_id, tracer=tracer, registry=registry)
    await pruner.start()
    await journal.start()
    await exposure_journal.start()
    await live.start()
    return Personalization(hub, writer, pruner, journal, exposure_journal, live, decisions, outcomes)


def load_policy(stored: StoredModel) -> Policy:
    """The policy in a stored model.

    Raises:
        InvalidModel: the bytes or the settings are none that VW can load.
    """
    from personalization.bandit.vw import VwPolicy  # only a process that has a model to serve loads the library
    from personalization.bandit.vw_settings import VwSettings

    return VwPolicy(stored.data, VwSettings.of(stored.manifest.settings), stored.manifest.label)
