"""What is counted about flags."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from flags.definitions import Definitions
from flags.evaluation import Decider, Evaluation

_VERSION_DIGITS = 12


class FlagMetrics:
    """The metrics of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        evaluations = Counter(
            "gateway_flag_evaluations_total", "Flags asked for, by who decided.", ["decided_by"], registry=registry
        )
        self._evaluations = {decider: evaluations.labels(decider.value) for decider in Decider}
        self._reloads = Counter(
            "gateway_flag_reloads_total",
            "Readings of the definitions: `changed`, `refused` (changed, in part), `same` or `failed`.",
            ["result"],
            registry=registry,
        )
        self._version = Gauge(
            "gateway_flag_definitions_version",
            "The first 48 bits of the version of the definitions in use: equal where the same flags are served.",
            registry=registry,
            multiprocess_mode="liveall",
        )
        self._served = Gauge("gateway_flags", "Flags that are served.", registry=registry, multiprocess_mode="livemax")
        self._refused = Gauge(
            "gateway_flag_refusals",
            "Flags and files that are refused as they stand.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def evaluated(self, evaluations: Iterable[Evaluation]) -> None:
        """Count answers, with one increment for each who decided."""
        tally: dict[Decider, int] = {}
        for evaluation in evaluations:
            tally[evaluation.decided_by] = tally.get(evaluation.decided_by, 0) + 1
        for decider, count in tally.items():
            self._evaluations[decider].inc(count)

    def evaluated_one(self, evaluation: Evaluation) -> None:
        """Count one answer."""
        self._evaluations[evaluation.decided_by].inc()

    def reloaded(self, result: str) -> None:
        """Count a reading of the definitions."""
        self._reloads.labels(result).inc()

    def serving(self, definitions: Definitions) -> None:
        """Show what is in use."""
        self._version.set(int(definitions.version[:_VERSION_DIGITS], 16))
        self._served.set(len(definitions.flags))
        self._refused.set(len(definitions.refused))
