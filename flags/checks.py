"""What a flag must keep to before it is served: the flagd schema, then the checks of this project."""

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from flags.errors import InvalidDefinition
from flags.fractions import HASH_VERSION, split_of
from flags.logic import is_literal, operation
from flags.personalized_checks import check_personalized
from flags.prerequisites import parse_requirements
from flags.targeting import compile_targeting, operators
from flags.versions import is_version
from flags.vocabulary import Vocabulary

MAX_DEPTH = 32
MAX_NODES = 5_000
_KEY = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?")
_VARIANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_COMPONENT_VARIANT = re.compile(r"off|v[1-9][0-9]{0,5}")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_OVER_LISTS = frozenset({"map", "filter", "reduce", "all", "some", "none"})
_SAFE_INTEGER = 2**53 - 1
_COMPARISONS = frozenset({"==", "===", "!=", "!=="})
_SHOWN = 80


def _schema(part: str) -> dict[str, Any]:
    schema = orjson.loads(Path(__file__).with_name("flagd.schema.json").read_bytes())
    return {**schema, "$ref": f"#/definitions/{part}"}


@lru_cache(maxsize=2)
def _fast_validator(part: str) -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(_schema(part))


def is_surely_valid(part: str, content: object) -> bool:
    """Whether the fast validator finds nothing wrong; of the rest the other judges, whose messages name the place.

    The content must have passed `check_shape`: the fast validator's stack is not Python's.
    """
    try:
        return _fast_validator(part).is_valid(content)
    except ValueError:  # what it cannot take in: too deep, or a number that it has no type for
        return False


def check_file(content: object) -> None:
    """Raises `InvalidDefinition` unless this is the frame of a flagd file (its flags are not looked into)."""
    if not is_surely_valid("file", content):
        check_schema("file", content)


def check_flag(
    key: str, content: Mapping[str, Any], vocabulary: Vocabulary, set_metadata: Mapping[str, Any] | None = None
) -> None:
    """Raises `InvalidDefinition` for the first thing that is wrong with a flag.

    Its `$ref`s are resolved and its shape is checked already. `set_metadata` is what its file says of all its flags.
    """
    if not _KEY.fullmatch(key):
        raise InvalidDefinition(
            f"the key {shown(key)} is not made of lower-case letters, digits, '.', '_' and '-' (at most 100)"
        )
    targeting = content.get("targeting")
    if not is_surely_valid("flag", content):
        _check_operators(targeting)
        check_schema("flag", content)
    metadata = {**(set_metadata or {}), **content.get("metadata", {})}
    _check_variants(content["variants"], content.get("defaultVariant"))
    _check_component(content["variants"], metadata)
    check_personalized(content["variants"], content.get("defaultVariant"), metadata)
    parse_requirements(metadata.get("requires", ""))
    if targeting:
        _check_answers(targeting, content["variants"])
        _check_operations(key, targeting, metadata, vocabulary)
        compile_targeting(key, targeting)


def check_shape(value: object) -> None:
    """Raises `InvalidDefinition` for what is nested too deep, has too many parts, or is no JSON number."""
    left = MAX_NODES
    waiting: list[tuple[object, int]] = [(value, 1)]
    while waiting:
        node, depth = waiting.pop()
        left -= 1
        if depth > MAX_DEPTH or left < 0:
            raise InvalidDefinition(f"nested over {MAX_DEPTH} levels, or made of over {MAX_NODES} parts")
        if isinstance(node, float) and not math.isfinite(node):
            raise InvalidDefinition("a number is not finite")
        if isinstance(node, dict):
            waiting += [(child, depth + 1) for child in node.values()]
        elif isinstance(node, list):
            waiting += [(child, depth + 1) for child in node]


