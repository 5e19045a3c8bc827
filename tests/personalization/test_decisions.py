"""The decision service always answers: a draw that can be verified, or a default that says why."""

from collections.abc import Callable, Sequence
from itertools import count
from math import nan

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracer, Tracer
from prometheus_client import CollectorRegistry

from personalization.bandit.policy import Policy
from personalization.bandit.sampling import sample
from personalization.bandit.uniform import Uniform
from personalization.clock import ManualClock
from personalization.codec import decode_decision
from personalization.decision.conduct import Conduct
from personalization.decision.journal import DecisionJournal, JournalLimits
from personalization.decision.live_policy import LivePolicies
from personalization.decision.service import DecisionService
from personalization.errors import InvalidDistribution, JournalFull
from personalization.events import Decision, DecisionContext, DecisionMode, ShelfAction
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import DECISIONS
from personalization.journal.writing import HubWriter
from personalization.tracing import traceparent
from tests.personalization.hub_suite import START, drain

ACTIONS = tuple(ShelfAction)
CONTEXT = DecisionContext("HOME", persona="BUILDER", segment="s3", region="north")


class Fixed:
    """A policy that gives what it was told to, whatever that is."""

    version = "fixed@7"

    def __init__(self, give: Callable[[], Sequence[float]]) -> None:
        self._give = give

    def distribution(self, context: DecisionContext, actions: Sequence[str]) -> tuple[float, ...]:
        return tuple(self._give())


