"""The policy that is live in the registry, behind one reference that is swapped while decisions go on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from personalization.bandit.canaries import check_canaries
from personalization.bandit.policy import Policy
from personalization.decision.conduct import Agreement
from personalization.errors import ModelError, PersonaError, RegistryUnavailable
from personalization.events import is_shelf
from personalization.listeners import Listeners
from personalization.registry import COMPONENT_MODEL, SHELF_MODEL, ModelRegistry, StoredModel
from personalization.registry_records import Pointer, label_of

Load = Callable[[StoredModel], Policy]
"""Makes a policy of a stored model; runs in a thread.

Raises:
    ModelError: it cannot.
"""

Listener = Callable[[str], None]

_log = structlog.get_logger()


class LivePolicy:
    """Follows one name of the registry. Use it from one event loop; it never makes a decision wait.

    A new version is loaded in a thread, its checksum compared and its canaries asked; only then it takes over, by one
    assignment on the event loop. One that fails is refused and not looked at again until the pointer moves; the old
    policy goes on.
    """

    def __init__(
        self, registry: ModelRegistry, name: str, load: Load, metrics: "LiveMetrics", *, every: float = 0.25
    ) -> None:
        self.name = name
        self._registry = registry
        self._load = load
        self._metrics = metrics
        self._every = every
        self._current: Policy | None = None
        self._revision = 0
        self._graduated = False
        self._agreement = Agreement()
        self._listeners: Listeners[Listener] = Listeners()
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> Policy | None:
        """The policy that decides now; None while no version was ever live, or none could be loaded."""
        return self._current

    @property
    def version(self) -> str | None:
        """The label of the policy that decides now: `shelf@7`."""
        return None if self._current is None else self._current.version

    @property
    def graduated(self) -> bool:
        """Whether the apprentice has agreed with the default long enough, in this process or another one."""
        return self._graduated

    def observe_agreement(self, probability: float) -> None:
        """Count how probable the default would have been, had the model decided. Enough of it makes it graduate."""
        self._agreement.observe(probability)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with the version after each swap, on the event loop; the answer ends that."""
        return self._listeners.add(listener)

    async def start(self) -> None:
        """Load what is live now, then follow the registry."""
        if self._task is None:
            await self.refresh()
            self._task = asyncio.create_task(self._follow(), name=f"live policy {self.name}")

    async def aclose(self) -> None:
        """Follow no longer; the current policy stays. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def refresh(self) -> bool:
        """Look at the registry once; whether another policy decides now. Never raises."""
        swapped = False
        try:
            pointer = await asyncio.to_thread(self._registry.pointer, self.name)
            self._graduated = pointer.graduated
            swapped = await self._turn(pointer)
            if self._agreement.reached and not self._graduated:
                await asyncio.to_thread(self._registry.graduate, self.name)
                self._graduated = True
                _log.info("apprentice_graduated", model=self.name)
        except PersonaError as error:
            self._metrics.swaps.labels(self.name, "unavailable").inc()
            _log.warning("registry_unavailable", model=self.name, reason=type(error).__name__)
        return swapped

    async def _turn(self, pointer: Pointer) -> bool:
        """Do what the pointer says, once; a registry that cannot be read is tried again at the next look."""
        live = pointer.live
        if live is None or pointer.revision == self._revision:
            return False
        swapped = label_of(self.name, live) != self.version and await self._swap(live)
        self._revision = pointer.revision
        return swapped

    async def _swap(self, version: int) -> bool:
        try:
            policy = await asyncio.to_thread(self._checked, version)
        except RegistryUnavailable:
            raise
        except Exception as error:  # whatever a damaged model makes a library do, the old policy goes on
            self._refuse(version, error)
            return False
        self._current = policy
        self._metrics.swaps.labels(self.name, "swapped").inc()
        self._metrics.version.labels(self.name).set(version)
        _log.info("policy_swapped", policy=policy.version)
        self._tell(policy.version)
        return True

    def _checked(self, version: int) -> Policy:
        stored = self._registry.load(self.name, version)
        policy = self._load(stored)
        check_canaries(policy, stored.manifest.canaries)
        return policy

    def _refuse(self, version: int, error: Exception) -> None:
        self._metrics.swaps.labels(self.name, "refused").inc()
        unexpected = None if isinstance(error, ModelError) else error
        reason = type(error).__name__
        _log.error("policy_refused", model=self.name, version=version, reason=reason, exc_info=unexpected)

    def _tell(self, version: str) -> None:
        for listener in self._listeners:
            try:
                listener(version)
            except Exception:  # one listener's trouble is not that of the others, nor of the next swap
                _log.exception("policy_listener_failed", model=self.name)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.refresh()


@dataclass(frozen=True, slots=True)
class LivePolicies:
    """The live policies, one for shelves and one for components and other flags."""

    shelf: LivePolicy
    component: LivePolicy

    @classmethod
    def over(
        cls, registry: ModelRegistry, load: Load, metrics: CollectorRegistry, *, every: float = 0.25
    ) -> "LivePolicies":
        """Those of a registry, which is looked at every so many seconds."""
        shared = LiveMetrics(metrics)
        shelf, component = (
            LivePolicy(registry, name, load, shared, every=every) for name in (SHELF_MODEL, COMPONENT_MODEL)
        )
        return cls(shelf, component)

    def at(self, placement: str) -> LivePolicy:
        """The one that decides at a placement."""
        return self.shelf if is_shelf(placement) else self.component

    async def start(self) -> None:
        """Load what is live now, then follow the registry."""
        await self.shelf.start()
        await self.component.start()

    async def aclose(self) -> None:
        """Follow no longer. Safe to call twice."""
        await self.shelf.aclose()
        await self.component.aclose()


class LiveMetrics:
    """What is counted about swaps."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.swaps = Counter(
            "gateway_policy_swaps_total",
            "What came of looking: a policy `swapped`, a version `refused`, or the registry `unavailable`.",
            ["model", "result"],
            registry=registry,
        )
        self.version = Gauge(
            "gateway_policy_version",
            "Version of the model that decides; with several processes, of the one that is furthest behind.",
            ["model"],
            registry=registry,
            multiprocess_mode="livemin",
        )
