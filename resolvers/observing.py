"""What a making read of its visit: the members of contexts, and what no shared value may depend on."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, Final, cast

from flags.bandit_layer import STICKY
from flags.components import ComponentReason
from flags.evaluation import FlagSet
from flags.layers import Answer
from resolvers.context import Context, Contexts, EffectiveContext
from resolvers.fallbacks import Fallbacks
from resolvers.page_flags import PageFlags
from resolvers.viewer import Viewer
from resolvers.visit import Visit

TRAITS: Final = frozenset(
    {"persona", "segment", "category", "region", "season", "device", "role", "app_version", "supports"}
)
"""What makes a segment: members of a context that many viewers share."""

SELF: Final = frozenset({"subject", "session"})
"""What a viewer shares with nobody. Values that depend on it are kept all the same, for this viewer's next page."""

AUDIENCE: Final = TRAITS | SELF
"""What a value of scope SEGMENT may depend on."""

SETTLED: Final = frozenset({None, STICKY, *(reason.value for reason in ComponentReason)})
"""Why a flag's answer is as it is, where it would be the same again; otherwise something was late or failed."""

_why: Callable[[Answer], str | None] = attrgetter("why")

MEMBERS: Final = frozenset(each.name for each in fields(EffectiveContext))


def policy_tag(policy: str) -> str:
    """The tag of what a decision of this policy went into."""
    return f"policy:{policy}"


def policy_tags(answers: Iterable[Answer]) -> set[str]:
    """The tags of the policies that decided in these answers."""
    return {policy_tag(answer.decision.policy) for answer in answers if answer.decision is not None}


def settled(answers: Iterable[Answer]) -> bool:
    """Whether these answers would be the same again."""
    return SETTLED.issuperset(map(_why, answers))


def segment_tag(segment: str) -> str:
    """The tag of what looked at this segment."""
    return f"segment:{segment}"


@dataclass(slots=True)
class Reads:
    """What a making read. `allowed` is what the scope declares; anything else makes its value one not to be kept.

    `private` says that it was made for one viewer at one moment, `fell_back` that it is not what was asked for.
    `tags` name what it stands on that may be replaced as a whole.
    """

    allowed: frozenset[str] = frozenset()
    names: set[str] = field(default_factory=set)
    undeclared: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    private: bool = False
    fell_back: bool = False

    def note(self, name: str) -> None:
        """A member was read."""
        (self.names if name in self.allowed else self.undeclared).add(name)

    def take(self, other: "Reads") -> None:
        """Read all that was read there."""
        self.private = self.private or other.private
        self.fell_back = self.fell_back or other.fell_back
        self.tags |= other.tags
        for name in other.names | other.undeclared:
            self.note(name)


class ObservedContext:
    """An effective context that notes which of its members are read, through its methods too."""

    __slots__ = ("_context", "_reads")

    def __init__(self, context: EffectiveContext, reads: Reads) -> None:
        self._context = context
        self._reads = reads

    def __getattr__(self, name: str) -> Any:
        if name in MEMBERS:
            self._reads.note(name)
            value = getattr(self._context, name)
            if name == "segment" and value is not None:
                self._reads.tags.add(segment_tag(value))
            return value
        method = getattr(EffectiveContext, name)
        return method.__get__(self)

    def __eq__(self, other: object) -> bool:
        return self._context == other

    def __hash__(self) -> int:
        return hash(self._context)


class ObservedViewer:
    """A viewer of whom each member that is read is noted, as `viewer.subject`."""

    __slots__ = ("_reads", "_viewer")

    def __init__(self, viewer: Viewer, reads: Reads) -> None:
        self._viewer = viewer
        self._reads = reads

    def __getattr__(self, name: str) -> Any:
        self._reads.note(f"viewer.{name}")
        return getattr(self._viewer, name)


class ObservedContexts:
    """Contexts whose every answer is observed."""

    __slots__ = ("_contexts", "_reads")

    def __init__(self, contexts: Contexts, reads: Reads) -> None:
        self._contexts = contexts
        self._reads = reads

    async def resolve(self, claimed: Context) -> ObservedContext:
        """The effective context of a claim, observed."""
        return ObservedContext(await self._contexts.resolve(claimed), self._reads)


class ObservedFallbacks:
    """Fallbacks that note that there was one: what fell back is never kept."""

    __slots__ = ("_fallbacks", "_reads")

    def __init__(self, fallbacks: Fallbacks, reads: Reads) -> None:
        self._fallbacks = fallbacks
        self._reads = reads

    def because(self, field: str, error: Exception) -> str:
        """As `Fallbacks.because`."""
        self._reads.fell_back = True
        return self._fallbacks.because(field, error)


class ObservedFlags:
    """A page's flags. Rules, splits and sticky decisions may look at all of a context, its subject and its session."""

    __slots__ = ("_flags", "_reads")

    def __init__(self, flags: PageFlags, reads: Reads) -> None:
        self._flags = flags
        self._reads = reads

    @property
    def flags(self) -> FlagSet:
        """The definitions."""
        return self._flags.flags

    async def answer(self, keys: Sequence[str], context: EffectiveContext | None) -> list[Answer]:
        """As `PageFlags.answer`. What depends on the time of day, or on a failure, is not to be kept."""
        answers = await self._flags.answer(keys, context)
        if context is not None:
            for name in AUDIENCE:
                self._reads.note(name)
            if context.segment is not None:
                self._reads.tags.add(segment_tag(context.segment))
        self._reads.tags |= policy_tags(answers)
        self._reads.private = self._reads.private or self.flags.timed
        self._reads.fell_back = self._reads.fell_back or not settled(answers)
        return answers


def observed(visit: Visit, reads: Reads) -> Visit:
    """The same visit, with everything that differs from viewer to viewer observed."""
    return replace(
        visit,
        viewer=cast("Viewer", ObservedViewer(visit.viewer, reads)),
        contexts=cast("Contexts", ObservedContexts(visit.contexts, reads)),
        flags=cast("PageFlags", ObservedFlags(visit.flags, reads)),
        fallbacks=cast("Fallbacks", ObservedFallbacks(visit.fallbacks, reads)),
    )
