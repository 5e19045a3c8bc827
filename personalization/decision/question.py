"""What is to be decided."""

from dataclasses import dataclass

from personalization.errors import InvalidDistribution
from personalization.events import DecisionContext


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be decided, for whom, and in which trace.

    `default_action` is what a failed decision falls back to, the first action where it is None. No action is drawn
    with a probability below `floor`, which is at most 1 over the number of actions. `held_back` says that the asker
    has the subject in a group of its own that always gets the default.
    """

    context: DecisionContext
    actions: tuple[str, ...]
    default_action: str | None = None
    subject: str | None = None
    session: str | None = None
    trace_id: str | None = None
    floor: float = 0.0
    held_back: bool = False

    def default(self) -> str:
        """The action to fall back to: the wanted one, else the first."""
        if self.default_action is not None:
            return self.default_action
        if not self.actions:
            raise InvalidDistribution(f"no actions to choose from at {self.context.placement!r}, give at least one")
        return self.actions[0]
