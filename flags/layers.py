"""What the layers of a personalized flag hand to one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from opentelemetry.trace import SpanContext

from flags.evaluation import CompiledFlag, Evaluation
from flags.subject import Subject
from flags.terms import Terms
from personalization.bandit.sampling import unit_interval
from personalization.clock import Deadline
from personalization.events import Decision

PREVIEW = "PREVIEW"
"""Why an answer is as it is where a preview token forces variants."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks, and under which circumstances.

    `subject` without a targeting key is the public default: nothing is decided for it and nothing recorded.
    `session` is the browsing session that decisions stick to. `supports` says which versions of a component the client
    can render; of components that it leaves out it can render all. `overrides` are variants by flag key, from a signed
    preview: with any of them nothing is decided, recorded or learned. Nothing waits longer than `deadline`.
    `span` is that of the request, where it is not the current one.
    """

    subject: Subject
    session: str | None = None
    supports: Mapping[str, Sequence[str]] | None = None
    overrides: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    deadline: Deadline | None = None
    trace_id: str | None = None
    span: SpanContext | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a flag is for who asked: the evaluation, which names the layer that decided, and what it stands on.

    `decision` is there when the bandit chose, and for who is held back, so that what came of both can be compared.
    `exposure_id` names the event of giving this variant; None where no variant was given, for the public default, and
    for previews. `why` is a word in capitals where the layer alone does not say it: `STICKY`, `PREVIEW`, `LATE`,
    `POLICY_FAILED`, `DOWNGRADED`, ...
    """

    evaluation: Evaluation
    decision: Decision | None = None
    exposure_id: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class OpenFlag:
    """A personalized flag for which neither kill switch, preview nor rule answered.

    `default` is its answer when no later layer decides. `actions` are the variants to choose from, at least two: those
    that the persona may see and the client can render. `held` says that its subject is held back: then there is no
    choice, but the default, and a decision that says so.
    """

    flag: CompiledFlag
    terms: Terms
    default: Evaluation
    actions: tuple[str, ...]
    ask: Ask
    held: bool = False

    @property
    def key(self) -> str:
        """The flag's key."""
        return self.flag.definition.key

    @property
    def subject(self) -> str:
        """Whom it is asked for; open flags always have somebody."""
        return self.ask.subject.targeting_key or ""

    def defaulted(self, why: str) -> Answer:
        """The default and the reason."""
        return Answer(self.default, why=why)


class Layer(Protocol):
    """One layer between rules and the bandit. It never waits; an experiment's assignment would be another one."""

    def answer(self, flag: OpenFlag) -> Answer | None:
        """The layer's answer, None where it leaves the flag open."""
        ...


def held_back(subject: str, share: float) -> bool:
    """Whether this subject belongs to the share that always gets the default: what personalization is measured by.

    The draw is the subject's own, whatever the flag: who is held back at 5 % is so at 10 % too, and everywhere.
    """
    return unit_interval(f"holdback/{subject}") < share
