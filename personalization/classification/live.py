"""The classifier that is live and the segments it gave everybody, behind one reference that is swapped whole."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from personalization.classification.deploy import SEGMENT_MODEL, profiles_file, read_profiles
from personalization.classification.errors import ProfilesDamaged
from personalization.classification.profiles import Assigned, Profiles
from personalization.classification.scorer import NewcomerScorer
from personalization.classification.table import Value
from personalization.errors import ModelError, PersonaError, RegistryUnavailable
from personalization.events import Persona
from personalization.listeners import Listeners
from personalization.registry import ModelRegistry
from personalization.registry_records import Pointer

_log = structlog.get_logger()

Listener = Callable[["Classification | None", "Classification"], None]
"""Told what was live before, and what is now."""


class Classification:
    """One version and its profiles, which never change. The classifier is loaded when the first newcomer comes."""

    def __init__(self, profiles: Profiles, model: bytes) -> None:
        self.profiles = profiles
        self._model = model
        self._scorer: asyncio.Task[NewcomerScorer] | None = None

    @property
    def segments(self) -> frozenset[str]:
        """The keys of the segments that it gives."""
        return frozenset(self.profiles.head.segments)

    def find(self, customer: str) -> Assigned | None:
        """The segment a customer was given at the closing; None when it was not there."""
        return self.profiles.find(customer)

    def assumed(self, persona: Persona) -> Assigned:
        """The segment that is usual for a persona."""
        return self.profiles.assumed(persona)

    async def score(self, known: Mapping[str, Value]) -> Assigned:
        """The segment of a newcomer of whom so much is known: about 0.1 ms, half a second the first time.

        Raises:
            ModelError: the classifier cannot be loaded.
        """
        if self._scorer is None:
            self._scorer = asyncio.create_task(asyncio.to_thread(self._load), name="load classifier")
            self._scorer.add_done_callback(_retrieved)
        # Shielded: a newcomer who does not wait for it leaves it to the next one.
        scorer = self._scorer.result() if self._scorer.done() else await asyncio.shield(self._scorer)
        return scorer.score(known)

    def _load(self) -> NewcomerScorer:
        from personalization.classification.model import load_classifier  # only who has a newcomer loads the library

        return NewcomerScorer(load_classifier(self._model), self.profiles)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was looked at last: the pointer, and the profile store by number, size and time of its file."""

    pointer: Pointer
    file: tuple[int, int, int] | None


class LiveSegments:
    """Follows the classifier in the registry and its profile store. Use it from one event loop.

    Both are read and their checksums compared in a thread; only then they take over, by one assignment on the event
    loop. What is damaged is refused and not looked at again until it changes; what was live goes on.
    """

    def __init__(
        self, folder: Path, registry: ModelRegistry, metrics: CollectorRegistry, *, every: float = 1.0
    ) -> None:
        self._folder = folder
        self._registry = registry
        self._every = every
        self._current: Classification | None = None
        self._seen: _Seen | None = None
        self._listeners: Listeners[Listener] = Listeners()
        self._task: asyncio.Task[None] | None = None
        self._swaps = Counter(
            "gateway_segment_swaps_total",
            "What came of looking: segments `swapped`, a version `refused`, or the registry `unavailable`.",
            ["result"],
            registry=metrics,
        )
        self._customers = Gauge(
            "gateway_segment_profiles",
            "Customers whose segment is stored; with several processes, in the one with fewest.",
            registry=metrics,
            multiprocess_mode="livemin",
        )

    @property
    def current(self) -> Classification | None:
        """What is live now; None while no classifier ever was, or none could be read. Take it once a visit."""
        return self._current

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after each swap, on the event loop; the answer ends that."""
        return self._listeners.add(listener)

    async def start(self) -> None:
        """Read what is live now, then follow."""
        if self._task is None:
            await self.refresh()
            self._task = asyncio.create_task(self._follow(), name="live segments")

    async def aclose(self) -> None:
        """Follow no longer; what is live stays. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def refresh(self) -> bool:
        """Look once; whether something else is live now. Never raises."""
        try:
            seen = await asyncio.to_thread(self._look)
            return await self._turn(seen)
        except (PersonaError, OSError) as error:
            self._swaps.labels("unavailable").inc()
            _log.warning("segments_unavailable", reason=type(error).__name__)
            return False

    async def _turn(self, seen: _Seen) -> bool:
        """Take over what is there, once; what cannot be read for now is tried again at the next look."""
        if seen.pointer.live is None or seen == self._seen:
            return False
        try:
            found = await asyncio.to_thread(self._read, seen.pointer.live)
        except (ModelError, FileNotFoundError) as error:
            if isinstance(error, RegistryUnavailable):
                raise
            self._swaps.labels("refused").inc()
            _log.error("segments_refused", reason=type(error).__name__)
            self._seen = seen
            return False
        self._seen = seen
        self._swap(found)
        return True

    def _look(self) -> _Seen:
        pointer = self._registry.pointer(SEGMENT_MODEL)
        if pointer.live is None:
            return _Seen(pointer, None)
        try:
            told = profiles_file(self._folder, pointer.live).stat()
        except FileNotFoundError:
            return _Seen(pointer, None)
        return _Seen(pointer, (told.st_ino, told.st_size, told.st_mtime_ns))

    def _read(self, version: int) -> Classification:
        stored = self._registry.load(SEGMENT_MODEL, version)
        profiles = read_profiles(self._folder, version)
        if profiles.head.model != stored.manifest.label:
            raise ProfilesDamaged(f"the profile store of {stored.manifest.label} is that of {profiles.head.model}")
        return Classification(profiles, stored.data)

    def _swap(self, found: Classification) -> None:
        before, self._current = self._current, found
        self._swaps.labels("swapped").inc()
        self._customers.set(len(found.profiles))
        _log.info("segments_swapped", model=found.profiles.head.model, period=found.profiles.head.period)
        for listener in self._listeners:
            try:
                listener(before, found)
            except Exception:  # one listener's trouble is not that of the others, nor of the next swap
                _log.exception("segments_listener_failed")

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.refresh()


def _retrieved(loading: "asyncio.Task[NewcomerScorer]") -> None:
    """A classifier that cannot be loaded is told to each newcomer, if there is another one."""
    if not loading.cancelled():
        loading.exception()
