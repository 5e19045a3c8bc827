"""A personalized root field planned: all that it needs to know of a context settled, to be asked for each viewer of it.

A resolver works for one visit and may wait. What it finds out of a context is the same for everybody whose context that
is, save who they are; a plan holds it, and gives the field's value to any of them without waiting.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from opentelemetry.trace import SpanContext

from personalization.events import Decision
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
    decided: list[Decision] = field(default_factory=list)
    left: list[Callable[[], object]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Given:
    """What a plan gives.

    Values that are `alike` are told the same but for `own`, a text that is found nowhere else in them, and for `kept`,
    what is ready by response name; a value that does not say so is like no other. `tags` are those of what it stands
    on that may be replaced as a whole.
    """

    value: Any
    alike: Hashable | None = None
    own: str = ""
    kept: Mapping[str, object] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()


class Plan(Protocol):
    """The value of a root field for all viewers of one context."""

    def value(self, turn: Turn) -> Given | None:
        """What the resolver would give; None where it has to be asked itself. Decisions in it are noted, not recorded.

        Raises whatever the resolver does.
        """
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
    """The same value for all."""

    __slots__ = ("_given",)

    def __init__(self, value: object) -> None:
        self._given = Given(value, alike=())

    def value(self, _turn: Turn) -> Given:
        """That value."""
        return self._given
