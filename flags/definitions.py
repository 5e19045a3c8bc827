"""A folder of flagd files, read whole: what may be served, what is refused and why, and the version of it all."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from flags.checks import check_file, check_flag, check_shape, shown
from flags.definition import FlagDefinition, FlagType
from flags.errors import DefinitionsUnreadable, InvalidDefinition
from flags.files import Pace, Repeated, definition_files, read_file, refuse_repeated
from flags.prerequisites import broken_requirements
from flags.vocabulary import Vocabulary

_FORMAT = b"1"
_REFERENCE = b'"$ref"'


@dataclass(frozen=True, slots=True)
class Refusal:
    """A flag, or a whole file when `flag` is None, that is not served as it stands, and why."""

    file: str
    flag: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.flag}: {self.reason}" if self.flag else f"{self.file}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Definitions:
    """One state of the folder. It never changes.

    `flags` are in the order of file names, then of the file. `kept` are the keys of flags that are refused now and
    served as they last were good. `version` (64 hex digits) is the same wherever the same flags are served in the same
    order.
    """

    flags: tuple[FlagDefinition, ...] = ()
    refused: tuple[Refusal, ...] = ()
    kept: frozenset[str] = frozenset()
    version: str = field(default=hashlib.sha256(_FORMAT).hexdigest())


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A flag as a file has it, before it is checked; `content` is None when its key stands twice in the file."""

    file: str
    key: str
    content: object
    evaluators: Mapping[str, Any]
    set_metadata: Mapping[str, Any]


def read_definitions(
    directory: Path, vocabulary: Vocabulary, previous: Definitions | None = None, pace: Pace | None = None
) -> Definitions:
    """The definitions in a folder. What is bad is refused one by one; where `previous` had it good, that stays.

    Raises:
        DefinitionsUnreadable: the folder itself cannot be read.
    """
    reading = _Reading(vocabulary, previous or Definitions(), pace or Pace())
    try:
        paths = definition_files(directory)
    except OSError as error:
        raise DefinitionsUnreadable(f"the folder of definitions cannot be read: {error.strerror}") from error
    for path in paths:
        reading.take(path)
    return reading.done()


class _Reading:
    """One pass over the folder."""

    def __init__(self, vocabulary: Vocabulary, previous: Definitions, pace: Pace) -> None:
        self._vocabulary = vocabulary
        self._previous = {flag.key: flag for flag in previous.flags}
        self._pace = pace
        self._flags: dict[str, FlagDefinition] = {}
        self._components: dict[str, str] = {}
        self._refused: list[Refusal] = []
        self._kept: set[str] = set()

    def take(self, path: Path) -> None:
        """Read one file."""
        try:
            candidates = list(_candidates(path.name, read_file(path, self._pace)))
        except (DefinitionsUnreadable, InvalidDefinition) as error:
            self._refused.append(Refusal(path.name, None, str(error)))
            self._keep(flag for flag in self._previous.values() if flag.file == path.name)
            return
        for candidate in candidates:
            self._pace.step()
            self._take_flag(candidate)

    def done(self) -> Definitions:
        """What was read, with the last good form of what was refused."""
        refused = {refusal.flag for refusal in self._refused}
        self._keep(flag for flag in self._previous.values() if flag.key in refused)
        while broken := broken_requirements(self._flags, {refusal.flag for refusal in self._refused if refusal.flag}):
            for key, reason in broken.items():
                self._refuse_served(key, reason)
        digest = hashlib.sha256(_FORMAT)
        for flag in self._flags.values():
            digest.update(flag.digest.encode())
        return Definitions(tuple(self._flags.values()), tuple(self._refused), frozenset(self._kept), digest.hexdigest())

    def _take_flag(self, candidate: _Candidate) -> None:
        try:
            self._serve(self._checked(candidate))
        except InvalidDefinition as error:
            self._refused.append(Refusal(candidate.file, candidate.key, str(error)))
            last = self._previous.get(candidate.key)
            # In its place: a component must not move on the page because a team mistyped its flag.
            self._keep([last] if last is not None and last.file == candidate.file else [])

    def _keep(self, flags: Iterable[FlagDefinition]) -> None:
        for flag in flags:
            if flag.key not in self._flags and (flag.component is None or flag.component not in self._components):
                self._serve(flag)
                self._kept.add(flag.key)

    def _refuse_served(self, key: str, reason: str) -> None:
        """Take out a flag that was good but for what it requires; its last good form takes its place, if it has one."""
        flag, last = self._flags[key], self._previous.get(key)
        self._refused.append(Refusal(flag.file, key, reason))
        if flag.component is not None:
            del self._components[flag.component]
        usable = last is not None and last is not flag and key not in self._kept
        if last is not None and usable and (last.component is None or last.component not in self._components):
            self._serve(last)
            self._kept.add(key)
        else:
            del self._flags[key]
            self._kept.discard(key)

    def _serve(self, flag: FlagDefinition) -> None:
        self._flags[flag.key] = flag
        if flag.component is not None:
            self._components[flag.component] = flag.key

    def _checked(self, candidate: _Candidate) -> FlagDefinition:
        taken = self._flags.get(candidate.key)
        if taken is not None:
            raise InvalidDefinition(f"the key is taken by {taken.file}")
        content = _resolved(candidate)
        digest = _digest_of(candidate, content)
        last = self._previous.get(candidate.key)
        if last is None or last.digest != digest:
            check_flag(candidate.key, content, self._vocabulary, candidate.set_metadata)
            last = _definition(candidate, content, digest)
        if last.component is not None and last.component in self._components:
            raise InvalidDefinition(f"the component {last.component} has the flag {self._components[last.component]}")
        return last


