"""Reads the processed zone: what the last whole run of the ETL made."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from personalization.events import Decision, DecisionContext, DecisionMode, JoinedDecision, Outcome, OutcomeKind
from personalization.lake.errors import LakeDamaged, LakeEmpty
from personalization.lake.etl import RUN_FILE, Dataset, EtlRun
from personalization.lake.layout import Lake
from personalization.lake.parquet import rows_in


class LakeReader:
    """Readers of one lake resolve its pointer once, and go on reading that run whatever is made current meanwhile."""

    def __init__(self, root: Path) -> None:
        self._lake = Lake(root)

    def current(self) -> EtlRun:
        """The run that is current.

        Raises:
            LakeEmpty: there is none.
            LakeDamaged: the pointer, or what it points to, cannot be read.
        """
        try:
            name = self._lake.pointer.read_text().strip()
        except FileNotFoundError as error:
            raise LakeEmpty("the lake has no processed data yet, run `gateway lake etl`") from error
        folder = self._lake.processed / name
        try:
            members = orjson.loads((folder / RUN_FILE).read_bytes())
            return EtlRun(members["run"], folder, tuple(Dataset(**each) for each in members["datasets"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LakeDamaged(f"the current run {name!r} cannot be read") from error

    def joined(
        self, since: datetime | None = None, until: datetime | None = None, run: EtlRun | None = None
    ) -> Iterator[JoinedDecision]:
        """The joined decisions of a run, the current unless given, in the order in which they were closed.

        Only those decided from `since` on and before `until`. Reads little at a time.

        Raises:
            LakeEmpty, LakeDamaged: as `current`.
        """
        taken = run or self.current()
        outcomes = groupby(rows_in(taken.path("joined_outcomes")), key=lambda row: row["decision_id"])
        ahead = next(outcomes, None)
        for row in rows_in(taken.path("joined")):
            mine: tuple[Outcome, ...] = ()
            if ahead is not None and ahead[0] == row["id"]:
                mine = tuple(_outcome(each) for each in ahead[1])
                ahead = next(outcomes, None)
            decided_at = row["decided_at"]
            if (since is None or decided_at >= since) and (until is None or decided_at < until):
                yield _joined(row, mine)


def _joined(row: Mapping[str, Any], outcomes: tuple[Outcome, ...]) -> JoinedDecision:
    return JoinedDecision(_decision(row), outcomes, row["reward"], row["displayed"], _time(row["joined_at"]))


def _decision(row: Mapping[str, Any]) -> Decision:
    context = DecisionContext(
        placement=row["placement"],
        persona=row["persona"],
        segment=row["segment"],
        category=row["category"],
        region=row["region"],
        season=row["season"],
        device=row["device"],
    )
    return Decision(
        id=row["id"],
        at=_time(row["decided_at"]),
        context=context,
        actions=tuple(row["actions"]),
        distribution=tuple(row["distribution"]),
        action=row["action"],
        probability=row["probability"],
        policy=row["policy"],
        mode=DecisionMode(row["mode"]),
        reason=row["reason"],
        subject=row["subject"],
        session=row["session"],
        trace_id=row["trace_id"],
    )


def _outcome(row: Mapping[str, Any]) -> Outcome:
    return Outcome(
        id=row["id"],
        decision_id=row["decision_id"],
        kind=OutcomeKind(row["kind"]),
        occurred_at=_time(row["occurred_at"]),
        received_at=_time(row["received_at"]),
        product_id=row["product_id"],
        quantity=row["quantity"],
        session=row["session"],
        trace_id=row["trace_id"],
        duration_s=row.get("duration_s"),  # a run from before there was one has no such column
    )


def _time(at: datetime) -> datetime:
    """The same time in the one zone that all of ours are in."""
    return at.astimezone(UTC)
