"""Targeting rules (JSONLogic with flagd's operators) compiled to closures.

The answers are those of flagd's own evaluator, proved by a property test; the eager operators are its library's. What
flagd logs about odd values is not logged here: those values are the viewer's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, methodcaller, ne
from types import MappingProxyType
from typing import Any, Final

from json_logic.builtins import (  # type: ignore[import-untyped]
    BUILTINS,
    op_equals,
    op_in,
    op_missing,
    op_missing_some,
    op_var,
    to_bool,
    to_string,
)

from flags import fractions
from flags.errors import InvalidDefinition
from flags.logic import is_literal
from flags.versions import compare_versions, compared_with

Rule = Callable[[Any], Any]
TIMESTAMP = "$flagd.timestamp"
_FLAG_KEY = "$flagd.flagKey"
_PLAIN = frozenset({bool, str, int, type(None)})
"""Kinds of values that are as true here as they are in Python."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands: in which flag, and whether its data is the subject or an item of a list."""

    flag_key: str
    in_item: bool = False


def compile_targeting(flag_key: str, logic: object) -> Rule:
    """A function of the subject's attributes that gives what flagd's evaluator gives for this rule.

    The attributes are a dict with `targetingKey`, and `$flagd` holding `timestamp` (Unix seconds) if the rule reads it.

    Raises:
        InvalidDefinition: an unknown operator, or a variable that this project does not offer.
    """
    return _compile(logic, Scope(flag_key))


def operators() -> frozenset[str]:
    """Every operator that a rule may use."""
    return frozenset(_SPECIAL) | frozenset(_EAGER)


def _compile(logic: Any, scope: Scope) -> Rule:
    if is_literal(logic):
        return lambda _data: logic
    if isinstance(logic, list):
        parts = _compile_all(logic, scope)
        return lambda data: [part(data) for part in parts]
    ((name, operands),) = logic.items()
    operands = operands if isinstance(operands, list) else [operands]
    if name in _SPECIAL:
        return _SPECIAL[name](operands, scope)
    if name in _EAGER:
        return _eager(_EAGER[name], _compile_all(operands, scope))
    raise InvalidDefinition(f"the operator {name!r} is not known")


def _compile_all(operands: Sequence[Any], scope: Scope) -> tuple[Rule, ...]:
    return tuple(_compile(operand, scope) for operand in operands)


def _eager(function: Callable[..., Any], parts: tuple[Rule, ...]) -> Rule:
    if len(parts) == 1:
        (only,) = parts
        return lambda data: function(data, only(data))
    if len(parts) == 2:
        left, right = parts
        return lambda data: function(data, left(data), right(data))
    return lambda data: function(data, *[part(data) for part in parts])


def _var(operands: list[Any], scope: Scope) -> Rule:
    key = operands[0] if operands else None
    if not scope.in_item and (not isinstance(key, str) or key in ("", "$flagd")):
        raise InvalidDefinition(f"a variable must be named: {key!r} names none")
    if key == _FLAG_KEY and not scope.in_item:
        return lambda _data: scope.flag_key
    default = _compile(operands[1], scope) if len(operands) > 1 else None
    if isinstance(key, str) and "." not in key and not scope.in_item:
        return _attribute(key, default)
    parts = _compile_all(operands[:2], scope)
    return _eager(op_var, parts)


def _attribute(key: str, default: Rule | None) -> Rule:
    if default is None:
        return methodcaller("get", key)  # no call of Python code: most of what rules do is this

    def read(data: Mapping[str, Any]) -> Any:
        value = data.get(key)
        return default(data) if value is None else value

    return read


def _missing(operands: list[Any], scope: Scope) -> Rule:
    _refuse_computed_names(operands, scope)
    return _eager(op_missing, _compile_all(operands, scope))


def _missing_some(operands: list[Any], scope: Scope) -> Rule:
    _refuse_computed_names(operands[1:2], scope)
    return _eager(op_missing_some, _compile_all(operands, scope))


def _refuse_computed_names(names: Any, scope: Scope) -> None:
    if not scope.in_item and ("$flagd" in str(names) or not is_literal(names)):
        raise InvalidDefinition(f"what may be missing must be named: {names!r}")


