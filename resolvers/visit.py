"""A visit: all that lives for one request."""

from dataclasses import dataclass
from typing import Any

from flags.components import Components
from flags.evaluation import FlagSet
from personalization.clock import Deadline
from personalization.decision.service import DecisionService
from personalization.outcomes import Outcomes
from resolvers.context import Contexts
from resolvers.fallbacks import Fallbacks
from resolvers.loaders import Loaders
from resolvers.sources.source import CommerceSource
from resolvers.standby import StandbyShelves
from resolvers.strongest import StrongestCategories
from resolvers.viewer import Viewer


@dataclass(slots=True)
class Visit:
    """What resolvers find in `info.context`: who asks, until when, and the parts that answer.

    `flag_set` is one state of the flag definitions: all fields of a visit see the same.
    """

    viewer: Viewer
    deadline: Deadline
    personal_deadline: Deadline
    source: CommerceSource
    loaders: Loaders
    contexts: Contexts
    components: Components
    flag_set: FlagSet
    decisions: DecisionService
    outcomes: Outcomes
    standby: StandbyShelves
    strongest: StrongestCategories
    fallbacks: Fallbacks
    trace_id: str | None = None
    trace: Any = None  # the gateway keeps its record of the operation here; resolvers never look

    def extensions(self) -> dict[str, object]:
        """What the visit adds to the answer's `extensions`."""
        used = self.contexts.used
        if not used:
            return {}
        if len(used) == 1:
            return {"context": used[0].public()}
        return {"context": used[0].public(), "contexts": [each.public() for each in used]}