def shown(value: object) -> str:
    """A value as messages show it: quoted, and cut when long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _check_operators(targeting: object) -> None:
    """Names an unknown operator where the schema would only speak of one thing too many."""
    known = operators()
    for name, _operands in _operations(targeting):
        if name not in known:
            raise InvalidDefinition(f"the operator {shown(name)} is not known")


def check_schema(part: str, content: object) -> None:
    """Raises `InvalidDefinition` with the place and the fault if this is no `flag` or `file` of the flagd schema."""
    # Only who has something to refuse waits for this import: the reader starts anew for each change.
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import ValidationError, best_match

    try:
        error = best_match(Draft7Validator(_schema(part)).iter_errors(content))
    except RecursionError as too_deep:
        raise InvalidDefinition("nested too deep to be checked") from too_deep
    if isinstance(error, ValidationError):
        where = "/".join(str(step) for step in error.absolute_path) or "the top"
        raise InvalidDefinition(f"at {where}: {error.message[:300]}")


def _check_variants(variants: Mapping[str, Any], default: str | None) -> None:
    for name, value in variants.items():
        if not _VARIANT.fullmatch(name):
            raise InvalidDefinition(f"the variant {shown(name)} is not made of letters, digits, '.', '_' and '-'")
        if isinstance(value, int) and abs(value) > _SAFE_INTEGER:
            raise InvalidDefinition(f"the variant {shown(name)} is beyond what every client can hold (2^53 - 1)")
    if default is not None and default not in variants:
        raise InvalidDefinition(f"the default variant {shown(default)} is none of {shown(sorted(variants))}")


def _check_component(variants: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    component = metadata.get("component")
    if component is None:
        return
    names = [component, *filter(None, (page.strip() for page in str(metadata.get("page", "")).split(",")))]
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidDefinition(f"{shown(name)} names no component or page: lower-case letters, digits and '-'")
    for value in variants.values():
        version = value.get("version") if isinstance(value, Mapping) else value
        if not isinstance(value, bool) and not (isinstance(version, str) and _COMPONENT_VARIANT.fullmatch(version)):
            raise InvalidDefinition(
                "a component is true, false, 'off', a version as 'v2', or an object with such a `version`; "
                f"received {shown(value)}"
            )


def _check_answers(targeting: Mapping[str, Any], variants: Mapping[str, Any]) -> None:
    for answer in _answers(targeting):
        name = str(answer).lower() if isinstance(answer, bool) else answer
        if name is not None and not (isinstance(name, str) and name in variants):
            raise InvalidDefinition(f"the rule gives {shown(answer)}, which is no variant")


def _check_operations(
    key: str, targeting: Mapping[str, Any], metadata: Mapping[str, Any], vocabulary: Vocabulary
) -> None:
    for name, operands in _operations(targeting, top_only=True):
        _check_attributes(name, operands, vocabulary)
        if name == "sem_ver":
            _check_versions(operands)
        elif name == "fractional":
            _check_fractional(key, operands, metadata)
        else:
            _check_values(name, operands, vocabulary)


def _operations(logic: object, *, top_only: bool = False) -> Iterator[tuple[str, list[Any]]]:
    """Every operator in a rule with its operands; `top_only` leaves out what goes over the items of a list."""
    waiting = [logic]
    while waiting:
        logic = waiting.pop()
        found = operation(logic)
        if found is not None:
            yield found
            name, children = found
            waiting += reversed(children[:1] if top_only and name in _OVER_LISTS else children)
        elif isinstance(logic, list):
            waiting += reversed(logic)


def _answers(logic: object) -> Iterator[object]:
    """The literals that a rule can end in."""
    found = operation(logic)
    if found is None:
        yield logic
        return
    name, operands = found
    if name == "if":
        branches = operands[1::2] + (operands[-1:] if len(operands) % 2 else [])
    elif name == "fractional":
        entries = operands if isinstance(operands[0], list) else operands[1:]
        branches = [entry[0] for entry in entries if entry]
    else:
        branches = []
    for branch in branches:
        yield from _answers(branch)


def _check_attributes(name: str, operands: list[Any], vocabulary: Vocabulary) -> None:
    names = operands[:1] if name == "var" else operands if name == "missing" else []
    for attribute in names:
        known = attribute in vocabulary.attributes or attribute in ("$flagd.flagKey", "$flagd.timestamp")
        if not known:
            raise InvalidDefinition(f"{shown(attribute)} is no attribute of a subject: {sorted(vocabulary.attributes)}")


def _check_values(name: str, operands: list[Any], vocabulary: Vocabulary) -> None:
    """Refuse a comparison with a value that the attribute cannot have."""
    if len(operands) != 2 or name not in (*_COMPARISONS, "in"):
        return
    for variable, literal in (operands, reversed(operands)):
        found = operation(variable)
        known = vocabulary.values.get(str(found[1][0])) if found and found[0] == "var" and found[1] else None
        if known is None or not is_literal(literal):
            continue
        for value in literal if isinstance(literal, list) else [literal]:
            usable = value is None or (isinstance(value, str) and value in known)
            if not usable and not (name == "in" and isinstance(literal, str)):
                raise InvalidDefinition(f"{shown(value)} is no {found[1][0] if found else ''}: {sorted(known)}")


def _check_versions(operands: list[Any]) -> None:
    for side in (operands[0], operands[2]):
        if is_literal(side) and not is_version(side):
            raise InvalidDefinition(f"{shown(side)} is no semantic version")


def _check_fractional(key: str, operands: list[Any], metadata: Mapping[str, Any]) -> None:
    """A split must be the same tomorrow: its hash version and seed are pinned, and it asks for a targeting key."""
    seed = metadata.get("seed")
    if metadata.get("hashVersion") != HASH_VERSION or not isinstance(seed, str) or not seed:
        raise InvalidDefinition(f"a split needs the metadata hashVersion {HASH_VERSION} and a seed")
    bucketing, entries = operands[0], operands[1:]
    if isinstance(bucketing, list) or seed not in _texts(bucketing):
        raise InvalidDefinition(f"the bucketing value of a split must contain its seed {shown(seed)} as a literal")
    if _without_subject(key, bucketing) is not None:
        raise InvalidDefinition(
            "the bucketing value of a split must be null without a targeting key, or everyone without one shares a "
            'bucket: {"and": [{"var": "targetingKey"}, {"cat": [seed, {"var": "targetingKey"}]}]}'
        )
    weights = [entry[1] if len(entry) > 1 else 1 for entry in entries]
    if is_literal(weights) and (split_of([["", weight] for weight in weights]) is None or min(weights) < 0):
        raise InvalidDefinition(f"the weights {shown(weights)} are not whole, from 0 up, with a sum above 0")


def _without_subject(key: str, bucketing: Any) -> Any:
    try:
        return compile_targeting(key, bucketing)({})
    except (ArithmeticError, LookupError, TypeError, ValueError) as broken:
        raise InvalidDefinition("the bucketing value of a split cannot be computed without a subject") from broken


def _texts(logic: object) -> Iterator[str]:
    found = operation(logic)
    if isinstance(logic, str):
        yield logic
    elif found and found[0] != "var":
        for operand in found[1]:
            yield from _texts(operand)
