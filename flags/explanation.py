"""Why a flag is what it is for a subject: the conditions on the way to the answer, each with what it gave."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from json_logic.builtins import to_bool  # type: ignore[import-untyped]
from openfeature.flag_evaluation import Reason

from flags import fractions
from flags.errors import UnknownFlag
from flags.evaluation import CompiledFlag, Evaluation, FlagSet
from flags.logic import operation
from flags.subject import Subject
from flags.targeting import compile_targeting


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at: the expression as JSON, what it gave, and how deep it stands."""

    expression: str
    gave: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer with the steps that led to it, in their order.

    The steps show the subject's attributes: they are for operators, not for logs.
    """

    evaluation: Evaluation
    steps: tuple[Step, ...]


def explain(flags: FlagSet, key: str, subject: Subject) -> Explanation:
    """How the flag's answer for this subject comes about.

    Raises:
        UnknownFlag: no definition names the flag.
    """
    flag = flags.flags.get(key)
    if flag is None:
        raise UnknownFlag(f"no definition names the flag {key!r}")
    definition = flag.definition
    evaluation = flags.evaluate(key, subject)
    if not definition.enabled:
        return Explanation(evaluation, (Step('"state"', '"DISABLED"'),))
    attributes = flags.attributes_of(subject)
    required = tuple(_required(flag, attributes))
    if evaluation.reason is Reason.DISABLED:
        return Explanation(evaluation, required)
    targeting = definition.targeting
    if targeting is None:
        return Explanation(evaluation, (*required, Step('"targeting"', "none: the default variant")))
    return Explanation(evaluation, (*required, *_Walk(key, attributes).answer(targeting, 0)))


def _required(flag: CompiledFlag, attributes: Mapping[str, Any]) -> Iterator[Step]:
    """What the required flags gave, as far as they were asked."""
    for required, variants in flag.needs:
        given = required.ask_alone(attributes).variant
        met = "met" if given in variants else "not met: the flag is off"
        yield Step(f"requires {required.definition.key} = {' | '.join(sorted(variants))}", f"{_json(given)}, {met}")
        if given not in variants:
            return


class _Walk:
    """Goes the way that the evaluation of one rule takes."""

    def __init__(self, key: str, attributes: Mapping[str, Any]) -> None:
        self._key = key
        self._attributes = attributes

    def answer(self, logic: Any, depth: int) -> Iterator[Step]:
        """The steps of an expression that decides the answer."""
        name, operands = operation(logic) or ("", [])
        if name == "if":
            yield from self._branch(operands, depth)
        elif name == "fractional":
            yield from self._split(logic, operands, depth)
        else:
            yield self._step(logic, depth)

    def condition(self, logic: Any, depth: int) -> Iterator[Step]:
        """The steps of a condition: its parts as far as they were looked at."""
        yield self._step(logic, depth)
        name, operands = operation(logic) or ("", [])
        if name not in ("and", "or"):
            return
        for operand in operands:
            yield from self.condition(operand, depth + 1)
            if bool(to_bool(self._value(operand))) is (name == "or"):
                return

    def _branch(self, operands: list[Any], depth: int) -> Iterator[Step]:
        rest = list(operands)
        while len(rest) >= 2:
            test, then, *rest = rest
            yield from self.condition(test, depth)
            if to_bool(self._value(test)):
                yield from self.answer(then, depth)
                return
        if rest:
            yield from self.answer(rest[0], depth)
        else:
            yield Step("else", "null", depth)

    def _split(self, logic: Any, operands: list[Any], depth: int) -> Iterator[Step]:
        bucketing, entries = operands[0], self._value(operands[1:])
        value, split = self._value(bucketing), fractions.split_of(entries)
        encoded = None if value is None else fractions.encode(value)
        yield Step(_json(bucketing), _json(value), depth + 1)
        if split is not None and encoded is not None:
            total = split.uppers[-1]
            yield Step("bucket", f"{fractions.bucket_of(encoded, total)} of {total}", depth + 1)
        yield self._step(logic, depth)

    def _step(self, logic: Any, depth: int) -> Step:
        return Step(_json(logic), _json(self._value(logic)), depth)

    def _value(self, logic: Any) -> Any:
        try:
            return compile_targeting(self._key, logic)(self._attributes)
        except Exception as error:  # the step shows what the evaluation met
            return f"failed: {type(error).__name__}"


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()
