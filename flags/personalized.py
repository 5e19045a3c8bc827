"""Personalized flags on top of regular ones: layer after layer, until one of them decides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from openfeature.flag_evaluation import Reason

from flags.bandit_layer import BanditLayer
from flags.evaluation import CompiledFlag, Decider, Evaluation, FlagSet
from flags.layers import PREVIEW, Answer, Ask, Layer, OpenFlag, held_back
from flags.metrics import FlagMetrics
from flags.rendering import rendered
from flags.terms import Terms, terms_of
from personalization.events import Decision


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

    def give(
        self,
        evaluation: Evaluation,
        *,
        subject: str,
        session: str | None,
        decision: Decision | None,
        trace_id: str | None,
    ) -> str | None:
        """The id of the exposure; None where no variant was given. Never waits, never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """One flag that is asked for."""

    key: str
    ask: Ask


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
        self._terms: tuple[FlagSet, dict[str, Terms]] | None = None

    @property
    def policy_version(self) -> str:
        """Name and version of the policy that decides at the moment."""
        return self._policy_version()

    async def answer(self, flags: FlagSet, keys: Sequence[str] | None, ask: Ask) -> list[Answer]:
        """One answer for each key, in their order; without keys, for all flags in the order of the definitions."""
        keys = tuple(flags.flags) if keys is None else keys
        answers = self.at_once(flags, keys, ask)
        left = [Wanted(key, ask) for key, answer in zip(keys, answers, strict=True) if answer is None]
        decided = iter(await self.decide(flags, left) if left else ())
        return [next(decided) if answer is None else answer for answer in answers]

    def at_once(self, flags: FlagSet, keys: Sequence[str], ask: Ask) -> list[Answer | None]:
        """The answers that need no decision; None for those that `decide` is to be asked for."""
        attributes, terms = flags.attributes_of(ask.subject), self._terms_of(flags)
        found = [self._layered(flags, key, ask, attributes, terms.get(key)) for key in keys]
        answers = [None if isinstance(each, OpenFlag) else self._finished(flags, each, ask) for each in found]
        self._metrics.evaluated(each.evaluation for each in answers if each is not None)
        return answers

    async def decide(self, flags: FlagSet, wanted: Sequence[Wanted]) -> list[Answer]:
        """The answers to all that a page wants, its decisions taken in one batch. Never raises."""
        terms = self._terms_of(flags)
        found = [
            self._layered(flags, each.key, each.ask, flags.attributes_of(each.ask.subject), terms.get(each.key))
            for each in wanted
        ]
        decided = iter(await self._bandit.answers([each for each in found if isinstance(each, OpenFlag)]))
        answers = [
            self._finished(flags, next(decided) if isinstance(each, OpenFlag) else each, want.ask)
            for each, want in zip(found, wanted, strict=True)
        ]
        self._metrics.evaluated(each.evaluation for each in answers)
        return answers

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
        if held:
            return opened
        answers = (layer.answer(opened) for layer in self._layers)
        return next((answer for answer in answers if answer is not None), opened)

    def _finished(self, flags: FlagSet, answer: Answer, ask: Ask) -> Answer:
        """The answer as the client can render it, with the exposure of what it really gets."""
        flag = flags.flags.get(answer.evaluation.key)
        if flag is not None and ask.supports is not None:
            evaluation, why = rendered(answer.evaluation, flag.definition, ask.supports)
            answer = replace(answer, evaluation=evaluation, why=why or answer.why)
        subject = ask.subject.targeting_key
        if subject is None or ask.overrides or answer.evaluation.variant is None:
            return answer
        exposure_id = self._exposures.give(
            answer.evaluation, subject=subject, session=ask.session, decision=answer.decision, trace_id=ask.trace_id
        )
        return replace(answer, exposure_id=exposure_id)

    def _terms_of(self, flags: FlagSet) -> dict[str, Terms]:
        known = self._terms
        if known is None or known[0] is not flags:
            found = ((key, terms_of(flag.definition)) for key, flag in flags.flags.items())
            known = self._terms = (flags, {key: terms for key, terms in found if terms is not None})
        return known[1]


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
