"""Personalized flags on top of regular ones: layer after layer, until one of them decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from flags.evaluation import Evaluation, FlagSet
from flags.subject import Subject
from personalization.clock import Deadline
from personalization.events import Decision


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks, and under which circumstances.

    `subject` without a targeting key is the public default: nothing is decided for it and nothing recorded.
    `session` is the browsing session that decisions stick to. `supports` says which versions of a component the client
    can render; of components that it leaves out it can render all. `overrides` are variants by flag key, from a signed
    preview. Nothing waits longer than `deadline`.
    """

    subject: Subject
    session: str | None = None
    supports: Mapping[str, Sequence[str]] | None = None
    overrides: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    deadline: Deadline | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a flag is for who asked: the evaluation, which names the layer that decided, and what it stands on.

    `decision` is there when the bandit chose. `exposure_id` names the event of giving this variant; None where no
    variant was given, for the public default, and for previews. `why` is a word in capitals where the layer alone
    does not say it: `STICKY`, `LATE`, `POLICY_FAILED`, ...
    """

    evaluation: Evaluation
    decision: Decision | None = None
    exposure_id: str | None = None
    why: str | None = None


class FlagAnswers(Protocol):
    """Flags asked through all layers."""

    @property
    def policy_version(self) -> str:
        """Name and version of the policy that decides at the moment."""
        ...

    async def answer(self, flags: FlagSet, keys: Sequence[str] | None, ask: Ask) -> list[Answer]:
        """One answer for each key, in their order; without keys, for all flags in the order of the definitions.

        All over one set of definitions and one policy. Never raises: an unknown flag is an answer too.
        """
        ...
