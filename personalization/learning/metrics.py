"""What the online learner tells about itself."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from personalization.metrics import total

LEARNED = "learned"


class LearnMetrics:
    """Counters of what became of events and checkpoints; gauges of the weights and of how far learning is behind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "gateway_learn_events_total",
            "Joined decisions by what became of them: learned, or the reason why nothing was learned.",
            ["model", "result"],
            registry=registry,
        )
        self.quarantined = Counter(
            "gateway_learn_quarantined_total",
            "Events in quarantine, by reason.",
            ["reason"],
            registry=registry,
        )
        self.checkpoints = Counter(
            "gateway_learn_checkpoints_total", "Versions stored in the registry.", ["model"], registry=registry
        )
        self.sick = Counter(
            "gateway_learn_sick_total", "Times a model was sick and made again.", ["model"], registry=registry
        )
        self.away = Counter(
            "gateway_learn_waits_total",
            "Times learning waited for what was away: the `hub` or the `registry`.",
            ["what"],
            registry=registry,
        )
        self.seconds = Histogram("gateway_learn_checkpoint_seconds", "Time to store all models.", registry=registry)
        self.weights = Gauge(
            "gateway_learn_weights",
            "Weights of a model that are not zero.",
            ["model"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.largest = Gauge(
            "gateway_learn_largest_weight",
            "Magnitude of a model's largest weight; costs are 0 to 1, so far above that something is wrong.",
            ["model"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.behind = Gauge(
            "gateway_learn_behind_seconds",
            "Age of the newest event in the last stored version, when it was stored.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def summary(self) -> dict[str, float]:
        """What matters most, by name."""
        return {
            "events": total(self.events),
            "stored": total(self.checkpoints),
            "quarantined": total(self.quarantined),
        }
