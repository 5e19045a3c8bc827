"""Personalized flags on top of regular ones: layer after layer, until one of them decides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol

from openfeature.flag_evaluation import Reason

from flags.bandit_layer import BanditLayer
from flags.evaluation import CompiledFlag, Decider, Evaluation, FlagSet
from flags.layers import PREVIEW, Answer, Ask, Layer, OpenFlag, held_back
from flags.metrics import FlagMetrics
from flags.rendering import Supported, rendered
from flags.terms import Terms, terms_of

_NONE: Final[Mapping[str, CompiledFlag]] = MappingProxyType({})


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


class ExposureLog(Protocol):
    """Where it is noted that somebody was given a variant."""

    def give(self, answers: Sequence[Answer], ask: Ask) -> list[str | None]:
        """The id of the exposure to each answer; None where no variant was given. Never waits, never raises."""
        ...


class Giving:
    """Answers at hand for somebody, as the client can render them. They are given once their `ids` are asked for."""

    __slots__ = ("_give", "_ids", "answers")

    def __init__(self, answers: Sequence[Answer], give: Callable[[Sequence[Answer]], Sequence[str | None]]) -> None:
        """`give` counts answers, and gives the ids of their exposures."""
        self.answers = answers
        self._give = give
        self._ids: Sequence[str | None] | None = None

    def ids(self) -> Sequence[str | None]:
        """The ids of the exposures, in the order of the answers."""
        if self._ids is None:
            self._ids = self._give(self.answers)
        return self._ids


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The flags of one set that are never decided about, and the terms of all others."""

    flags: FlagSet
    regular: Mapping[str, CompiledFlag]
    terms: Mapping[str, Terms]

    @classmethod
    def of(cls, flags: FlagSet) -> "_Kinds":
        found = ((key, terms_of(flag.definition)) for key, flag in flags.flags.items())
        terms = {key: each for key, each in found if each is not None}
        return cls(flags, {key: flag for key, flag in flags.flags.items() if key not in terms}, terms)


