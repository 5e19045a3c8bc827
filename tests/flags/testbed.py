"""The evaluator cases of open-feature/flagd-testbed: its features as scenarios, and its flags as this project has them.

The flags are compiled without the checks of this project, which refuse some of them for what they are (a split without
a pinned seed, an attribute that no subject has). What cannot be compiled is refused here as there.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from gherkin.parser import Parser
from gherkin.pickles.compiler import Compiler, GherkinDocumentWithURI
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails

from flags.definition import FlagDefinition, FlagType
from flags.definitions import Definitions
from flags.errors import InvalidDefinition
from flags.evaluation import FlagSet
from flags.provider import DECIDED_BY, DEFINITIONS, FlagsProvider
from flags.targeting import compile_targeting

TYPES: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "Boolean": lambda text: text.lower() == "true",
        "String": str,
        "Integer": int,
        "Float": float,
        "Object": lambda text: json.loads(text.replace('\\"', '"')),
    }
)


@dataclass(frozen=True)
class Scenario:
    """One case: what is given, done and expected, as lines with the table below a line, if it has one."""

    name: str
    tags: frozenset[str]
    steps: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]


def scenarios_in(testbed: Path) -> Iterator[Scenario]:
    """Every scenario of the evaluator's features, one for each row of examples."""
    for path in sorted((testbed / "evaluator" / "gherkin").glob("*.feature")):
        document = GherkinDocumentWithURI(**Parser().parse(path.read_text(encoding="utf-8")), uri=path.name)
        for number, pickle in enumerate(Compiler().compile(document)):
            tags = frozenset(tag["name"] for tag in pickle["tags"])
            steps = tuple((step["text"], _table(step)) for step in pickle["steps"])
            yield Scenario(f"{path.stem}-{number}-{pickle['name']}", tags, steps)


def _table(step: Any) -> tuple[tuple[str, ...], ...]:
    rows = step.get("argument", {}).get("dataTable", {}).get("rows", [])
    return tuple(tuple(cell["value"] for cell in row["cells"]) for row in rows)


def flags_in(testbed: Path) -> tuple[FlagSet, frozenset[str]]:
    """The flags of the evaluator's cases, and the keys of those that cannot be compiled."""
    definitions, refused = [], set()
    for path in sorted((testbed / "evaluator" / "flags").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        for key, flag in content["flags"].items():
            try:
                definitions.append(_definition(key, flag, content.get("$evaluators", {})))
            except InvalidDefinition:
                refused.add(key)
    return FlagSet(Definitions(tuple(definitions))), frozenset(refused)


def _definition(key: str, flag: Mapping[str, Any], evaluators: Mapping[str, Any]) -> FlagDefinition:
    targeting = _resolved(flag.get("targeting"), evaluators)
    compile_targeting(key, targeting)
    value = next(iter(flag["variants"].values()))
    kinds = {bool: FlagType.BOOLEAN, str: FlagType.STRING, dict: FlagType.OBJECT}
    return FlagDefinition(
        key,
        "testbed.json",
        kinds.get(type(value), FlagType.NUMBER),
        flag["state"] == "ENABLED",
        flag["variants"],
        flag.get("defaultVariant"),
        "digest",
        json.dumps(targeting) if targeting else None,
        flag.get("metadata", {}),
    )


def _resolved(logic: Any, evaluators: Mapping[str, Any]) -> Any:
    if isinstance(logic, list):
        return [_resolved(item, evaluators) for item in logic]
    if not isinstance(logic, dict):
        return logic
    if set(logic) == {"$ref"}:
        if logic["$ref"] not in evaluators:
            raise InvalidDefinition(f"$ref {logic['$ref']!r} names nothing")
        return _resolved(evaluators[logic["$ref"]], evaluators)
    return {name: _resolved(value, evaluators) for name, value in logic.items()}


@dataclass
class Case:
    """One scenario on its way."""

    provider: FlagsProvider
    refused: frozenset[str]
    key: str = ""
    kind: str = "String"
    fallback: Any = None
    targeting_key: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    found: FlagResolutionDetails[Any] | None = None

    def run(self, scenario: Scenario) -> None:
        """Each step in turn; an expectation that is not met, or a step that is not known, raises `AssertionError`."""
        for text, table in scenario.steps:
            for pattern, step in STEPS:
                match = re.fullmatch(pattern, text)
                if match is not None:
                    step(self, *match.groups(), *([table] if table else []))
                    break
            else:
                raise AssertionError(f"no such step is known: {text!r}")

    @property
    def details(self) -> FlagResolutionDetails[Any]:
        assert self.found is not None
        return self.found

    def flag(self, kind: str, key: str, fallback: str) -> None:
        self.kind, self.key, self.fallback = kind, key, TYPES[kind](fallback)

    def has_key(self, value: str) -> None:
        self.targeting_key = value

    def has(self, name: str, kind: str, value: str) -> None:
        self.attributes[name] = TYPES[kind](value)

    def has_nested(self, outer: str, inner: str, value: str) -> None:
        self.attributes.setdefault(outer, {})[inner] = value

    def evaluate(self) -> None:
        ask = {
            "Boolean": self.provider.resolve_boolean_details,
            "String": self.provider.resolve_string_details,
            "Integer": self.provider.resolve_integer_details,
            "Float": self.provider.resolve_float_details,
            "Object": self.provider.resolve_object_details,
        }[self.kind]
        context = EvaluationContext(self.targeting_key, self.attributes)
        self.found = ask(self.key, self.fallback, context)  # type: ignore[operator]

    def gives(self, value: str) -> None:
        expected = TYPES[self.kind](value)
        assert (self.details.value, type(self.details.value)) == (expected, type(expected))

    def gives_variant(self, variant: str) -> None:
        assert self.details.variant == variant

    def reasons(self, reason: str) -> None:
        assert str(self.details.reason) == reason

    def fails(self, code: str) -> None:
        # A flag that cannot be compiled is not in the set: it is refused when it is read, where flagd tells when asked.
        refused = code == "PARSE_ERROR" and self.key in self.refused
        expected = ErrorCode.FLAG_NOT_FOUND if refused else ErrorCode(code) if code else None
        assert self.details.error_code == expected

    def tells(self, table: tuple[tuple[str, ...], ...]) -> None:
        assert self._metadata() == {name: TYPES[kind](value) for name, kind, value in table[1:]}

    def tells_nothing(self) -> None:
        assert self._metadata() == {}

    def _metadata(self) -> dict[str, Any]:
        ours = (DECIDED_BY, DEFINITIONS)
        return {name: value for name, value in self.details.flag_metadata.items() if name not in ours}


STEPS: Final[tuple[tuple[str, Callable[..., None]], ...]] = (
    ("an evaluator", lambda _case: None),
    (r'a (\w+)-flag with key "(.*)" and a fallback value "(.*)"', Case.flag),
    (r'a context containing a targeting key with value "(.*)"', Case.has_key),
    (r'a context containing a key "(.*)", with type "(\w+)" and with value "(.*)"', Case.has),
    (
        r'a context containing a nested property with outer key "(.*)" and inner key "(.*)", with value "(.*)"',
        Case.has_nested,
    ),
    ("the flag was evaluated with details", Case.evaluate),
    (r'the resolved details value should be "(.*)"', Case.gives),
    (r'the variant should be "(.*)"', Case.gives_variant),
    (r'the reason should be "(.*)"', Case.reasons),
    (r'the error-code should be "(.*)"', Case.fails),
    ("the resolved metadata should contain", Case.tells),
    ("the resolved metadata is empty", Case.tells_nothing),
)