def _if(operands: list[Any], scope: Scope) -> Rule:
    if not operands:
        return lambda _data: None
    tests, answers = _compile_all(operands[:-1:2], scope), [_answer(operand, scope) for operand in operands[1::2]]
    branches = tuple((test, *answer) for test, answer in zip(tests, answers, strict=True))
    last, rest = _answer(operands[-1], scope) if len(operands) % 2 else (None, None)

    def choose(data: Any) -> Any:
        for test, fixed, rule in branches:
            verdict = test(data)
            if verdict if verdict.__class__ in _PLAIN else to_bool(verdict):
                return fixed if rule is None else rule(data)
        return last if rest is None else rest(data)

    return choose


def _answer(logic: Any, scope: Scope) -> tuple[Any, Rule | None]:
    """What is the same for everyone, or a rule for it."""
    return (logic, None) if is_literal(logic) else (None, _compile(logic, scope))


def _and(operands: list[Any], scope: Scope) -> Rule:
    parts = _compile_all(operands, scope)

    def every(data: Any) -> Any:
        current = None
        for part in parts:
            current = part(data)
            if not (current if current.__class__ in _PLAIN else to_bool(current)):
                return current
        return current

    return every


def _or(operands: list[Any], scope: Scope) -> Rule:
    parts = _compile_all(operands, scope)

    def any_of(data: Any) -> Any:
        current = None
        for part in parts:
            current = part(data)
            if current if current.__class__ in _PLAIN else to_bool(current):
                return current
        return current

    return any_of


def _equals(operands: list[Any], scope: Scope) -> Rule:
    if len(operands) != 2 or type(operands[1]) is not str:
        return _eager(op_equals, _compile_all(operands, scope))
    left, expected = _compile(operands[0], scope), operands[1]

    def same(data: Any) -> bool:
        value = left(data)
        return value == expected if type(value) is str else bool(op_equals(None, value, expected))

    return same


def _strictly(name: str, compare: Callable[[Any, Any], bool]) -> Callable[[list[Any], Scope], Rule]:
    def build(operands: list[Any], scope: Scope) -> Rule:
        if len(operands) != 2:
            return _eager(BUILTINS[name], _compile_all(operands, scope))
        left, (fixed, right) = _compile(operands[0], scope), _answer(operands[1], scope)
        return lambda data: compare(left(data), fixed if right is None else right(data))

    return build


def _differs(operands: list[Any], scope: Scope) -> Rule:
    same = _equals(operands, scope)
    return lambda data: not same(data)


def _in(operands: list[Any], scope: Scope) -> Rule:
    parts = _compile_all(operands, scope)
    if len(parts) != 2 or not isinstance(operands[1], list) or not is_literal(operands[1]):
        return _eager(op_in, parts)
    needle, members = parts[0], operands[1]
    names = frozenset(member for member in members if type(member) is str)

    def among(data: Any) -> bool:
        value = needle(data)
        return value in names if type(value) is str else value in members

    return among


def _cat(operands: list[Any], scope: Scope) -> Rule:
    parts = [_answer(operand, scope) for operand in operands]

    def join(data: Any) -> str:
        texts = []
        for fixed, rule in parts:
            value = fixed if rule is None else rule(data)
            texts.append(value if type(value) is str else to_string(value))
        return "".join(texts)

    return join


def _sem_ver(operands: list[Any], scope: Scope) -> Rule:
    parts = _compile_all(operands, scope)
    if len(parts) != 3:
        return lambda _data: None
    left, comparison, right = parts
    if isinstance(operands[1], str) and is_literal(operands[2]):
        against = compared_with(operands[1], operands[2])
        return lambda data: against(left(data))
    return lambda data: compare_versions(left(data), comparison(data), right(data))


def _text_test(test: Callable[[str, str], bool]) -> Callable[[list[Any], Scope], Rule]:
    def build(operands: list[Any], scope: Scope) -> Rule:
        parts = _compile_all(operands, scope)

        def compare(data: Any) -> bool | None:
            values = [part(data) for part in parts]
            if len(values) != 2 or not isinstance(values[0], str) or not isinstance(values[1], str):
                return None
            return test(values[0], values[1])

        return compare

    return build


