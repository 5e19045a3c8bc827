"""Which variants of a flag somebody can get: what its rule can end in, its default, and what is decided.

The answer errs on one side only: a variant that is given to anybody is always in it. It leaves out branches that no
persona, season or device can come to, such as a second test for a persona that an earlier branch has taken.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from json_logic.builtins import to_bool  # type: ignore[import-untyped]

from flags.definition import FlagDefinition
from flags.logic import is_literal, operation
from flags.terms import terms_of
from flags.vocabulary import Vocabulary
from personalization.events import Persona

Outcome = str | None
Known = Mapping[str, frozenset[str | None]]

_TRUTHS: Final = frozenset({"true", "false", None})
_TESTS: Final = frozenset(
    (
        *("==", "===", "!=", "!==", "<", "<=", ">", ">=", "!", "!!"),
        *("in", "sem_ver", "starts_with", "ends_with", "all", "some", "none"),
    )
)


@dataclass(frozen=True, slots=True)
class Reach:
    """The variants that somebody can get while the flag is enabled, by what gives them.

    A rule gives by its branches and splits; the default is given where a rule leaves the flag open; a decision is made
    there too if the flag is personalized.
    """

    by_rule: frozenset[str]
    by_default: frozenset[str]
    by_decision: frozenset[str]

    @property
    def given(self) -> frozenset[str]:
        """All of them."""
        return self.by_rule | self.by_default | self.by_decision

    def ways(self, variants: Iterable[str]) -> tuple[str, ...]:
        """What gives one of these variants: some of `rule`, `decision`, `default`."""
        wanted = frozenset(variants)
        each = (("rule", self.by_rule), ("decision", self.by_decision), ("default", self.by_default))
        return tuple(way for way, found in each if found & wanted)


def reach_of(flag: FlagDefinition) -> Reach:
    """Which variants the flag can give, and how; as if it were enabled, since a kill switch is meant to end."""
    variants = frozenset(flag.variants)
    outcomes = rule_outcomes(flag.targeting, variants)
    default = {flag.default_variant} if None in outcomes else set()
    return Reach(
        by_rule=frozenset(outcome for outcome in outcomes if outcome is not None),
        by_default=frozenset(variant for variant in default if variant is not None),
        by_decision=_decided(flag),
    )


def _decided(flag: FlagDefinition) -> frozenset[str]:
    """What decisions choose among, for all personas for whom the rule can leave the flag open."""
    terms = terms_of(flag)
    if terms is None:
        return frozenset()
    found: set[str] = set()
    for persona in Persona:
        # Who has no persona is a visitor to a decision.
        known = {"persona": frozenset({persona.value, None} if persona is Persona.VISITOR else {persona.value})}
        if None in rule_outcomes(flag.targeting, frozenset(flag.variants), known):
            found.update(terms.actions_for(flag, persona))
    return frozenset(found)


def rule_outcomes(targeting: object, variants: frozenset[str], known: Known | None = None) -> frozenset[Outcome]:
    """What a rule (None: there is none) can end in: variants, and None where it leaves the flag open.

    `known` are the values, by attribute, that the subject has one of; None among them stands for any that is no word of
    ours.
    """
    walk = _Walk(variants, Vocabulary().values)
    return frozenset(walk.outcomes(targeting, known or {})) & (variants | {None})


class _Walk:
    """Goes all ways through one rule, with what each of them says about the subject."""

    def __init__(self, variants: frozenset[str], words: Mapping[str, frozenset[str]]) -> None:
        self._everything: frozenset[Outcome] = variants | {None}
        # None stands for whatever is no word: nothing, or a value that a client made up.
        self._domains: Known = {name: values | {None} for name, values in words.items()}

    def outcomes(self, logic: Any, known: Known) -> Iterator[Outcome]:
        if is_literal(logic):
            yield _named(logic)
            return
        name, operands = operation(logic) or ("", [])
        if name == "if":
            yield from self._branches(operands, known)
        elif name == "fractional":
            yield from self._split(operands, known)
        elif name in ("and", "or"):
            yield from self._chain(operands, known, going_on=name == "and")
        else:
            yield from _TRUTHS if name in _TESTS else self._everything

    def _branches(self, operands: Sequence[Any], known: Known) -> Iterator[Outcome]:
        rest, left = list(operands), known
        while len(rest) >= 2:
            test, then, *rest = rest
            taken = self._assume(test, True, left)
            if taken is not None:
                yield from self.outcomes(then, taken)
            passed = self._assume(test, False, left)
            if passed is None:
                return
            left = passed
        yield from self.outcomes(rest[0] if rest else None, left)

    def _chain(self, operands: Sequence[Any], known: Known, *, going_on: bool) -> Iterator[Outcome]:
        """`and` goes on while operands hold, `or` while they do not; either ends in the operand it stops at."""
        for operand in operands:
            yield from self.outcomes(operand, known)
            following = self._assume(operand, going_on, known)
            if following is None:
                return
            known = following

    def _split(self, operands: Sequence[Any], known: Known) -> Iterator[Outcome]:
        yield None
        shorthand = bool(operands) and isinstance(operands[0], list)
        if not shorthand and not _is_text(operands[0]):
            # A bucketing value that is a list is taken for an entry, and may hold anything.
            yield from self._everything
        for entry in operands if shorthand else operands[1:]:
            if not isinstance(entry, list) or not entry:
                yield from self._everything
            elif not _weighs_nothing(entry):
                yield from self.outcomes(entry[0], known)

    def _assume(self, test: Any, truth: bool, known: Known) -> Known | None:
        """What is known when the test gives this; None when it cannot."""
        if is_literal(test):
            return known if bool(to_bool(test)) is truth else None
        name, operands = operation(test) or ("", [])
        if name in ("!", "!!") and len(operands) == 1:
            return self._assume(operands[0], truth is (name == "!!"), known)
        if name in ("and", "or"):
            return self._assume_all(operands, truth, known, ending=name == "or")
        found = self._words(name, operands)
        if found is None:
            return known
        attribute, words = found
        holds = truth is not name.startswith("!")
        domain = known.get(attribute, self._domains[attribute])
        left = domain & words if holds else domain - words
        return {**known, attribute: left} if left else None

    def _assume_all(self, operands: Sequence[Any], truth: bool, known: Known, *, ending: bool) -> Known | None:
        """`or` ends with the first operand that holds, `and` with the first that does not."""
        ends: list[Known] = []
        going: Known | None = known
        for operand in operands:
            if going is None:
                break
            stopped = self._assume(operand, ending, going)
            ends += [stopped] if stopped is not None else []
            going = self._assume(operand, not ending, going)
        return _either(ends) if truth is ending else going

    def _words(self, name: str, operands: Sequence[Any]) -> tuple[str, frozenset[str | None]] | None:
        """The attribute that a test is about and the words that it looks for; None for any other test."""
        if len(operands) != 2 or name not in ("==", "===", "!=", "!==", "in"):
            return None
        sides = [operands] if name == "in" else [operands, operands[::-1]]
        for variable, literal in sides:
            read, names = operation(variable) or ("", [])
            words = literal if name == "in" else [literal]
            if read != "var" or len(names) != 1 or names[0] not in self._domains or not isinstance(words, list):
                continue
            if all(isinstance(word, str) and word in self._domains[names[0]] for word in words):
                return names[0], frozenset(words)
        return None


def _either(ends: Sequence[Known]) -> Known | None:
    """What holds whichever of these does."""
    if not ends:
        return None
    shared = frozenset(ends[0]).intersection(*ends[1:])
    return {name: frozenset().union(*(known[name] for known in ends)) for name in shared}


def _named(literal: object) -> Outcome:
    """The variant that a literal stands for."""
    if literal is None or isinstance(literal, str):
        return literal
    return str(literal).lower() if isinstance(literal, bool) else str(literal)


def _is_text(bucketing: object) -> bool:
    """Whether a bucketing value is text or nothing for everyone."""
    name, operands = operation(bucketing) or ("", [])
    if name == "and" and operands:
        return _is_text(operands[-1])
    return name == "cat" or isinstance(bucketing, str)


def _weighs_nothing(entry: Sequence[Any]) -> bool:
    weight = entry[1] if len(entry) > 1 else 1
    return isinstance(weight, int) and weight <= 0
