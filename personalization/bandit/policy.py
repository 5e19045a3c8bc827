"""What a policy is: context and actions in, the whole distribution out."""

from collections.abc import Sequence
from typing import Protocol

from personalization.events import DecisionContext


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
        """
        ...