def _fractional(operands: list[Any], scope: Scope) -> Rule:
    if scope.in_item:
        raise InvalidDefinition("fractional cannot stand inside an operator over a list")
    if not operands:
        return lambda _data: None
    shorthand = _shorthand(operands, scope)
    if isinstance(operands[0], list):
        return shorthand
    bucketing, (fixed, split_for) = _compile(operands[0], scope), _entries(operands[1:], scope)

    def choose(data: Any) -> Any:
        value, split = bucketing(data), fixed if split_for is None else split_for(data)
        if value is None:
            return None
        if isinstance(value, list | tuple):
            return shorthand(data)
        encoded = fractions.encode(value)
        return None if split is None or encoded is None else split.pick(encoded)

    return choose


def _shorthand(entries: list[Any], scope: Scope) -> Rule:
    """A split without a bucketing value: flag key and targeting key are taken for it."""
    fixed, split_for = _entries(entries, scope)

    def choose(data: Any) -> Any:
        subject, split = data.get("targetingKey"), fixed if split_for is None else split_for(data)
        if not isinstance(subject, str) or not subject:
            return None
        encoded = fractions.encode_pair(scope.flag_key, subject)
        return None if split is None or encoded is None else split.pick(encoded)

    return choose


def _entries(
    entries: list[Any], scope: Scope
) -> tuple[fractions.Split | None, Callable[[Any], fractions.Split | None] | None]:
    """The split that is the same for everyone, or what gives it."""
    if is_literal(entries):
        return fractions.split_of(entries), None
    parts = _compile_all(entries, scope)
    return None, lambda data: fractions.split_of([part(data) for part in parts])


def _listed(operands: list[Any], scope: Scope) -> tuple[Rule, Rule]:
    """The list that an operator goes over, and what it does with each item."""
    if len(operands) < 2:
        raise InvalidDefinition("an operator over a list needs the list and a rule")
    return _compile(operands[0], scope), _compile(operands[1], Scope(scope.flag_key, in_item=True))


def _map(operands: list[Any], scope: Scope) -> Rule:
    source, rule = _listed(operands, scope)
    return lambda data: [rule(item) for item in _items(source(data))]


def _filter(operands: list[Any], scope: Scope) -> Rule:
    source, rule = _listed(operands, scope)
    return lambda data: [item for item in _items(source(data)) if to_bool(rule(item))]


def _some(operands: list[Any], scope: Scope) -> Rule:
    source, rule = _listed(operands, scope)
    return lambda data: any(to_bool(rule(item)) for item in _items(source(data)))


def _none(operands: list[Any], scope: Scope) -> Rule:
    some = _some(operands, scope)
    return lambda data: not some(data)


def _all(operands: list[Any], scope: Scope) -> Rule:
    source, rule = _listed(operands, scope)

    def every(data: Any) -> bool:
        items = _items(source(data))
        return bool(items) and all(to_bool(rule(item)) for item in items)

    return every


def _reduce(operands: list[Any], scope: Scope) -> Rule:
    source, rule = _listed(operands, scope)
    start = operands[2] if len(operands) > 2 else None

    def fold(data: Any) -> Any:
        context = {"accumulator": start}
        for item in _items(source(data)):
            context["current"] = item
            context["accumulator"] = rule(context)
        return context["accumulator"]

    return fold


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_SPECIAL: Final[Mapping[str, Callable[[list[Any], Scope], Rule]]] = MappingProxyType(
    {
        "var": _var,
        "missing": _missing,
        "missing_some": _missing_some,
        "if": _if,
        "and": _and,
        "or": _or,
        "==": _equals,
        "!=": _differs,
        "===": _strictly("===", eq),
        "!==": _strictly("!==", ne),
        "in": _in,
        "cat": _cat,
        "sem_ver": _sem_ver,
        "starts_with": _text_test(str.startswith),
        "ends_with": _text_test(str.endswith),
        "fractional": _fractional,
        "map": _map,
        "filter": _filter,
        "reduce": _reduce,
        "all": _all,
        "some": _some,
        "none": _none,
    }
)
_EAGER: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        name: BUILTINS[name]
        for name in (
            *("<", ">", "<=", ">=", "!", "!!"),
            *("+", "*", "-", "/", "%", "min", "max", "substr", "merge"),
        )
    }
)
