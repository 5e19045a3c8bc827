"""What a flag is for a subject: one immutable set of compiled flags, and its answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from flags.definition import FlagDefinition, FlagValue, MetadataValue
from flags.definitions import Definitions
from flags.prerequisites import needs_of
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

    `value` and `variant` are None when the caller's own default is to be used: the flag is off (`DISABLED`: its kill
    switch, or a flag that it requires gives another variant), has no default variant, or failed (`ERROR`, with a code
    and a message that holds nothing of the subject).
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
    """One flag, ready to be asked. Its answers exist before the first question: one for each variant.

    The rule is compiled, and the answers are made, when it is first asked or told to `prepare`.
    """

    __slots__ = ("__weakref__", "_answers", "_drawn", "_open", "_rule", "definition", "version")

    def __init__(self, definition: FlagDefinition, version: str, last: "CompiledFlag | None" = None) -> None:
        """`last` lends its compiled rule if it is of the same definition."""
        self.definition = definition
        self.version = version
        same = last is not None and last.definition is definition
        self._rule: Rule | None = last._rule if last is not None and same else None
        self._answers: Mapping[str, Evaluation] = {}
        self._drawn: dict[tuple[str, Decider], Evaluation] = {}
        self._open: Evaluation | None = None

    @property
    def rule(self) -> Rule | None:
        """The compiled rule; None when there is none, when the flag is off, and before it is prepared."""
        return self._rule

    @property
    def prepared(self) -> bool:
        """Whether the next question costs no more than its evaluation."""
        return self._open is not None

    def prepare(self) -> Evaluation:
        """Compile the rule and make the answers, as the first question would; gives the answer when no rule answers."""
        definition = self.definition
        if self._rule is None and definition.enabled and definition.rule is not None:
            self._rule = compile_targeting(definition.key, definition.targeting)
        self._answers = {
            variant: self._answer(value, variant, Reason.TARGETING_MATCH, Decider.RULE)
            for variant, value in definition.variants.items()
        }
        # Last, for another thread may ask meanwhile.
        self._open = opened = self._when_open() if definition.enabled else self._when_off()
        return opened

    @property
    def needs(self) -> Sequence["Need"]:
        """What this flag requires, directly or through others."""
        return ()

    def ask_alone(self, attributes: Mapping[str, Any]) -> Evaluation:
        """The answer for these attributes, as it were without the flags that this one requires. Never raises."""
        opened = self._open or self.prepare()
        if self._rule is None:
            return opened
        try:
            given = self._rule(attributes)
        except Exception as error:  # a rule may divide by a viewer's zero; the page is served all the same
            return self._failure(f"the rule failed: {type(error).__name__}")
        if given is None:
            return opened
        variant = given if type(given) is str else str(given).lower() if isinstance(given, bool) else str(given)
        answer = self._answers.get(variant)
        return self._failure("the rule gave no variant of the flag") if answer is None else answer

    ask = ask_alone
    """The answer for these attributes, which hold `targetingKey` too. Never raises."""

    def drawn(self, variant: str, by: Decider) -> Evaluation:
        """The answer where a later layer gives a variant: by chance, as OpenFeature's reason says (`SPLIT`)."""
        answer = self._drawn.get((variant, by))
        if answer is None:
            value = self.definition.variants[variant]
            answer = self._drawn[(variant, by)] = self._answer(value, variant, Reason.SPLIT, by)
        return answer

    def _when_off(self) -> Evaluation:
        return self._answer(None, None, Reason.DISABLED, Decider.KILL_SWITCH)

    def _when_open(self) -> Evaluation:
        definition = self.definition
        variant = definition.default_variant
        value = None if variant is None else definition.variants[variant]
        static = definition.rule is None and not definition.requires and variant is not None
        return self._answer(value, variant, Reason.STATIC if static else Reason.DEFAULT, Decider.DEFAULT)

    def _answer(self, value: FlagValue | None, variant: str | None, reason: Reason, decided_by: Decider) -> Evaluation:
        key, metadata = self.definition.key, self.definition.metadata
        return Evaluation(key, value, variant, reason, decided_by, self.version, metadata)

    def _failure(self, message: str) -> Evaluation:
        return failure(self.definition.key, self.version, ErrorCode.GENERAL, message, self.definition.metadata)


Need = tuple[CompiledFlag, frozenset[str]]
"""A flag, and the variants of it that will do."""


class RequiringFlag(CompiledFlag):
    """A flag that is off for whom any of those that it requires gives another variant than it needs."""

    __slots__ = ("_needs",)

    def __init__(self, definition: FlagDefinition, version: str, last: CompiledFlag | None = None) -> None:
        super().__init__(definition, version, last)
        self._needs: tuple[Need, ...] = ()

    @property
    def needs(self) -> Sequence[Need]:
        """What this flag requires, directly or through others."""
        return self._needs

    def need(self, flags: Iterable[Need]) -> None:
        """Require these; called before the first question."""
        self._needs = tuple(flags)

    def ask(self, attributes: Mapping[str, Any]) -> Evaluation:
        """As of any flag."""
        for flag, variants in self._needs:
            if flag.ask_alone(attributes).variant not in variants:
                return self._when_off()
        return self.ask_alone(attributes)


def compiled_flags(definitions: Definitions, last: "FlagSet | None" = None) -> Iterator[CompiledFlag]:
    """The flags of these definitions, one small step of work for each.

    `last` lends the rules of flags that did not change; what was asked there is prepared here, so that the change of
    sets is nothing that a question has to wait for.
    """
    known = last.flags if last is not None else {}
    made: dict[str, CompiledFlag] = {}
    requiring: list[RequiringFlag] = []
    for definition in definitions.flags:
        before = known.get(definition.key)
        if "requires" in definition.metadata:
            flag: CompiledFlag = (needing := RequiringFlag(definition, definitions.version, before))
            requiring.append(needing)
        else:
            flag = CompiledFlag(definition, definitions.version, before)
        made[definition.key] = flag
        if before is not None and before.prepared:
            flag.prepare()
        yield flag
    by_key = {flag.key: flag for flag in definitions.flags} if requiring else {}
    for each in requiring:
        needs = needs_of(each.definition.key, by_key)
        # A flag that is not there gives nothing: the empty set of variants says so of whichever flag stands for it.
        each.need((made.get(key, each), variants) for key, variants in needs.items())


class FlagSet:
    """All flags of one state of the definitions. Immutable; any number of threads may ask it.

    `timed` says whether a rule reads the time of day.
    """

    def __init__(
        self,
        definitions: Definitions,
        clock: Clock | None = None,
        last: "FlagSet | None" = None,
        compiled: Iterable[CompiledFlag] | None = None,
    ) -> None:
        """`compiled` are all of its flags where they exist already; otherwise they are made now, as after `last`."""
        self.definitions = definitions
        self._clock = clock or SystemClock()
        flags = compiled_flags(definitions, last) if compiled is None else compiled
        self.flags: Mapping[str, CompiledFlag] = MappingProxyType({flag.definition.key: flag for flag in flags})
        self.timed = any(flag.rule is not None and TIMESTAMP in flag.rule for flag in definitions.flags)

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
        if self.timed:
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