class PersonalizedFlags:
    """All layers: kill switch, override, rule, holdback, what `layers` has, bandit, default.

    Who is held back gets the default by a decision that says so, and is asked for nothing else.
    """

    def __init__(
        self,
        bandit: BanditLayer,
        exposures: ExposureLog,
        metrics: FlagMetrics,
        policy_version: Callable[[], str],
        layers: Sequence[Layer] = (),
    ) -> None:
        self._bandit = bandit
        self._exposures = exposures
        self._metrics = metrics
        self._policy_version = policy_version
        self._layers = layers
        self._known: _Kinds | None = None

    @property
    def policy_version(self) -> str:
        """Name and version of the policy that decides at the moment."""
        return self._policy_version()

    async def answer(self, flags: FlagSet, keys: Sequence[str] | None, ask: Ask) -> list[Answer]:
        """One answer for each key, in their order; without keys, for all flags in the order of the definitions."""
        keys = tuple(flags.flags) if keys is None else keys
        found = self.at_once(flags, keys, ask)
        left = [each for each in found if isinstance(each, OpenFlag)]
        return filled_in(found, await self.decide(flags, left) if left else ())

    def at_once(self, flags: FlagSet, keys: Sequence[str], ask: Ask) -> list[Answer | OpenFlag]:
        """The answers that need no decision, or one that is at hand; `decide` is to be asked for what is still open."""
        found = self._found(flags, keys, ask)
        given = iter(self._given(flags, [each for each in found if isinstance(each, Answer)], ask))
        return [each if isinstance(each, OpenFlag) else next(given) for each in found]

    def at_hand(self, flags: FlagSet, keys: Sequence[str], ask: Ask) -> Giving | None:
        """What `answer` would give, where nothing has to be decided for it; otherwise None."""
        found = self._found(flags, keys, ask)
        if OpenFlag in map(type, found):
            return None
        answers: list[Answer] = found  # type: ignore[assignment]  # none of them is open
        return Giving(_shown(flags, answers, ask.supports), partial(self._give, ask))

    async def decide(self, flags: FlagSet, opened: Sequence[OpenFlag]) -> list[Answer]:
        """The answers to all that a page has open, its decisions taken in one batch. Never raises."""
        decided = await self._bandit.answers(opened)
        pairs = zip(opened, decided, strict=True)
        return [given for each, answer in pairs for given in self._given(flags, [answer], each.ask)]

    def _found(self, flags: FlagSet, keys: Sequence[str], ask: Ask) -> list[Answer | OpenFlag]:
        """What the layers say, without anything given yet."""
        attributes, kinds = flags.attributes_of(ask.subject), self._kinds_of(flags)
        regular = kinds.regular if not ask.overrides else _NONE
        found, opened = list[Answer | OpenFlag](), list[OpenFlag]()
        for key in keys:
            if key in regular:
                found.append(Answer(regular[key].ask(attributes)))
                continue
            each = self._layered(flags, key, ask, attributes, kinds.terms.get(key))
            found.append(each)
            if isinstance(each, OpenFlag):
                opened.append(each)
        if not opened:
            return found
        decided = iter(self._bandit.at_hand(opened))
        return [next(decided) if isinstance(each, OpenFlag) else each for each in found]

    def _layered(
        self, flags: FlagSet, key: str, ask: Ask, attributes: dict[str, Any], terms: Terms | None
    ) -> Answer | OpenFlag:
        flag = flags.flags.get(key)
        if flag is None:
            return Answer(flags.not_found(key))
        evaluation = flag.ask(attributes)
        variant = ask.overrides.get(key) if ask.overrides else None
        if variant in flag.definition.variants and evaluation.decided_by is not Decider.KILL_SWITCH:
            return Answer(_overridden(flag, evaluation, variant), why=PREVIEW)
        if terms is None or not evaluation.left_open or ask.subject.targeting_key is None:
            return Answer(evaluation)
        return self._opened(flag, terms, evaluation, ask)

    def _opened(self, flag: CompiledFlag, terms: Terms, default: Evaluation, ask: Ask) -> Answer | OpenFlag:
        if ask.overrides:
            return Answer(default, why=PREVIEW)
        definition = flag.definition
        actions = terms.actions_for(definition, ask.subject.attributes.get("persona"), ask.supports)
        if not actions:
            return Answer(default)
        held = held_back(ask.subject.targeting_key or "", terms.holdback)
        opened = OpenFlag(flag, terms, default, actions, ask, held)
        if held or not self._layers:
            return opened
        answers = (layer.answer(opened) for layer in self._layers)
        return next((answer for answer in answers if answer is not None), opened)

    def _given(self, flags: FlagSet, answers: Sequence[Answer], ask: Ask) -> list[Answer]:
        """The answers as the client can render them, with the exposures of what they really get."""
        given = _shown(flags, answers, ask.supports)
        return [
            Answer(each.evaluation, each.decision, exposure_id, each.why)
            for each, exposure_id in zip(given, self._give(ask, given), strict=True)
        ]

    def _give(self, ask: Ask, answers: Sequence[Answer]) -> Sequence[str | None]:
        """Count what is given, and record its exposures: their ids."""
        self._metrics.evaluated([each.evaluation for each in answers])
        if ask.subject.targeting_key is None or ask.overrides:
            return [None] * len(answers)
        return self._exposures.give(answers, ask)

    def _kinds_of(self, flags: FlagSet) -> _Kinds:
        known = self._known
        if known is None or known.flags is not flags:
            known = self._known = _Kinds.of(flags)
        return known


def filled_in(found: Iterable[Answer | OpenFlag], decided: Iterable[Answer]) -> list[Answer]:
    """All answers, with those that were decided in the places of the open flags."""
    left = iter(decided)
    return [next(left) if isinstance(each, OpenFlag) else each for each in found]


def _shown(flags: FlagSet, answers: Sequence[Answer], supports: Supported | None) -> Sequence[Answer]:
    """The answers as this client can render them."""
    return answers if supports is None else [_rendered(flags, each, supports) for each in answers]


def _rendered(flags: FlagSet, answer: Answer, supports: Supported) -> Answer:
    flag = flags.flags.get(answer.evaluation.key)
    if flag is None:
        return answer
    evaluation, why = rendered(answer.evaluation, flag.definition, supports)
    return replace(answer, evaluation=evaluation, why=why or answer.why)


def _overridden(flag: CompiledFlag, evaluation: Evaluation, variant: str | None) -> Evaluation:
    value = None if variant is None else flag.definition.variants[variant]
    return replace(
        evaluation,
        value=value,
        variant=variant,
        reason=Reason.TARGETING_MATCH,
        decided_by=Decider.OVERRIDE,
        error_code=None,
        error_message=None,
    )
