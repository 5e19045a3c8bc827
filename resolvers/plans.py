"""A personalized root field planned: all that it needs to know of a context settled, to be asked for each viewer of it.

A resolver works for one visit and may wait. What it finds out of a context is the same for everybody whose context that
is, save who they are; a plan holds it, and gives the field's value to any of them without waiting.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from opentelemetry.trace import SpanContext

from personalization.events import Drawn
from resolvers.context import EffectiveContext
from resolvers.visit import Visit


@dataclass(slots=True)
class Turn:
    """One asking: for whom, in which trace, which is not recorded, and the decisions that went into the answer.

    `keys` are those of values that are kept for this viewer alone, by what makes them. `left` is what is left to be
    done once the answer is out.
    """

    subject: str
    session: str
    span: SpanContext
    trace_id: str
    keys: dict[Any, bytes] = field(default_factory=dict)
    decided: list[Drawn] = field(default_factory=list)
    left: list[Callable[[], object]] = field(default_factory=list)


class Given(Protocol):
    """What a plan gives: one value."""

    @property
    def value(self) -> Any:
        """What the resolver would give; asked for only when none that is alike came before."""
        ...

    @property
    def alike(self) -> Hashable:
        """The same for values of the field that are told the same, whatever plan gives them, but for what follows."""
        ...

    @property
    def own(self) -> str:
        """A text that is found nowhere else in the value; empty where it has none."""
        ...

    @property
    def kept(self) -> Mapping[str, object]:
        """What is ready in it, by response name."""
        ...


@dataclass(slots=True)
class GivenList:
    """What a plan gives: a list, and nothing ready in it.

    Items of the field that are `alike` are told the same, whatever plan gives them, but for what is their own. `item`
    gives one, by its number, as the resolver would; it is asked only when none that is alike came before. `own` gives
    texts that are found nowhere else in it, as many as in others that are alike. `tags` gives those of what the
    list stands on that may be replaced as a whole.
    """

    alike: Sequence[Hashable]
    item: Callable[[int], object]
    own: Callable[[int], Sequence[str]]
    tags: Callable[[], frozenset[str]]


class Plan(Protocol):
    """The value of a root field for all viewers of one context."""

    def given(self, turn: Turn) -> Given | GivenList | None:
        """What the resolver would give; None where it has to be asked itself. Decisions in it are noted, not recorded.

        Raises whatever the resolver does.
        """
        ...

    def settle(self) -> None:
        """Count what was given since the last time."""
        ...


class Planning(Protocol):
    """Makes plans of a field, next to its resolver."""

    def __call__(
        self, visit: Visit, place: str, context: EffectiveContext | None, arguments: Mapping[str, Any], /
    ) -> Plan | None:
        """The plan for a context, in an operation where the field stands at `place`; None where there can be none.

        `arguments` are the resolver's. The visit is one of those for whom the plan is; it may be used to look at what
        is at hand, and its long-lived parts may be held on to.
        """
        ...


class Constant:
    """The same value for all: a plan, and what it gives."""

    __slots__ = ("value",)

    own = ""
    kept: Mapping[str, object] = MappingProxyType({})

    def __init__(self, value: object) -> None:
        self.value = value

    @property
    def alike(self) -> "Constant":
        """Itself: another plan may give another value."""
        return self

    def given(self, _turn: Turn) -> "Constant":
        """Itself."""
        return self

    def settle(self) -> None:
        """Nothing is counted."""
