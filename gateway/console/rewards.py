"""Decisions and rewards over time: of the last hour from the hub, of the last days from the lake."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final

from personalization.clock import Clock
from personalization.hub.survey import Cell, HubSurvey, Question
from personalization.hub.topics import JOINED
from personalization.lake.layout import Lake

BIN_S: Final = 15
"""Seconds in a bin of what is counted in the hub."""

KEPT: Final = timedelta(hours=1)
MOST_EVENTS: Final = 12_500
"""Most events of a partition of the hub that are read at once; of more, the newest."""

GROUPS: Final = ("model", "even", "holdback", "default")
"""Who decided: a model, even chances, the default for those held back, the default for another reason."""

_DECIDED: Final = "json_extract(event, '$.decision.{}')"
_AT: Final = f"CAST(strftime('%s', {_DECIDED.format('at')}) AS INTEGER) / {BIN_S} * {BIN_S}"
_MODE: Final = _DECIDED.format("mode")
_POLICY: Final = _DECIDED.format("policy")
_GROUP: Final = (
    f"CASE WHEN {_DECIDED.format('reason')} = 'HOLDBACK' THEN 'holdback' WHEN {_POLICY} LIKE 'uniform@%' THEN 'even' "
    f"WHEN {_MODE} = 'ONLINE' THEN 'model' ELSE 'default' END"
)
_DISPLAYED: Final = "json_extract(event, '$.displayed')"

JOINED_QUESTION: Final = Question(
    JOINED,
    (
        _AT,
        f"COALESCE({_DECIDED.format('context.persona')}, '')",
        _DECIDED.format("context.placement"),
        _DECIDED.format("action"),
        _GROUP,
    ),
    (_DISPLAYED, f"CASE WHEN {_DISPLAYED} THEN json_extract(event, '$.reward') ELSE 0 END"),
)
"""By bin, persona, placement, action and group: decisions, those displayed, and the rewards of these."""


class Span(Enum):
    """How far back is looked: the seconds of it and of one bin. Hours are counted in the hub, days in the lake."""

    QUARTER = ("15m", 900, 15, False)
    HOUR = ("1h", 3600, 60, False)
    DAY = ("24h", 86_400, 900, True)
    WEEK = ("7d", 604_800, 7200, True)

    def __init__(self, word: str, seconds: int, bin_s: int, lake: bool) -> None:
        self.word = word
        self.seconds = seconds
        self.bin_s = bin_s
        self.lake = lake


@dataclass(slots=True)
class Sums:
    """Decisions, those of them that were displayed, and the rewards of these."""

    decisions: int = 0
    displayed: int = 0
    rewards: float = 0.0

    def add(self, decisions: int, displayed: int, rewards: float) -> None:
        """Count more of them."""
        self.decisions += decisions
        self.displayed += displayed
        self.rewards += rewards


Key = tuple[int, str, str, str, str]
"""Begin of a bin (seconds since 1970), persona or nothing, placement, action, group."""


class RecentCounts:
    """What a question counts in the hub, kept by bin and brought up to date at each look. For one thread at a time."""

    def __init__(self, survey: HubSurvey, question: Question, clock: Clock) -> None:
        self._survey = survey
        self._question = question
        self._clock = clock
        self._next: dict[int, int] = {}
        self._rows: dict[tuple[Cell, ...], list[float]] = {}
        self._whole_since = 0

    def look(self) -> Mapping[tuple[Cell, ...], Sequence[float]]:
        """The counts and sums of each row of keys; the first key is the begin of a bin.

        Raises:
            HubUnavailable: the hub cannot be read.
        """
        oldest = int((self._clock.now() - KEPT).timestamp()) // BIN_S * BIN_S - BIN_S
        for counted in self._survey.count(self._question, self._next, MOST_EVENTS):
            self._next[counted.partition] = counted.next
            if counted.cut and counted.rows:
                self._whole_since = max(self._whole_since, min(_begin(row) for row in counted.rows) + BIN_S)
            self._add(counted.rows)
        for key in [key for key in self._rows if _begin(key) < oldest]:
            del self._rows[key]
        return self._rows

    @property
    def whole_since(self) -> int:
        """From when on (seconds since 1970) everything is counted; 0 when that is all there was."""
        return self._whole_since

    def _add(self, rows: Iterable[tuple[Cell, ...]]) -> None:
        width = len(self._question.keys)
        for row in rows:
            sums = self._rows.setdefault(row[:width], [0.0] * (1 + len(self._question.sums)))
            for place, value in enumerate(row[width:]):
                sums[place] += float(value or 0)


def _begin(row: Sequence[Cell]) -> int:
    return int(row[0] or 0)


class Rewards:
    """Answers what was decided and earned, by persona, action and group. It blocks.

    Hours are for one thread at a time, and days, which share nothing with them, for any.
    """

    def __init__(self, survey: HubSurvey, lake: Lake, clock: Clock) -> None:
        self._recent = RecentCounts(survey, JOINED_QUESTION, clock)
        self._lake = lake
        self._clock = clock

    def over(self, span: Span, persona: str | None, placement: str | None) -> dict[str, object]:
        """Series over the span, of a persona and a placement if given; the lists in them have one number a bin.

        Raises:
            HubUnavailable, LakeError: where it is counted cannot be read.
        """
        end = int(self._clock.now().timestamp()) // span.bin_s * span.bin_s + span.bin_s
        begin = end - span.seconds
        rows, whole_since = self._rows(span, begin)
        chosen = [
            (key, sums)
            for key, sums in rows
            if begin <= key[0] < end and placement in (None, key[2]) and persona in (None, key[1])
        ]
        return {
            "begin": begin,
            "bin": span.bin_s,
            "bins": span.seconds // span.bin_s,
            "whole_since": whole_since,
            "from": "lake" if span.lake else "hub",
            "placements": sorted({key[2] for key, _ in rows}),
            "personas": _series(chosen, 1, begin, span),
            "actions": _series(chosen, 3, begin, span),
            "groups": _series(chosen, 4, begin, span),
        }

    def _rows(self, span: Span, begin: int) -> tuple[list[tuple[Key, Sums]], int]:
        if span.lake:
            from personalization.lake.rewards import rewards_by_time  # only who looks at days loads DuckDB

            since = self._clock.now() - timedelta(seconds=span.seconds)
            rows, whole = rewards_by_time(self._lake, since, span.bin_s, most_files=2_000, seconds=10.0)
            return [(row[:5], Sums(*row[5:])) for row in rows], int(whole.timestamp())
        recent = self._recent.look()
        found = [(_key(key), Sums(int(sums[0]), int(sums[1]), sums[2])) for key, sums in recent.items()]
        return found, max(begin, self._recent.whole_since)


def _key(row: Sequence[Cell]) -> Key:
    return _begin(row), str(row[1]), str(row[2]), str(row[3]), str(row[4])


def _series(rows: Iterable[tuple[Key, Sums]], member: int, begin: int, span: Span) -> dict[str, dict[str, list[float]]]:
    """By the values of one member of the keys: decisions, displayed and rewards of each bin."""
    bins = span.seconds // span.bin_s
    made: dict[str, list[Sums]] = {}
    for key, sums in rows:
        line = made.setdefault(str(key[member]), [Sums() for _ in range(bins)])
        line[(key[0] - begin) // span.bin_s].add(sums.decisions, sums.displayed, sums.rewards)
    return {
        name: {
            "decisions": [each.decisions for each in line],
            "displayed": [each.displayed for each in line],
            "rewards": [round(each.rewards, 3) for each in line],
        }
        for name, line in sorted(made.items())
    }


def span_of(word: str) -> Span | None:
    """The span of this word: `15m`, `1h`, `24h` or `7d`."""
    return next((each for each in Span if each.word == word), None)