def _candidates(file: str, content: Mapping[str, Any]) -> Iterator[_Candidate]:
    if isinstance(content, Repeated):
        raise InvalidDefinition(f"a key stands twice: {sorted(content.keys_repeated)}")
    check_file(content)
    flags = content["flags"]
    repeated = flags.keys_repeated if isinstance(flags, Repeated) else frozenset()
    refuse_repeated(content.get("metadata"))
    for key, flag in flags.items():
        yield _Candidate(
            file, key, None if key in repeated else flag, content.get("$evaluators", {}), content.get("metadata", {})
        )


def _resolved(candidate: _Candidate) -> Mapping[str, Any]:
    """The flag with its `$ref`s replaced by the file's `$evaluators`."""
    content = candidate.content
    if content is None:
        raise InvalidDefinition("the key stands twice in the file")
    if not isinstance(content, dict):
        raise InvalidDefinition(f"a flag is an object; received {shown(content)}")
    check_shape(content)
    refuse_repeated(content)
    if _REFERENCE not in _dumped(content.get("targeting")):
        return content
    resolved = {**content, "targeting": _References(candidate.evaluators).resolve(content["targeting"])}
    check_shape(resolved)
    return resolved


class _References:
    """Puts the file's `$evaluators` where `$ref` names them; each is resolved once, so that they cannot multiply."""

    def __init__(self, evaluators: Mapping[str, Any]) -> None:
        self._evaluators = evaluators
        self._resolved: dict[str, Any] = {}
        self._open: set[str] = set()

    def resolve(self, logic: Any) -> Any:
        """The rule with nothing left to look up; raises `InvalidDefinition`."""
        if isinstance(logic, list):
            return [self.resolve(item) for item in logic]
        if not isinstance(logic, dict):
            return logic
        if set(logic) == {"$ref"}:
            return self._named(logic["$ref"])
        return {name: self.resolve(value) for name, value in logic.items()}

    def _named(self, name: Any) -> Any:
        if not isinstance(name, str) or name not in self._evaluators:
            raise InvalidDefinition(f"$ref {shown(name)} is none of {shown(sorted(self._evaluators))}")
        if name in self._open:
            raise InvalidDefinition(f"$ref {shown(name)} refers to itself")
        if name not in self._resolved:
            rule = self._evaluators[name]
            check_shape(rule)
            refuse_repeated(rule)
            self._open.add(name)
            self._resolved[name] = self.resolve(rule)
            self._open.discard(name)
        return self._resolved[name]


def _digest_of(candidate: _Candidate, content: Mapping[str, Any]) -> str:
    parts = [candidate.file, candidate.key, candidate.set_metadata, content]
    return hashlib.sha256(_dumped(parts)).hexdigest()


def _dumped(content: object) -> bytes:
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise InvalidDefinition("a number or a text in it has no JSON form that every client can read") from error


def _definition(candidate: _Candidate, content: Mapping[str, Any], digest: str) -> FlagDefinition:
    targeting = content.get("targeting")
    return FlagDefinition(
        key=candidate.key,
        file=candidate.file,
        type=_type_of(content["variants"]),
        enabled=content["state"] == "ENABLED",
        variants=MappingProxyType(dict(content["variants"])),
        default_variant=content.get("defaultVariant") or None,
        rule=orjson.dumps(targeting).decode() if targeting else None,
        metadata=MappingProxyType({**candidate.set_metadata, **content.get("metadata", {})}),
        digest=digest,
    )


def _type_of(variants: Mapping[str, Any]) -> FlagType:
    match next(iter(variants.values())):
        case bool():
            return FlagType.BOOLEAN
        case str():
            return FlagType.STRING
        case int() | float():
            return FlagType.NUMBER
        case _:
            return FlagType.OBJECT
