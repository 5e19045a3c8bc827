"""Flags that follow their folder: the long-lived part that everything else asks for the set in use."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from flags.definitions import Definitions, read_definitions
from flags.errors import DefinitionsUnreadable
from flags.evaluation import FlagSet
from flags.files import Pace, Signature, signature_of
from flags.metrics import FlagMetrics
from flags.vocabulary import Vocabulary
from personalization.clock import Clock, SystemClock

POLL_SECONDS = 0.25
DEMO_DIRECTORY = Path(__file__).with_name("demo")
Listener = Callable[[FlagSet], None]

log = structlog.get_logger()


class Flags:
    """The flags in use. Take `snapshot` once for all that must agree; it is swapped whole and never changes.

    The folder is looked at every `poll_seconds`; reading and compiling happen in a thread that gives way often.
    """

    def __init__(
        self, directory: Path, metrics: FlagMetrics, vocabulary: Vocabulary, clock: Clock, poll_seconds: float
    ) -> None:
        self.metrics = metrics
        self._directory = directory
        self._vocabulary = vocabulary
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._signature: Signature | None = None
        self._snapshot = FlagSet(Definitions(), clock)
        self._listeners: list[Listener] = []
        self._lock = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        directory: Path,
        registry: CollectorRegistry,
        *,
        vocabulary: Vocabulary | None = None,
        clock: Clock | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> "Flags":
        """Read the folder and begin to watch it. Refused flags do not stop it: see `definitions.refused`.

        Raises:
            DefinitionsUnreadable: the folder cannot be read.
        """
        flags = cls(directory, FlagMetrics(registry), vocabulary or Vocabulary(), clock or SystemClock(), poll_seconds)
        await flags.reload()
        flags._watcher = asyncio.create_task(flags._watch(), name="flags-watcher")
        return flags

    @property
    def snapshot(self) -> FlagSet:
        """The set in use at this moment."""
        return self._snapshot

    @property
    def definitions(self) -> Definitions:
        """The definitions in use, with what is refused."""
        return self._snapshot.definitions

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called on the loop with each new set; the answer ends that. It must not raise or block."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return unsubscribe

    async def reload(self) -> FlagSet:
        """Read the folder now, and give what is in use then.

        Raises:
            DefinitionsUnreadable: the folder cannot be read; what was in use stays.
        """
        async with self._lock:
            try:
                # Before the reading: a change during it must be seen as a change after it.
                signature = await asyncio.to_thread(signature_of, self._directory)
                fresh = await asyncio.to_thread(self._read)
            except DefinitionsUnreadable:
                self.metrics.reloaded("failed")
                raise
            self._signature = signature
            self._take(fresh)
        return self._snapshot

    async def aclose(self) -> None:
        """Stop watching; the last set stays. Safe to call twice."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    def _read(self) -> FlagSet:
        last = self._snapshot
        definitions = read_definitions(self._directory, self._vocabulary, last.definitions, Pace())
        return FlagSet(definitions, self._clock, last)

    def _take(self, fresh: FlagSet) -> None:
        last, self._snapshot = self._snapshot, fresh
        self.metrics.serving(fresh.definitions)
        changed = last.version != fresh.version
        refused = fresh.definitions.refused
        self.metrics.reloaded("refused" if refused else "changed" if changed else "same")
        for refusal in set(refused) - set(last.definitions.refused):
            log.warning("flag_refused", file=refusal.file, flag=refusal.flag, reason=refusal.reason)
        if changed:
            log.info("flags_changed", version=fresh.version[:12], flags=len(fresh.flags), refused=len(refused))
            for listener in tuple(self._listeners):
                listener(fresh)

    async def _watch(self) -> None:
        unreadable = False
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                if await asyncio.to_thread(signature_of, self._directory) != self._signature:
                    await self.reload()
                unreadable = False
            except DefinitionsUnreadable as error:
                if not unreadable:
                    log.error("flags_unreadable", reason=str(error), version=self._snapshot.version[:12])
                unreadable = True
            except Exception:  # the watcher must outlive whatever one reading does
                log.exception("flags_reload_failed", version=self._snapshot.version[:12])
