"""What a flag is for a subject: one immutable set of compiled flags, and its answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from flags.definition import FlagDefinition, FlagValue, MetadataValue
from flags.definitions import Definitions
from flags.subject import Subject
from flags.targeting import TIMESTAMP, Rule, compile_targeting
from personalization.clock import Clock, SystemClock


class Decider(StrEnum):
    """Who decided, in the order in which they are asked.

    Regular flags are decided by `KILL_SWITCH`, `RULE` or `DEFAULT`; the others are layers of personalized flags.
    """

    KILL_SWITCH = "KILL_SWITCH"
    OVERRIDE = "OVERRIDE"
    RULE = "RULE"
    HOLDBACK = "HOLDBACK"
    EXPERIMENT = "EXPERIMENT"
    BANDIT = "BANDIT"
    DEFAULT = "DEFAULT"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One answer.

    `value` and `variant` are None when the caller's own default is to be used: the flag is off (`DISABLED`), has no
    default variant, or failed (`ERROR`, with a code and a message that holds nothing of the subject).
    `definitions` is the version of the whole set.
    """

    key: str
    value: FlagValue | None
    variant: str | None
    reason: Reason
    decided_by: Decider
    definitions: str
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    error_code: ErrorCode | None = None
    error_message: str | None = None

    @property
    def left_open(self) -> bool:
        """Whether neither kill switch nor rule answered, so that a later layer may."""
        return self.decided_by is Decider.DEFAULT and self.reason is not Reason.ERROR


class CompiledFlag:
    """One flag, ready to be asked. Its answers exist before the first question: one for each variant."""

    __slots__ = ("_answers", "_open", "definition", "rule", "version")

    def __init__(self, definition: FlagDefinition, version: str, rule: Rule | None = None) -> None:
        self.definition = definition
        self.version = version
        self.rule = rule
        if rule is None and definition.enabled and definition.targeting is not None:
            self.rule = compile_targeting(definition.key, definition.targeting)
        self._answers = {
            variant: self._answer(value, variant, Reason.TARGETING_MATCH, Decider.RULE)
            for variant, value in definition.variants.items()
        }
        self._open = self._when_open()

    def ask(self, attributes: Mapping[str, Any]) -> Evaluation:
        """The answer for these attributes, which hold `targetingKey` too. Never raises."""
        if self.rule is None:
            return self._open
        try:
            given = self.rule(attributes)
        except Exception as error:  # a rule may divide by a viewer's zero; the page is served all the same
            return self._failure(f"the rule failed: {type(error).__name__}")
        if given is None:
            return self._open
        variant = given if type(given) is str else str(given).lower() if isinstance(given, bool) else str(given)
        answer = self._answers.get(variant)
        return self._failure("the rule gave no variant of the flag") if answer is None else answer

    def _when_open(self) -> Evaluation:
        definition = self.definition
        if not definition.enabled:
            return self._answer(None, None, Reason.DISABLED, Decider.KILL_SWITCH)
        variant = definition.default_variant
        value = None if variant is None else definition.variants[variant]
        static = definition.targeting is None and variant is not None
        return self._answer(value, variant, Reason.STATIC if static else Reason.DEFAULT, Decider.DEFAULT)

    def _answer(self, value: FlagValue | None, variant: str | None, reason: Reason, decided_by: Decider) -> Evaluation:
        key, metadata = self.definition.key, self.definition.metadata
        return Evaluation(key, value, variant, reason, decided_by, self.version, metadata)

    def _failure(self, message: str) -> Evaluation:
        return failure(self.definition.key, self.version, ErrorCode.GENERAL, message, self.definition.metadata)


class FlagSet:
    """All flags of one state of the definitions. Immutable; any number of threads may ask it."""

    def __init__(self, definitions: Definitions, clock: Clock | None = None, last: "FlagSet | None" = None) -> None:
        """`last` lends the compiled rules of flags that did not change."""
        self.definitions = definitions
        self._clock = clock or SystemClock()
        known = last.flags if last is not None else {}
        self.flags: Mapping[str, CompiledFlag] = MappingProxyType(
            {flag.key: _compiled(flag, definitions.version, known.get(flag.key)) for flag in definitions.flags}
        )
        self._timed = any(TIMESTAMP in str(flag.targeting) for flag in definitions.flags)

    @property
    def version(self) -> str:
        """The version of the definitions."""
        return self.definitions.version

    def evaluate(self, key: str, subject: Subject) -> Evaluation:
        """What the flag is for the subject; an unknown flag is an answer too (`FLAG_NOT_FOUND`)."""
        flag = self.flags.get(key)
        return self.not_found(key) if flag is None else flag.ask(self.attributes_of(subject))

    def evaluate_all(self, subject: Subject) -> dict[str, Evaluation]:
        """What every flag is for the subject, at one moment, in the order of the definitions."""
        attributes = self.attributes_of(subject)
        return {key: flag.ask(attributes) for key, flag in self.flags.items()}

    def evaluate_many(self, keys: Iterable[str], subject: Subject) -> dict[str, Evaluation]:
        """What these flags are for the subject, at one moment."""
        attributes = self.attributes_of(subject)
        found = ((key, self.flags.get(key)) for key in keys)
        return {key: self.not_found(key) if flag is None else flag.ask(attributes) for key, flag in found}

    def attributes_of(self, subject: Subject) -> dict[str, Any]:
        """The subject as rules read it."""
        attributes: dict[str, Any] = {
            # JSONLogic compares by exact type, and enums of text are meant to be text.
            name: str(value) if isinstance(value, StrEnum) else value
            for name, value in subject.attributes.items()
        }
        attributes["targetingKey"] = subject.targeting_key
        if self._timed:
            attributes["$flagd"] = {"timestamp": int(self._clock.now().timestamp())}
        return attributes

    def not_found(self, key: str) -> Evaluation:
        """The answer for a flag that is not there."""
        return failure(key, self.version, ErrorCode.FLAG_NOT_FOUND, "no definition names this flag")


def failure(
    key: str, version: str, code: ErrorCode, message: str, metadata: Mapping[str, MetadataValue] | None = None
) -> Evaluation:
    """An answer that leaves the caller its own default."""
    return Evaluation(key, None, None, Reason.ERROR, Decider.DEFAULT, version, metadata or {}, code, message)


def _compiled(definition: FlagDefinition, version: str, last: CompiledFlag | None) -> CompiledFlag:
    same = last is not None and last.definition is definition
    return CompiledFlag(definition, version, last.rule if last is not None and same else None)
