"""What happened in a made-up shop, in the order it reached the hub, and what a joiner must make of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from personalization.events import (
    Decision,
    DecisionContext,
    DecisionMode,
    JoinedDecision,
    Outcome,
    OutcomeKind,
    Season,
    ShelfAction,
)
from personalization.join.reward import JoinRules, RewardRule

START = datetime(2026, 3, 4, 23, 59, 30, tzinfo=UTC)
SLACK = timedelta(seconds=1)
PATIENCE = timedelta(seconds=60)
RULES = JoinRules(
    by_placement={
        "component:hero": RewardRule(((OutcomeKind.PURCHASED, 1.0),), timedelta(seconds=7, microseconds=500)),
        "component:teaser": RewardRule(
            ((OutcomeKind.DETAIL_DISPLAYED, 0.5),), assume_displayed=True, display_s=0.1, display_value=0.75
        ),
        "component:banner": RewardRule((), timedelta(seconds=12), display_s=5.0),
    },
    most_outcomes=3,
)
PLACEMENTS = ("HOME", "HOME", "HOME", "CATEGORY", "component:hero", "component:teaser", "component:banner")
FAR = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event, and when it is in the hub."""

    at: datetime
    event: Decision | Outcome


def history(random: Random, decisions: int, seconds: int = 120) -> list[Arrival]:
    """So many decisions within these seconds, and outcomes: in time, late, for nobody; some of it twice."""
    arrivals: list[Arrival] = []
    for number in range(decisions):
        decision = _decision(random, number, START + _microseconds(random, seconds))
        arrivals.append(Arrival(decision.at + _microseconds(random, random.choice((0, 1, 30))), decision))
        ids = [f"{decision.id}-{each}" for each in range(random.choice((0, 0, 1, 1, 2, 6)))]
        arrivals.extend(_outcome(random, decision.id, each, decision.at) for each in ids)
    arrivals.extend(_outcome(random, f"nobody-{each % 3}", f"lost-{each}", START) for each in range(decisions // 5))
    again = random.sample(arrivals, len(arrivals) // 5)
    arrivals.extend(replace(each, at=each.at + _microseconds(random, 20)) for each in again)
    random.shuffle(arrivals)
    return sorted(arrivals, key=lambda each: each.at)


def expected(arrivals: Sequence[Arrival], rules: JoinRules = RULES) -> dict[str, JoinedDecision]:
    """The rows, found the slow and simple way: every decision beside every outcome."""
    decisions = {each.event.id: each.event for each in arrivals if isinstance(each.event, Decision)}
    outcomes = {each.event.id: each.event for each in arrivals if isinstance(each.event, Outcome)}
    of: dict[str, list[Outcome]] = {}
    for outcome in outcomes.values():
        of.setdefault(outcome.decision_id, []).append(outcome)
    return {each.id: _row(each, of.get(each.id, []), rules) for each in decisions.values()}


def _row(decision: Decision, outcomes: list[Outcome], rules: JoinRules) -> JoinedDecision:
    rule = rules.by_placement.get(decision.context.placement, rules.default)
    closes = decision.at + rule.window + rules.lateness
    dated = []
    for each in outcomes:
        true = decision.at <= each.occurred_at <= each.received_at
        moment = each.occurred_at if true else max(each.received_at, decision.at)
        if moment - decision.at <= rule.window and each.received_at <= closes:
            dated.append((moment, each.received_at, each.id, each))
    kept = tuple(each for *_, each in sorted(dated)[: rules.most_outcomes])
    reward = 0.0
    for each in kept:
        reward = max(reward, dict(rule.values).get(each.kind, 0.0))
        if rule.display_s is not None and (each.duration_s or 0.0) >= rule.display_s:
            reward = max(reward, rule.display_value)
    return JoinedDecision(decision, kept, reward, rule.assume_displayed or len(kept) > 0, closes)


def _decision(random: Random, number: int, at: datetime) -> Decision:
    first = random.choice((0.25, 0.1, 1 / 3))
    context = DecisionContext(
        random.choice(PLACEMENTS),
        persona=random.choice(("BUILDER", "VISITOR", None)),
        category=random.choice(("c1", "c'2 \u00e9", None)),
        season=random.choice((*(each.value for each in Season), None)),
    )
    return Decision(
        id=f"d{number:05}",
        at=at,
        context=context,
        actions=tuple(each.value for each in ShelfAction),
        distribution=(first, (1 - first) / 3, (1 - first) / 3, (1 - first) / 3),
        action=ShelfAction.CATEGORY1,
        probability=first,
        policy="uniform",
        mode=DecisionMode.ONLINE,
        reason="SAMPLED",
        subject=random.choice(("visitor:1", "customer:2", None)),
        session=random.choice(("s1", None)),
        trace_id=random.choice(("0af7651916cd43dd8448eb211c80319c", None)),
    )


def _outcome(random: Random, decision_id: str, outcome_id: str, decided_at: datetime) -> Arrival:
    happened = decided_at + random.choice((_microseconds(random, 24), timedelta(seconds=20), _microseconds(random, 90)))
    way = random.choice((timedelta(0), _microseconds(random, 3), timedelta(seconds=2), _microseconds(random, 40)))
    clock_error = random.choice((timedelta(0), timedelta(0), timedelta(seconds=-30), timedelta(seconds=45)))
    outcome = Outcome(
        id=outcome_id,
        decision_id=decision_id,
        kind=random.choice(tuple(OutcomeKind)),
        occurred_at=happened + clock_error,
        received_at=happened + way,
        product_id=random.choice(("p1", "p'2", None)),
        quantity=random.choice((1, 7, None)),
        session=random.choice(("s1", None)),
        duration_s=random.choice((None, None, 0.0, 0.1, 5.0, random.random() * 10)),
    )
    # Less than the slack: what takes all of it may come after the decision was closed.
    return Arrival(happened + way + random.random() * (SLACK - timedelta(microseconds=1)), outcome)


def _microseconds(random: Random, seconds: int) -> timedelta:
    """A time within so many seconds, sometimes on a whole one, so that some are the same."""
    if random.random() < 0.3:
        return timedelta(seconds=random.randint(0, seconds))
    return timedelta(microseconds=random.randint(0, seconds * 1_000_000))