class Setup:
    """A decision service and everything around it that can be looked at."""

    def __init__(
        self,
        policy: Policy | None = None,
        tracer: Tracer | None = None,
        capacity: int = 100,
        live: LivePolicies | None = None,
        conduct: Conduct | None = None,
    ) -> None:
        numbers = count(1)
        self.registry = CollectorRegistry()
        self.clock = ManualClock(START)
        self.hub = MemoryHub(self.clock, lambda: "m")
        self.journal = DecisionJournal(
            HubWriter(self.hub), self.registry, JournalLimits(linger=0.001, capacity=capacity)
        )
        self.service = DecisionService(
            policy or Uniform(),
            self.journal,
            clock=self.clock,
            ids=lambda: f"0198c0de-0000-7000-8000-{next(numbers):012x}",
            tracer=tracer or NoOpTracer(),
            registry=self.registry,
            live=live,
            conduct=conduct,
        )

    async def journalled(self) -> list[Decision]:
        """What is in the hub after the journal was closed."""
        await self.journal.start()
        await self.journal.aclose()
        async with self.hub.consumer("checking", [DECISIONS]) as consumer:
            return [decode_decision(each.event.value) for each in await drain(consumer)]

    def count(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def broken() -> Sequence[float]:
    raise ZeroDivisionError("a policy's own trouble")


async def test_a_decision_is_drawn_logged_and_can_be_verified_from_its_record() -> None:
    setup = Setup()
    decision = setup.service.decide(CONTEXT, ACTIONS, subject="visitor:1", session="s", trace_id="ab" * 16)
    assert decision.action == ACTIONS[sample(decision.distribution, decision.id)]
    assert decision.distribution == (0.25,) * 4
    assert (decision.probability, decision.policy, decision.mode) == (0.25, "uniform@1", DecisionMode.LOG_ONLY)
    assert (decision.subject, decision.session, decision.trace_id) == ("visitor:1", "s", "ab" * 16)
    assert (decision.at, decision.context, decision.reason) == (START, CONTEXT, "DRAWN")
    assert await setup.journalled() == [decision]
    assert setup.count("gateway_decisions_total", placement="HOME", mode="LOG_ONLY", action=decision.action) == 1
    assert setup.count("gateway_decision_seconds_count") == 1


async def test_all_actions_are_explored() -> None:
    setup = Setup()
    assert {setup.service.decide(CONTEXT, ACTIONS).action for _ in range(60)} == set(ACTIONS)


async def test_probabilities_of_the_policy_are_renormalized_before_they_are_logged() -> None:
    setup = Setup(Fixed(lambda: (0.3333333432674408,) * 3))
    decision = setup.service.decide(CONTEXT, ("a", "b", "c"))
    assert abs(sum(decision.distribution) - 1.0) <= 1e-9
    assert decision.policy == "fixed@7"


@pytest.mark.parametrize(
    ("give", "reason"),
    [
        (broken, "POLICY_FAILED"),
        (lambda: (0.5, 0.5), "INVALID_DISTRIBUTION"),
        (lambda: (nan, 0.5, 0.25, 0.25), "INVALID_DISTRIBUTION"),
        (lambda: (-0.1, 0.6, 0.25, 0.25), "INVALID_DISTRIBUTION"),
        (lambda: (0.9, 0.9, 0.9, 0.9), "INVALID_DISTRIBUTION"),
    ],
)
async def test_a_policy_that_fails_gives_the_default_and_says_so(
    give: Callable[[], Sequence[float]], reason: str
) -> None:
    setup = Setup(Fixed(give))
    decision = setup.service.decide(CONTEXT, ACTIONS, default_action="bestsellers", subject="visitor:1")
    assert (decision.mode, decision.action, decision.probability) == (DecisionMode.FALLBACK, "bestsellers", 1.0)
    assert decision.distribution == (0.0, 0.0, 1.0, 0.0)
    assert (decision.reason, decision.policy, decision.subject) == (reason, "default@1", "visitor:1")
    assert setup.count("gateway_decision_fallbacks_total", placement="HOME", reason=reason) == 1
    assert setup.count("gateway_decisions_total", placement="HOME", mode="FALLBACK", action="bestsellers") == 1
    assert await setup.journalled() == [decision]


async def test_a_full_journal_gives_the_default_and_says_so() -> None:
    setup = Setup(capacity=1)
    drawn = setup.service.decide(CONTEXT, ACTIONS)
    decision = setup.service.decide(CONTEXT, ACTIONS, default_action="trending")
    assert (decision.mode, decision.action, decision.reason) == (DecisionMode.FALLBACK, "trending", "JOURNAL_FULL")
    assert setup.count("gateway_decision_fallbacks_total", placement="HOME", reason="JOURNAL_FULL") == 1
    assert await setup.journalled() == [drawn]


async def test_without_a_default_the_first_action_is_it() -> None:
    setup = Setup(Fixed(broken))
    assert setup.service.decide(CONTEXT, ACTIONS).action == "category1"


async def test_no_actions_leave_the_default_or_an_error() -> None:
    setup = Setup()
    decision = setup.service.decide(CONTEXT, (), default_action="bestsellers")
    assert (decision.mode, decision.actions, decision.action) == (
        DecisionMode.FALLBACK,
        ("bestsellers",),
        "bestsellers",
    )
    with pytest.raises(InvalidDistribution, match="no actions"):
        setup.service.decide(CONTEXT, ())


async def test_a_fallback_is_certain_and_journalled() -> None:
    setup = Setup()
    decision = setup.service.fallback(
        CONTEXT, ACTIONS, "bestsellers", "DEADLINE_EXCEEDED", subject="visitor:1", session="s", trace_id="cd" * 16
    )
    assert (decision.mode, decision.action, decision.probability) == (DecisionMode.FALLBACK, "bestsellers", 1.0)
    assert (decision.reason, decision.session, decision.trace_id) == ("DEADLINE_EXCEEDED", "s", "cd" * 16)
    assert setup.count("gateway_decision_fallbacks_total", placement="HOME", reason="DEADLINE_EXCEEDED") == 1
    assert await setup.journalled() == [decision]


async def test_the_public_default_is_the_same_for_everyone_and_journalled_for_nobody() -> None:
    one, two = Setup(), Setup()
    decision = one.service.default(DecisionContext("HOME"), ACTIONS, "bestsellers")
    assert decision == two.service.default(DecisionContext("HOME"), ACTIONS, "bestsellers")
    assert decision.id != one.service.default(DecisionContext("BASKET"), ACTIONS, "bestsellers").id
    assert (decision.mode, decision.action, decision.reason) == (DecisionMode.DEFAULT, "bestsellers", "NO_CONTEXT")
    assert one.count("gateway_decisions_total", placement="HOME", mode="DEFAULT", action="bestsellers") == 1
    assert await one.journalled() == []


async def test_a_decision_is_a_span_of_the_trace_that_asked() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    setup = Setup(tracer=tracer)
    with tracer.start_as_current_span("page") as page:
        decision = setup.service.decide(CONTEXT, ACTIONS, subject="visitor:1")
    span = exporter.get_finished_spans()[0]
    assert span.parent == page.get_span_context()
    assert dict(span.attributes or {}) == {
        "decision.id": decision.id,
        "decision.placement": "HOME",
        "decision.segment": "s3",
        "decision.action": decision.action,
        "decision.probability": 0.25,
        "decision.policy": "uniform@1",
        "decision.mode": "LOG_ONLY",
        "decision.reason": "DRAWN",
    }
    assert decision.trace_id == f"{page.get_span_context().trace_id:032x}"
    await setup.journal.start()
    await setup.journal.aclose()
    async with setup.hub.consumer("checking", [DECISIONS]) as consumer:
        (stored,) = await drain(consumer)
    assert stored.event.headers == {"traceparent": traceparent(span.context)}


async def test_a_proposal_is_journalled_only_when_it_is_recorded() -> None:
    setup = Setup()
    dropped = setup.service.propose(CONTEXT, ACTIONS)
    served = setup.service.propose(CONTEXT, ACTIONS, subject="visitor:1")
    assert setup.service.record(served) == served
    assert setup.count("gateway_decisions_total", placement="HOME", mode="LOG_ONLY", action=served.action) == 1
    assert dropped.id != served.id
    assert await setup.journalled() == [served]


async def test_a_proposal_that_cannot_be_journalled_is_refused() -> None:
    setup = Setup(capacity=1)
    setup.service.decide(CONTEXT, ACTIONS)
    with pytest.raises(JournalFull):
        setup.service.record(setup.service.propose(CONTEXT, ACTIONS))
