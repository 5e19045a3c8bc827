"""The offline join: the rows of the online one, from the lake, by SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from personalization.hub.topics import DECISIONS, OUTCOMES
from personalization.join.reward import JoinRules, RewardRule
from personalization.lake.etl import EtlRun, Runner, Value, run_etl
from personalization.lake.layout import Lake
from personalization.lake.tables import rule_values_table, rules_table

STEPS = ("decided", "fates", "joined", "joined_outcomes", "ordered")
"""The SQL files, in the order in which they build on one another."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class JoinSpan:
    """What an offline join covers; times are aware.

    Decisions from `since` on that close by `until`: by then all that was received before it must be in the lake.
    Orders count for the audit when decision and order lie in the commission period; its end is the closing.
    """

    until: datetime
    period_start: datetime
    period_end: datetime
    since: datetime = _BEGINNING


def join_offline(lake: Lake, runner: Runner, run: str, rules: JoinRules, span: JoinSpan) -> EtlRun:
    """Join what the raw zone holds, and make the result the lake's current run. Blocks.

    The data sets: `joined` and `joined_outcomes` (read them with `LakeReader.joined`), `fates` (what became of each
    outcome), `ordered` (the slow outcome), `decided`. The rows are those that the joiner gives for the same events.

    Raises:
        LakeDamaged: a raw file has a wrong name.
        LakeBusy, LakeError, OSError: as `run_etl`.
    """
    # A day before, so that outcomes meet the decisions they name, and a click is not taken for a dangling one.
    first_day = None if span.since == _BEGINNING else (span.since - timedelta(days=1)).date()
    raw = {topic: [lake.path(each) for each in lake.files(topic, first_day)] for topic in (DECISIONS, OUTCOMES)}
    tables = {"rules": rules_table(_rules(rules)), "rule_values": rule_values_table(_values(rules))}
    values: Mapping[str, Value] = {
        "since": span.since,
        "until": span.until,
        "period_start": span.period_start,
        "period_end": span.period_end,
        "most_outcomes": rules.most_outcomes,
    }
    return run_etl(lake, runner, run, raw=raw, tables=tables, steps=STEPS, values=values)


def _rules(rules: JoinRules) -> list[dict[str, object]]:
    return [
        {
            "placement": placement,
            "window_us": rule.window // _MICROSECOND,
            "hold_us": (rule.window + rules.lateness) // _MICROSECOND,
            "assume_displayed": rule.assume_displayed,
            "display_s": rule.display_s,
            "display_value": rule.display_value,
        }
        for placement, rule in _named(rules).items()
    ]


def _values(rules: JoinRules) -> list[dict[str, object]]:
    return list(
        chain.from_iterable(
            [{"placement": placement, "kind": kind.value, "value": value} for kind, value in rule.values]
            for placement, rule in _named(rules).items()
        )
    )


def _named(rules: JoinRules) -> Mapping[str, RewardRule]:
    """The rules by placement; the one for all others has no name."""
    return {**rules.by_placement, "": rules.default}
