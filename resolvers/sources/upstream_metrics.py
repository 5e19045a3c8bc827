"""What is counted of calls to the E-Commerce API."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from personalization.clock import Clock
from personalization.errors import DeadlineExceeded
from resolvers.errors import SourceRefused, SourceUnavailable
from resolvers.sources.circuit import CircuitOpen

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class UpstreamMetrics:
    """Calls by operation and outcome, their duration with all retries, retries, and whether the circuit is open."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._calls = Counter(
            "gateway_upstream_calls", "Calls to the E-Commerce API.", ["operation", "outcome"], registry=registry
        )
        self._seconds = Histogram(
            "gateway_upstream_seconds",
            "Duration of calls to the E-Commerce API, retries included.",
            ["operation"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.retries = Counter(
            "gateway_upstream_retries", "Retried reads of the E-Commerce API.", ["operation"], registry=registry
        )
        self._circuit = Gauge(
            "gateway_upstream_circuit_open",
            "1 while calls to the E-Commerce API are refused without asking it.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def circuit_turned(self, is_open: bool) -> None:
        """The circuit opened or closed."""
        self._circuit.set(1 if is_open else 0)

    @contextmanager
    def measured(self, operation: str) -> Iterator[None]:
        """Time and count one call; its outcome is told by what leaves the block."""
        began = self._clock.monotonic()
        outcome = "ok"
        try:
            yield
        except BaseException as error:
            outcome = _outcome(error)
            raise
        finally:
            self._calls.labels(operation, outcome).inc()
            self._seconds.labels(operation).observe(self._clock.monotonic() - began)


def _outcome(error: BaseException) -> str:
    match error:
        case CircuitOpen():
            return "circuit_open"
        case SourceUnavailable():
            return "unavailable"
        case SourceRefused():
            return "refused"
        case DeadlineExceeded():
            return "deadline"
        case asyncio.CancelledError():
            return "cancelled"
        case _:
            return "error"
