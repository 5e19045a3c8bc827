"""What the online join tells about itself."""

from collections.abc import Collection, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from personalization.events import JoinedDecision, OutcomeKind
from personalization.join.partition import PartitionJoin
from personalization.metrics import total


class JoinMetrics:
    """Counters of events, fates and rows; gauges of what is held and of how far event time is behind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "gateway_join_events_total",
            "Events read from the hub: `taken`, `skipped` because a checkpoint held them, or `invalid`.",
            ["topic", "result"],
            registry=registry,
        )
        self.fates = Counter(
            "gateway_join_fates_total",
            "What became of decisions and outcomes: joined, duplicate, after_window, late, dangling or evicted.",
            ["topic", "fate"],
            registry=registry,
        )
        self.rows = Counter(
            "gateway_join_rows_total",
            "Joined decisions, by whether they were displayed: `reported`, `implied` by another outcome, "
            "`assumed`, or `no`.",
            ["displayed"],
            registry=registry,
        )
        self.away = Counter(
            "gateway_join_hub_away_total", "Times the join waited for an unavailable hub.", registry=registry
        )
        self.unsaved = Counter(
            "gateway_join_checkpoint_failures_total",
            "Checkpoints that the disk did not take; the open windows would be read again.",
            registry=registry,
        )
        self.seconds = Histogram("gateway_join_checkpoint_seconds", "Time to write checkpoints.", registry=registry)
        self.held = Gauge(
            "gateway_join_held",
            "What waits in memory: decisions with an open window, outcomes without a decision.",
            ["topic"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.behind = Gauge(
            "gateway_join_behind_seconds",
            "How far event time is behind the clock, in the partition that is furthest behind.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def summary(self) -> dict[str, float]:
        """What matters most, by name."""
        return {"rows": total(self.rows), "held": total(self.held)}

    def count_rows(self, rows: Sequence[JoinedDecision]) -> None:
        """Count rows that are durable."""
        for row in rows:
            self.rows.labels(_displayed(row)).inc()

    def show(self, partitions: Collection[PartitionJoin], now: datetime) -> None:
        """Tell how the partitions stand now."""
        for partition in partitions:
            for topic, fate, count in partition.fates():
                self.fates.labels(topic, fate.value).inc(count)
        self.held.labels("decisions").set(sum(each.joiner.held for each in partitions))
        self.held.labels("outcomes").set(sum(each.joiner.waiting for each in partitions))
        behind = [(now - each.joiner.now).total_seconds() for each in partitions if each.joiner.started]
        self.behind.set(max(behind, default=0.0))


def _displayed(row: JoinedDecision) -> str:
    if any(each.kind is OutcomeKind.DISPLAYED for each in row.outcomes):
        return "reported"
    if row.outcomes:
        return "implied"
    return "assumed" if row.displayed else "no"
