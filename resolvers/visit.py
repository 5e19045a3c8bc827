"""A visit: all that lives for one request."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from flags.components import Components
from flags.preview import Preview
from personalization.clock import Deadline
from personalization.decision.service import DecisionService
from personalization.outcomes import Outcomes
from resolvers.context import Contexts
from resolvers.fallbacks import Fallbacks
from resolvers.loaders import Loaders
from resolvers.page_flags import PageFlags
from resolvers.sources.source import CommerceSource
from resolvers.standby import StandbyShelves
from resolvers.strongest import StrongestCategories
from resolvers.viewer import Viewer


class Keeper(Protocol):
    """What knows which values are kept as ready JSON; the gateway's executor."""

    def place(self, root: str, field: str, identity: object) -> "ReadyPlace":
        """Where all selections of `field` below the root field of response name `root` are kept for this object."""
        ...

    def standing_place(self, root: str, field: str, identity: object) -> "StandingPlace":
        """As `place`, to be looked at for many visits."""
        ...


class ReadyPlace(Protocol):
    """Where the selections of a field are kept for one object, ready, by response name."""

    def __call__(self) -> Mapping[str, object] | None:
        """What is kept there now; None when there is nothing, so that the object has to be filled."""
        ...


class StandingPlace(ReadyPlace, Protocol):
    """A place that is looked at for many visits."""

    def look(self) -> Mapping[str, object] | None:
        """As `ReadyPlace`, but not counted yet."""
        ...

    def fill(self, ids: Sequence[str], left: list[Callable[[], object]]) -> Mapping[str, object] | None:
        """What is selected of the object, which lists entities of these ids, if all of them are kept; otherwise None.

        To keep it is `left` to do.
        """
        ...

    def settle(self) -> None:
        """Count what was found since the last time."""
        ...


@dataclass(slots=True)
class Visit:
    """What resolvers find in `info.context`: who asks, until when, and the parts that answer.

    All fields of a visit see one state of the flag definitions. Under a `preview` nothing is recorded or learned.
    `admit` lets so many events of this viewer in, or raises what tells it to wait.
    """

    viewer: Viewer
    deadline: Deadline
    personal_deadline: Deadline
    source: CommerceSource
    loaders: Loaders
    contexts: Contexts
    components: Components
    flags: PageFlags
    decisions: DecisionService
    outcomes: Outcomes
    standby: StandbyShelves
    strongest: StrongestCategories
    fallbacks: Fallbacks
    admit: Callable[[int], None]
    preview: Preview | None = None
    trace_id: str | None = None
    trace: Any = None  # the gateway keeps its record of the operation here; resolvers never look
    keeper: Keeper | None = None
    again: "Callable[[], AbstractAsyncContextManager[Visit]] | None" = None  # opens another visit of the same viewer

    @property
    def segments(self) -> frozenset[str]:
        """The segments that the viewer was taken for."""
        return frozenset(each.segment for each in self.contexts.used if each.segment is not None)

    def extensions(self) -> dict[str, object]:
        """What the visit adds to the answer's `extensions`."""
        used = [each.public() for each in self.contexts.used]
        extensions: dict[str, object] = {}
        if used:
            extensions["context"] = used[0]
        if len(used) > 1:
            extensions["contexts"] = used
        if self.preview is not None:
            extensions["preview"] = self.preview.public()
        return extensions

    def cancel(self) -> None:
        """Stop the work that nobody waits for any more."""
        self.loaders.cancel()
        self.flags.cancel()
        self.keeper = None  # it holds the visit: what is a circle is freed late, and every visit lands on cold memory
