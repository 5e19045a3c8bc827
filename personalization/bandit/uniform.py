"""The policy that knows nothing: every action is as likely as any other."""

from collections.abc import Sequence

from personalization.errors import InvalidDistribution
from personalization.events import DecisionContext


class Uniform:
    """Explores evenly, whatever the context. What it logs is the fairest data to learn from."""

    @property
    def version(self) -> str:
        return "uniform@1"

    def distribution(self, context: DecisionContext, actions: Sequence[str]) -> tuple[float, ...]:
        """1/K for each of K actions."""
        if not actions:
            raise InvalidDistribution(f"no actions to choose from at {context.placement!r}, give at least one")
        return (1.0 / len(actions),) * len(actions)
