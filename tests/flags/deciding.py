"""What tests need of decisions: policies that fail, hold or insist, and parts put together as the gateway does."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from flags.bandit_layer import BanditLayer
from flags.evaluation import Evaluation
from flags.layers import Answer, Ask
from flags.metrics import FlagMetrics
from flags.personalized import PersonalizedFlags
from flags.sticky import Keep, MemoryStickyDecisions, StickyDecisions
from personalization.bandit.policy import Policy
from personalization.bandit.uniform import Uniform
from personalization.clock import Clock, ManualClock
from personalization.decision.journal import DecisionJournal, JournalLimits
from personalization.decision.service import DecisionService
from personalization.events import Decision, DecisionContext
from personalization.hub.memory import MemoryHub
from personalization.ids import new_id
from personalization.journal.writing import HubWriter
from tests.personalization.hub_suite import START


class Insists:
    """Gives its action almost all of the probability, where it is among the actions; else all have the same."""

    version = "insists@1"

    def __init__(self, action: str) -> None:
        self.action = action

    def distribution(self, _context: DecisionContext, actions: Sequence[str]) -> tuple[float, ...]:
        if self.action not in actions:
            return (1 / len(actions),) * len(actions)
        rest = 1e-12
        return tuple(1 - rest * (len(actions) - 1) if each == self.action else rest for each in actions)


class Breaks:
    """Has lost its model."""

    version = "breaks@1"

    def distribution(self, _context: DecisionContext, _actions: Sequence[str]) -> tuple[float, ...]:
        raise RuntimeError("no model")


class SlowSticky(MemoryStickyDecisions):
    """Answers when it is let."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.let = asyncio.Event()

    async def remember(self, keeps: Sequence[Keep]) -> list[Decision]:
        await self.let.wait()
        return await super().remember(keeps)


@dataclass(slots=True)
class Given:
    """Keeps what was given, in memory: one id each time."""

    exposures: list[tuple[Evaluation, str, Decision | None]] = field(default_factory=list)

    def give(self, answers: Sequence[Answer], ask: Ask) -> list[str | None]:
        return [self._given(each, ask) for each in answers]

    def _given(self, answer: Answer, ask: Ask) -> str | None:
        if answer.evaluation.variant is None:
            return None
        self.exposures.append((answer.evaluation, ask.subject.targeting_key or "", answer.decision))
        return f"exposure-{len(self.exposures)}"


@dataclass(frozen=True, slots=True)
class Deciding:
    """The parts behind personalized flags. Nothing reads the journal's queue, so it holds what was recorded."""

    flags: PersonalizedFlags
    given: Given
    registry: CollectorRegistry
    clock: ManualClock

    def recorded(self, placement: str) -> float:
        """How many decisions were recorded, whatever their action and mode."""
        samples = (each for metric in self.registry.collect() for each in metric.samples)
        return sum(
            each.value
            for each in samples
            if each.name == "gateway_decisions_total" and each.labels["placement"] == placement
        )

    def counted(self) -> float:
        """How many evaluations were counted, whoever decided."""
        samples = (each for metric in self.registry.collect() for each in metric.samples)
        return sum(each.value for each in samples if each.name == "gateway_flag_evaluations_total")


def deciding(
    policy: Policy | None = None, sticky: StickyDecisions | None = None, *, capacity: int = 100_000
) -> Deciding:
    """Personalized flags over this policy (uniform unless said otherwise), with a clock that stands still."""
    clock, registry = ManualClock(START), CollectorRegistry()
    journal = DecisionJournal(HubWriter(MemoryHub(clock, new_id)), registry, JournalLimits(capacity=capacity))
    decisions = DecisionService(
        policy or Uniform(), journal, clock=clock, ids=new_id, tracer=NoOpTracer(), registry=registry
    )
    given = Given()
    bandit = BanditLayer(decisions, sticky or MemoryStickyDecisions(clock, timedelta(minutes=30)))
    flags = PersonalizedFlags(bandit, given, FlagMetrics(registry), lambda: decisions.policy_version)
    return Deciding(flags, given, registry, clock)
