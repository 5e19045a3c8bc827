"""Canaries: questions with the answers a model gave when it was stored, asked again before it is trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

from personalization.bandit.policy import Policy
from personalization.errors import ModelDamaged
from personalization.events import DecisionContext

TOLERANCE = 1e-6
"""How far an answer may be off, so that another processor's rounding is no damage."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A context and actions, and the distribution that a sound copy of the model gives for them."""

    context: DecisionContext
    actions: tuple[str, ...]
    distribution: tuple[float, ...]


def canaries_of(policy: Policy, asked: Sequence[tuple[DecisionContext, tuple[str, ...]]]) -> tuple[Canary, ...]:
    """What the policy answers now."""
    return tuple(Canary(context, actions, policy.distribution(context, actions)) for context, actions in asked)


def check_canaries(policy: Policy, canaries: Sequence[Canary]) -> None:
    """Ask every canary.

    Raises:
        ModelDamaged: there is none, or an answer is another one than it was.
    """
    if not canaries:
        raise ModelDamaged(f"{policy.version} has no canaries, so nothing says that it is whole")
    for canary in canaries:
        given = policy.distribution(canary.context, canary.actions)
        if any(abs(one - other) > TOLERANCE for one, other in zip(given, canary.distribution, strict=True)):
            raise ModelDamaged(
                f"{policy.version} answers {list(given)} at {canary.context.placement!r}, "
                f"and {list(canary.distribution)} was stored"
            )
