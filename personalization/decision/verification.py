"""Decides a past decision once more, from its record alone, and says what does not fit."""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from math import fsum

from personalization.bandit.policy import Policy
from personalization.bandit.sampling import normalized, sample, unit_interval
from personalization.decision.service import NO_POLICY
from personalization.errors import PersonaError
from personalization.events import Decision, DecisionContext

TOLERANCE = 1e-6
"""How far a probability may be off: a policy rounds to float32."""


class Verdict(StrEnum):
    """What came of checking one thing."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked, what came of it, and the numbers."""

    what: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one known member of the context did for the chosen action, by leaving it out.

    `without` is the action's probability were the member unknown; so `probability - without` is what it added.
    """

    member: str
    value: str
    without: float


def verify_draw(decision: Decision) -> Finding:
    """Whether the hash of the decision's id draws its action from its distribution, with its probability."""
    distribution, index = decision.distribution, decision.actions.index(decision.action)
    total = fsum(distribution)
    if abs(total - 1.0) > TOLERANCE or distribution[index] != decision.probability:
        detail = f"the probabilities sum to {total:.9f}, and {decision.probability} was logged"
        return Finding("draw", Verdict.CONTRADICTED, detail)
    point, drawn = unit_interval(decision.id), decision.actions[sample(distribution, decision.id)]
    verdict = Verdict.CONFIRMED if drawn == decision.action else Verdict.CONTRADICTED
    return Finding("draw", verdict, f"the id hashes to {point:.6f}, which draws {drawn}")


def verify_distribution(decision: Decision, policy: Policy | None) -> Finding:
    """Whether the policy gives the logged distribution, as it is or mixed with a floor. None: it is gone."""
    if decision.policy == NO_POLICY:
        certain = decision.probability == 1.0
        verdict = Verdict.CONFIRMED if certain else Verdict.CONTRADICTED
        return Finding("distribution", verdict, f"the default was given with probability {decision.probability:g}")
    if policy is None:
        return Finding("distribution", Verdict.UNKNOWN, f"{decision.policy} cannot be loaded (any more)")
    try:
        given = normalized(policy.distribution(decision.context, decision.actions), len(decision.actions))
    except PersonaError as error:
        return Finding("distribution", Verdict.CONTRADICTED, f"{policy.version} gives none: {error}")
    floor = _floor(given, decision.distribution)
    if floor is None:
        return Finding("distribution", Verdict.CONTRADICTED, f"{policy.version} gives {_told(given)}")
    mixed = f", mixed with a floor of {floor:.4f}" if floor else ""
    return Finding("distribution", Verdict.CONFIRMED, f"{policy.version} gives the same{mixed}")


def contributions(decision: Decision, policy: Policy) -> tuple[Contribution, ...]:
    """What each known member of the context did for the chosen action, the most helpful first.

    Raises:
        InvalidDistribution, InvalidFeature: the policy has no answer.
    """
    index = decision.actions.index(decision.action)
    found = []
    for name in _known_members(decision.context):
        without = replace(decision.context, **{name: None})  # type: ignore[arg-type]  # `placement` is not among them
        probability = policy.distribution(without, decision.actions)[index]
        found.append(Contribution(name, getattr(decision.context, name), probability))
    return tuple(sorted(found, key=lambda each: each.without))


def _known_members(context: DecisionContext) -> tuple[str, ...]:
    names = (each.name for each in fields(context) if each.name != "placement")
    return tuple(name for name in names if getattr(context, name) is not None)


def _floor(given: tuple[float, ...], logged: tuple[float, ...]) -> float | None:
    """The floor that `given` was mixed with to give `logged`, 0 for none; None when no floor does."""
    if _close(given, logged):
        return 0.0
    low, high = given.index(min(given)), given.index(max(given))
    if low == high or len(logged) != len(given):
        return None
    kept = (logged[high] - logged[low]) / (given[high] - given[low])
    floor = (1.0 - kept) / len(given)
    mixed = tuple(kept * each + floor for each in given)
    return floor if 0.0 <= kept <= 1.0 and _close(mixed, logged) else None


def _close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return len(one) == len(other) and all(abs(a - b) <= TOLERANCE for a, b in zip(one, other, strict=True))


def _told(distribution: tuple[float, ...]) -> str:
    return " ".join(f"{each:.4f}" for each in distribution)
