"""Component versions held against the schema, against the flags and against the calendar: one report of it all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from flags.definitions import Definitions
from flags.fragments import FragmentSchema, changed
from flags.manifest import Status
from flags.registry import ComponentRegistry, ComponentVersion
from flags.switch import Switch
from flags.terms import terms_of


class Level(StrEnum):
    """How bad a finding is: an `ERROR` breaks a page, a `WARNING` is to be looked at, a `NOTE` is good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Rule(StrEnum):
    """What a finding is about; `docs/components.md` says of each what to do."""

    INVALID_FOLDER = "INVALID_FOLDER"
    FLAG_REFUSED = "FLAG_REFUSED"
    NO_FLAG = "NO_FLAG"
    WRONG_FLAG = "WRONG_FLAG"
    NO_FOLDER = "NO_FOLDER"
    NO_VERSIONS = "NO_VERSIONS"
    INVALID_FRAGMENT = "INVALID_FRAGMENT"
    BROKEN = "BROKEN"
    CHANGED = "CHANGED"
    NOT_LIVE = "NOT_LIVE"
    DEAD = "DEAD"
    FALLBACK_ONLY = "FALLBACK_ONLY"
    EXPIRED = "EXPIRED"
    NEVER_DECIDED = "NEVER_DECIDED"
    SWITCHED_OFF = "SWITCHED_OFF"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `place` is a version (`hero.v2`), a component, a flag, or a file in the folder."""

    level: Level
    rule: Rule
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class VersionState:
    """One version as it stands. `given_by` are the ways in which viewers get it: `rule`, `decision`, `default`."""

    version: ComponentVersion
    given_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComponentReport:
    """All versions in the order of their names, and all findings, the worst first."""

    versions: tuple[VersionState, ...]
    findings: tuple[Finding, ...]

    def at(self, level: Level) -> tuple[Finding, ...]:
        """The findings of one level."""
        return tuple(finding for finding in self.findings if finding.level is level)


@dataclass(frozen=True, slots=True)
class Schemas:
    """The schema that pages are built against, and the one that is about to take its place."""

    committed: FragmentSchema
    working: FragmentSchema


def check_components(
    registry: ComponentRegistry, definitions: Definitions, schemas: Schemas, today: date
) -> ComponentReport:
    """What is wrong with the components, and how each version stands."""
    switches = {flag.component: Switch.of(flag) for flag in definitions.flags if flag.component is not None}
    names = dict.fromkeys([*(version.manifest.name for version in registry.versions), *switches])
    findings = [
        *(Finding(Level.ERROR, Rule.INVALID_FOLDER, each.place, each.reason) for each in registry.refused),
        *(_refused_flag(refusal.file, refusal.flag, refusal.reason) for refusal in definitions.refused),
    ]
    for name in names:
        findings += _of_component(name, registry.of(name), switches.get(name))
    findings = _without_echoes(findings, registry, definitions)
    for version in registry.versions:
        findings += _of_fragment(version, schemas)
        findings += _of_calendar(version, today)
    order = list(Level)
    findings.sort(key=lambda finding: (order.index(finding.level), finding.place))
    return ComponentReport(
        tuple(VersionState(each, _given_by(each, switches.get(each.manifest.name))) for each in registry.versions),
        tuple(findings),
    )


def _given_by(version: ComponentVersion, switch: Switch | None) -> tuple[str, ...]:
    return () if switch is None else switch.reach.ways(switch.variants_of(version.manifest.version))


def _refused_flag(file: str, flag: str | None, reason: str) -> Finding:
    return Finding(Level.ERROR, Rule.FLAG_REFUSED, flag or file, f"{file}: {reason}; see `gateway flags lint`")


def _without_echoes(
    findings: Iterable[Finding], registry: ComponentRegistry, definitions: Definitions
) -> list[Finding]:
    """The findings but for folders and flags that are there and refused: that is told already."""
    folders = {each.place.partition("/")[0] for each in registry.refused}
    keys = {refusal.flag for refusal in definitions.refused}
    flagless = {each.manifest.folder for each in registry.versions if each.manifest.flag in keys}
    echoes = {(Rule.NO_FOLDER, folder) for folder in folders} | {(Rule.NO_FLAG, folder) for folder in flagless}
    return [finding for finding in findings if (finding.rule, finding.place) not in echoes]


def _of_component(name: str, versions: tuple[ComponentVersion, ...], switch: Switch | None) -> Iterator[Finding]:
    if switch is None:
        for version in versions:
            message = f"no flag has the component {name!r} in its metadata; define one, or remove the folder"
            yield Finding(Level.ERROR, Rule.NO_FLAG, version.manifest.folder, message)
        return
    yield from _of_switch(switch, name, versions)
    for version in versions:
        yield from _of_version(version, switch)


def _of_switch(switch: Switch, name: str, versions: tuple[ComponentVersion, ...]) -> Iterator[Finding]:
    flag = switch.flag
    for version in switch.missing(versions):
        level = Level.ERROR if switch.gives(version) else Level.WARNING
        message = f"{flag.key} has this version and there is no folder for it; add it, or take it out of the flag"
        yield Finding(level, Rule.NO_FOLDER, f"{name}.{version}", message)
    in_use = [version.manifest.folder for version in versions if version.manifest.status.in_use]
    if not switch.has_versions and len(in_use) > 1:
        message = f"{flag.key} is only on or off and cannot choose among {', '.join(in_use)}; give it versions"
        yield Finding(Level.ERROR, Rule.NO_VERSIONS, name, message)
    if terms_of(flag) is not None and not switch.reach.by_decision:
        message = f"{flag.key} is personalized and nothing is ever decided: no way through its rule ends in null"
        yield Finding(Level.WARNING, Rule.NEVER_DECIDED, name, message)
    if not flag.enabled:
        yield Finding(Level.NOTE, Rule.SWITCHED_OFF, name, f"nobody gets it as long as {flag.key} is disabled")


def _of_version(version: ComponentVersion, switch: Switch) -> Iterator[Finding]:
    manifest, flag = version.manifest, switch.flag
    status = manifest.status
    if manifest.flag != flag.key:
        message = f"the manifest names the flag {manifest.flag}; {flag.key} switches the component: write that"
        yield Finding(Level.ERROR, Rule.WRONG_FLAG, manifest.folder, message)
    if status.in_use and not switch.gives(manifest.version):
        yield _unreached(version, switch)
    elif not status.in_use:
        yield from _early_or_late(version, switch)


def _unreached(version: ComponentVersion, switch: Switch) -> Finding:
    manifest, key = version.manifest, switch.flag.key
    newer = switch.newest_above(manifest)
    if newer is not None:
        message = f"no rule, default or decision of {key} gives it; clients that cannot render v{newer} fall back to it"
        return Finding(Level.WARNING, Rule.FALLBACK_ONLY, manifest.folder, message)
    message = f"nobody can get it: no rule, default or decision of {key} gives it; retire it and remove its folder"
    return Finding(Level.WARNING, Rule.DEAD, manifest.folder, message)


def _early_or_late(version: ComponentVersion, switch: Switch) -> Iterator[Finding]:
    """What is found of a draft, or of a retired version, that somebody can get all the same."""
    manifest, key = version.manifest, switch.flag.key
    newer = switch.newest_above(manifest)
    if switch.gives(manifest.version):
        message = f"its status is {manifest.status} and {key} gives it; take it out of the flag or make it live"
        yield Finding(Level.ERROR, Rule.NOT_LIVE, manifest.folder, message)
    elif newer is not None:
        fallen = f"clients that cannot render v{newer} fall back to it"
        message = f"its status is {manifest.status} and {fallen}; take it out of {key}"
        yield Finding(Level.WARNING, Rule.NOT_LIVE, manifest.folder, message)


def _of_fragment(version: ComponentVersion, schemas: Schemas) -> Iterator[Finding]:
    manifest = version.manifest
    if manifest.status is Status.RETIRED:
        return
    before, after = schemas.committed, schemas.working
    level = Level.WARNING if manifest.status is Status.DRAFT else Level.ERROR
    found = before.problems(version)
    yield from _each(level, Rule.INVALID_FRAGMENT, manifest.folder, found, before.name)
    if found:
        return
    broken = after.problems(version)
    yield from _each(level, Rule.BROKEN, manifest.folder, broken, after.name)
    if not broken:
        news = changed(before, after, before.selected(version))
        yield from _each(Level.WARNING, Rule.CHANGED, manifest.folder, news, after.name)


def _each(level: Level, rule: Rule, place: str, messages: Iterable[str], schema: str) -> Iterator[Finding]:
    return (Finding(level, rule, place, f"{message.rstrip('.')} ({schema})") for message in messages)


def _of_calendar(version: ComponentVersion, today: date) -> Iterator[Finding]:
    manifest = version.manifest
    if manifest.expires is not None and manifest.expires < today and manifest.status is not Status.RETIRED:
        message = f"it expired on {manifest.expires}; retire it, or give it a later day"
        yield Finding(Level.WARNING, Rule.EXPIRED, manifest.folder, message)
