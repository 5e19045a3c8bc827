"""What `/metrics` says, picked for charts: one sample now, and those of the last half hour."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry

from personalization.clock import Clock
from personalization.errors import HubUnavailable, PersonaError
from personalization.hub.survey import HubSurvey

EVERY_S: Final = 10.0
MOST_SAMPLES: Final = 180
"""With one every 10 seconds, those of half an hour."""

Sample = dict[str, Any]

_log = structlog.get_logger("gateway.console")

_PICKED: Final = {
    "gateway_requests_total": ("requests", ("route", "status")),
    "gateway_request_seconds_bucket": ("seconds", ("route", "le")),
    "gateway_cache_lookups_total": ("cache", ("field", "result")),
    "gateway_cache_bytes": ("cache_bytes", ("field",)),
    "gateway_flag_evaluations_total": ("deciders", ("decided_by",)),
    "gateway_decisions_total": ("decisions", ("placement", "mode", "action")),
    "gateway_outcomes_total": ("outcomes", ("kind", "result")),
    "gateway_fallbacks_total": ("fallbacks", ("field",)),
    "gateway_learn_events_total": ("learned", ("model", "result")),
    "gateway_requests_in_flight": ("in_flight", ()),
    "gateway_join_behind_seconds": ("join_behind", ()),
    "gateway_join_held": ("join_held", ("topic",)),
    "gateway_learn_behind_seconds": ("learn_behind", ()),
    "gateway_lake_held_events": ("lake_held", ()),
    "gateway_upstream_circuit_open": ("circuit_open", ()),
}
"""Samples of metrics by their names: what they are called here, and the labels that they are kept by."""

_NOT_SHOWN: Final = ("/console", "/live", "/ready", "/metrics")


class Sampler:
    """Takes samples of all workers' metrics together, and of how far groups are in the hub. Blocks."""

    def __init__(self, metrics: CollectorRegistry, survey: HubSurvey, clock: Clock) -> None:
        self._metrics = metrics
        self._survey = survey
        self._clock = clock

    def sample(self) -> Sample:
        """Values by metric, then by labels joined by `|`; `at` in milliseconds since 1970.

        Counters count since the start. What the console and probes ask for is left out.
        """
        sample: Sample = {"at": int(self._clock.now().timestamp() * 1000)}
        for family in self._metrics.collect():
            for name, labels, value, *_ in family.samples:
                picked = _PICKED.get(name)
                if picked is not None and not labels.get("route", "").startswith(_NOT_SHOWN):
                    key = "|".join(labels.get(label, "") for label in picked[1])
                    group = sample.setdefault(picked[0], {})
                    group[key] = group.get(key, 0.0) + value
        with suppress(HubUnavailable):  # a hub that is not there yet is no reason to show nothing
            sample["lag"] = {f"{each.group}|{each.topic}": each.behind for each in self._survey.lags()}
        return sample


class History:
    """Samples of the last half hour, taken in the background. Use it from one event loop."""

    def __init__(self, take: Callable[[], Sample], *, every: float = EVERY_S) -> None:
        self._take = take
        self._every = every
        self._samples: deque[Sample] = deque(maxlen=MOST_SAMPLES)
        self._task: asyncio.Task[None] | None = None

    def since(self, at: int) -> Iterable[Sample]:
        """The samples later than this (milliseconds since 1970), oldest first."""
        return [each for each in self._samples if each["at"] > at]

    async def start(self) -> None:
        """Take samples from now on."""
        self._task = asyncio.create_task(self._follow(), name="console samples")

    async def aclose(self) -> None:
        """Take no more. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _follow(self) -> None:
        while True:
            try:
                self._samples.append(await asyncio.to_thread(self._take))
            except (PersonaError, OSError, ValueError, RuntimeError) as error:  # a file half written
                _log.warning("sample_not_taken", reason=type(error).__name__)
            await asyncio.sleep(self._every)
