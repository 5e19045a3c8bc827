"""How `gateway components` shows what it found: in the terminal, as Markdown, as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flags.contracts import ComponentReport, Finding, Level, VersionState
from flags.page_preview import PreviewedComponent

_VERSION_COLUMNS = ("component", "version", "status", "given by", "since", "expires", "owner", "flag", "findings")
_FINDING_COLUMNS = ("level", "rule", "place", "finding")
_PREVIEW_COLUMNS = ("component", "version", "reason", "decided by", "because")


def print_report(report: ComponentReport) -> None:
    """Versions as a table, then a line for each finding."""
    _print_table(_VERSION_COLUMNS, (_version_row(state, report) for state in report.versions))
    if report.findings:
        print_lines(["", *(_finding_line(finding) for finding in report.findings)])


def markdown_report(report: ComponentReport) -> str:
    """Versions and findings as two Markdown tables under one heading each."""
    versions = _markdown(_VERSION_COLUMNS, (_version_row(state, report) for state in report.versions))
    findings = _markdown(_FINDING_COLUMNS, map(_finding_row, report.findings)) if report.findings else "None.\n"
    return f"# Components\n\n{summary(report)}\n\n## Versions\n\n{versions}\n## Findings\n\n{findings}"


def json_report(report: ComponentReport) -> str:
    """Versions and findings as one JSON object."""
    return _json(
        {
            "versions": [_version_object(state) for state in report.versions],
            "findings": [
                {"level": each.level, "rule": each.rule, "place": each.place, "message": each.message}
                for each in report.findings
            ],
        }
    )


def summary(report: ComponentReport) -> str:
    """How much there is, in a line."""
    components = {state.version.manifest.name for state in report.versions}
    parts = (_counted(len(components), "component"), _counted(len(report.versions), "version"))
    return f"{', '.join(parts)}: {', '.join(_counted(len(report.at(level)), level) for level in Level)}"


def print_previews(previews: Sequence[PreviewedComponent]) -> None:
    """What a viewer would get, as a table."""
    _print_table(_PREVIEW_COLUMNS, map(_preview_row, previews))


def json_previews(previews: Sequence[PreviewedComponent]) -> str:
    """What a viewer would get, as a JSON list, with all steps that led there."""
    return _json([_preview_object(preview) for preview in previews])


def print_lines(lines: Iterable[str]) -> None:
    """Lines as they are, never wrapped."""
    _console().print("\n".join(lines), soft_wrap=True, markup=False, highlight=False)


def _version_row(state: VersionState, report: ComponentReport) -> tuple[str, ...]:
    manifest = state.version.manifest
    found = dict.fromkeys(finding.rule.value for finding in report.findings if finding.place == manifest.folder)
    return (
        manifest.name,
        manifest.version,
        manifest.status,
        ", ".join(state.given_by) or "nobody",
        manifest.since.isoformat(),
        manifest.expires.isoformat() if manifest.expires else "",
        manifest.owner,
        manifest.flag,
        " ".join(found),
    )


def _version_object(state: VersionState) -> dict[str, Any]:
    manifest = state.version.manifest
    return {
        "component": manifest.name,
        "version": manifest.version,
        "status": manifest.status,
        "givenBy": state.given_by,
        "since": manifest.since,
        "expires": manifest.expires,
        "owner": manifest.owner,
        "flag": manifest.flag,
        "description": manifest.description,
    }


def _finding_row(finding: Finding) -> tuple[str, ...]:
    return finding.level, finding.rule, finding.place, finding.message


def _finding_line(finding: Finding) -> str:
    return f"{finding.level} {finding.rule} {finding.place}: {finding.message}"


def _preview_row(preview: PreviewedComponent) -> tuple[str, ...]:
    choice = preview.choice
    version = (choice.version or "on") if choice.enabled else "off"
    return choice.name, version, choice.reason, _decider(preview), preview.because


def _preview_object(preview: PreviewedComponent) -> dict[str, Any]:
    choice = preview.choice
    return {
        "component": choice.name,
        "version": choice.version,
        "enabled": choice.enabled,
        "reason": choice.reason,
        "decidedBy": _decider(preview),
        "flag": choice.flag_key,
        "variant": choice.variant,
        "because": preview.because,
        "candidates": preview.candidates,
        "steps": [{"expression": step.expression, "gave": step.gave} for step in preview.steps],
    }


def _decider(preview: PreviewedComponent) -> str:
    """Who decides; what is left to a decision stands on the default until there is one."""
    return "BANDIT" if preview.candidates else preview.choice.decided_by.value


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    _console().print(table)


def _console() -> Console:
    return Console(width=None if Console().is_terminal else 200)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
