"""A policy gives the whole distribution for a context and actions; a learner makes models of joined decisions."""

from collections.abc import Sequence
from typing import Protocol

from personalization.bandit.lessons import Refusal
from personalization.events import DecisionContext, JoinedDecision


class Policy(Protocol):
    """A way of choosing. Pure: the same context and actions give the same distribution until it is replaced."""

    @property
    def version(self) -> str:
        """Name and version, as logged with each decision: `uniform@1`."""
        ...

    def distribution(self, context: DecisionContext, actions: Sequence[str]) -> tuple[float, ...]:
        """Probabilities in the order of `actions` (at least one); each above zero; they sum to one.

        Raises:
            InvalidDistribution: the policy cannot give such probabilities for this context.
            InvalidFeature: the context or an action holds what cannot be asked about.
        """
        ...


class Learner(Protocol):
    """What learns, one joined decision after the other. It is no policy: whoever serves never learns.

    The same decisions in the same order give the same model, byte for byte, also when the model is taken in between
    and learning goes on from its bytes in another process.
    """

    def learn(self, joined: JoinedDecision) -> Refusal | None:
        """Learn from one decision; or why nothing was learned: then the model is bit for bit what it was."""
        ...

    def model(self) -> bytes:
        """All that was learned, as bytes that a policy is loaded from."""
        ...
