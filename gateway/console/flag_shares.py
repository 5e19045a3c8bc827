"""Flags as they are served: what each gave lately, and who decided that."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from flags.definition import FlagDefinition
from flags.definitions import Definitions
from gateway.console.rewards import BIN_S, RecentCounts
from personalization.clock import Clock
from personalization.hub.survey import Cell, HubSurvey, Question
from personalization.hub.topics import EXPOSURES

MOST_FLAGS: Final = 200

EXPOSED: Final = Question(
    EXPOSURES,
    (
        f"CAST(strftime('%s', json_extract(event, '$.at')) AS INTEGER) / {BIN_S} * {BIN_S}",
        "json_extract(event, '$.flag')",
        "json_extract(event, '$.variant')",
        "json_extract(event, '$.decider')",
    ),
)
"""Exposures by bin, flag, variant and who decided."""


class FlagShares:
    """Answers what the flags are and what they gave within the last hour. For one thread at a time; it blocks."""

    def __init__(self, survey: HubSurvey, clock: Clock, definitions: Callable[[], Definitions]) -> None:
        self._recent = RecentCounts(survey, EXPOSED, clock)
        self._definitions = definitions

    def all(self) -> dict[str, object]:
        """The flags served, those exposed most first; and what is refused, with the reason.

        Raises:
            HubUnavailable: the hub cannot be read.
        """
        exposed: dict[str, list[tuple[Sequence[Cell], int]]] = {}
        for key, sums in self._recent.look().items():
            exposed.setdefault(str(key[1]), []).append((key, int(sums[0])))
        definitions = self._definitions()
        flags = [_told(each, exposed.get(each.key, []), each.key in definitions.kept) for each in definitions.flags]
        flags.sort(key=lambda flag: (-flag["exposures"], flag["key"]))
        return {
            "version": definitions.version[:12],
            "served": len(flags),
            "flags": flags[:MOST_FLAGS],
            "refused": [asdict(each) for each in definitions.refused[:MOST_FLAGS]],
        }


def _told(flag: FlagDefinition, exposed: Sequence[tuple[Sequence[Cell], int]], kept: bool) -> dict[str, Any]:
    return {
        "key": flag.key,
        "file": flag.file,
        "enabled": flag.enabled,
        "kept": kept,
        "variants": list(flag.variants),
        "personalized": bool(flag.metadata.get("personalized", False)),
        "exposures": sum(count for _, count in exposed),
        "deciders": _by(exposed, 3),
        "given": _by(exposed, 2),
    }


def _by(exposed: Sequence[tuple[Sequence[Cell], int]], member: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for key, count in exposed:
        name = str(key[member])
        counts[name] = counts.get(name, 0) + count
    return dict(sorted(counts.items()))
