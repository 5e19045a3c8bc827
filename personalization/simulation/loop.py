"""The whole loop in one process under a clock of its own: decide, report, join, learn, store, swap.

The parts are the real ones: the decision service over the live policy, the joiner, the trainer, the registry. Only the
hub between them is left out, and time goes as fast as the machine can.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from personalization.assembly import load_policy
from personalization.bandit.uniform import Uniform
from personalization.bandit.vw_settings import VwSettings
from personalization.clock import ManualClock
from personalization.decision.conduct import Conduct
from personalization.decision.journal import DecisionJournal
from personalization.decision.live_policy import LivePolicies
from personalization.decision.service import DecisionService
from personalization.events import Outcome
from personalization.hub.memory import MemoryHub
from personalization.join.joiner import Joiner
from personalization.journal.writing import HubWriter
from personalization.learning.trainer import ModelTrainer, Position
from personalization.registry import SHELF_MODEL, ModelRegistry
from personalization.simulation.preferences import ACTIONS, Preferences
from personalization.simulation.record import Record
from personalization.simulation.shoppers import Shoppers, Shopping

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated. From the decision number `change_at` on, all preferences are others.

    The model is stored and swapped every `checkpoint` seconds of simulated time.
    """

    seed: int = 0
    decisions: int = 12_000
    change_at: int | None = None
    checkpoint: timedelta = timedelta(seconds=60)
    floor: float = 0.05
    settings: VwSettings = field(default_factory=VwSettings)


class LoopSimulation:
    """One run of a plan. The same plan gives the same record, decision by decision."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """`folder` is an empty one for the registry."""
        self.record = Record()
        self._plan = plan
        self._clock = ManualClock(START)
        self._shoppers = Shoppers(plan.seed)
        self._preferences = Preferences(plan.seed)
        self._joiner = Joiner()
        numbers = count()
        metrics = CollectorRegistry()
        registry = ModelRegistry(folder, self._clock)
        self._trainer = ModelTrainer(registry, SHELF_MODEL, plan.settings)
        self._live = LivePolicies.over(registry, load_policy, metrics)
        self._service = DecisionService(
            Uniform(),
            DecisionJournal(HubWriter(MemoryHub(self._clock, lambda: "simulation")), metrics),
            clock=self._clock,
            ids=lambda: f"{plan.seed}-{next(numbers)}",
            tracer=NoOpTracer(),
            registry=metrics,
            live=self._live,
            conduct=Conduct(floor=plan.floor),
        )
        self._reports: list[tuple[datetime, str, Outcome]] = []
        self._checkpoint_at = START + plan.checkpoint

    @property
    def policy(self) -> str:
        """What decides now."""
        return self._live.shelf.version or Uniform().version

    async def run(self, every: int = 500) -> AsyncIterator[int]:
        """Simulate; yields the number of decisions made so far after each `every` of them, and at the end."""
        visits = islice(self._shoppers.visits(), self._plan.decisions)
        for number, shopping in enumerate(visits):
            if number == self._plan.change_at:
                self._preferences = Preferences(self._plan.seed, era=1)
            await self._pass(shopping.after)
            self._visit(shopping)
            if (number + 1) % every == 0 or number + 1 == self._plan.decisions:
                yield number + 1

    def _visit(self, shopping: Shopping) -> None:
        decision = self._service.propose(shopping.context, ACTIONS, subject=shopping.subject)
        self.record.add(decision.distribution, self._preferences.rewards(shopping.context))
        self._joiner.decided(decision)
        for number, deed in enumerate(self._shoppers.deeds(self._preferences, shopping.context, decision.action)):
            outcome = Outcome(
                f"{decision.id}/{number}", decision.id, deed.kind, decision.at + deed.after, decision.at + deed.reported
            )
            heappush(self._reports, (outcome.received_at, outcome.id, outcome))

    async def _pass(self, time: timedelta) -> None:
        """Let time go on: outcomes come in, decisions are joined and learned, now and then there is a new policy."""
        self._clock.at += time
        while self._reports and self._reports[0][0] <= self._clock.at:
            self._joiner.happened(heappop(self._reports)[2])
        for joined in self._joiner.advance(self._clock.at):
            self._trainer.learn(joined.row)
        if self._clock.at >= self._checkpoint_at:
            self._checkpoint_at = self._clock.at + self._plan.checkpoint
            await asyncio.to_thread(self._trainer.checkpoint, Position())
            await self._live.shelf.refresh()


async def simulate(plan: Plan, tell: Callable[[int, LoopSimulation], None] = lambda _, __: None) -> Record:
    """Run a plan in a temporary folder; `tell` is called every 500 decisions with their number."""
    with TemporaryDirectory(prefix="simulation-") as folder:
        simulation = LoopSimulation(plan, Path(folder))
        async for made in simulation.run():
            tell(made, simulation)
        return simulation.record
