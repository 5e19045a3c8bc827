"""Flags that follow their folder: the long-lived part that everything else asks for the set in use."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from weakref import ReferenceType, ref

import structlog
from prometheus_client import CollectorRegistry

from flags.collecting import CollectorPause
from flags.definitions import Definitions, read_definitions
from flags.errors import DefinitionsUnreadable, ReaderFailed
from flags.evaluation import CompiledFlag, FlagSet, compiled_flags
from flags.files import Pace, Signature, signature_of
from flags.metrics import FlagMetrics
from flags.reading import Turns, read_apart
from flags.vocabulary import Vocabulary
from personalization.clock import Clock, SystemClock
from personalization.listeners import Listeners

POLL_SECONDS = 0.1
MOST_LOOKS = 5
DEMO_DIRECTORY = Path(__file__).with_name("demo")
Listener = Callable[[FlagSet], None]
Reader = Callable[[Path, Vocabulary, Definitions], Awaitable[Definitions]]

log = structlog.get_logger()


class Flags:
    """The flags in use. Take `snapshot` once for all that must agree; it is swapped whole and never changes.

    The folder is looked at every `poll_seconds`. What changed is read and checked in a process of its own, and taken
    over in small turns on the loop, so that no question waits for it.
    """

    def __init__(
        self,
        directory: Path,
        metrics: FlagMetrics,
        vocabulary: Vocabulary,
        clock: Clock,
        poll_seconds: float,
        reader: Reader,
    ) -> None:
        self.metrics = metrics
        self._directory = directory
        self._vocabulary = vocabulary
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._reader = reader
        self._signature: Signature | None = None
        self._seen: Signature | None = None
        self._looks = 0
        self._snapshot = FlagSet(Definitions(), clock)
        self._collector = CollectorPause()
        self._replaced: list[tuple[ReferenceType[FlagSet], list[CompiledFlag]]] = []
        self._listeners: Listeners[Listener] = Listeners()
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
        reader: Reader = read_apart,
    ) -> "Flags":
        """Read the folder and begin to watch it. Refused flags do not stop it: see `definitions.refused`.

        It is read here once, and by `reader` from then on; where that fails, in a thread of this process.

        Raises:
            DefinitionsUnreadable: the folder cannot be read.
        """
        words, metrics = vocabulary or Vocabulary(), FlagMetrics(registry)
        flags = cls(directory, metrics, words, clock or SystemClock(), poll_seconds, reader)
        await flags._load(flags._read_here)
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
        return self._listeners.add(listener)

    async def reload(self) -> FlagSet:
        """Read the folder now, and give what is in use then.

        Raises:
            DefinitionsUnreadable: the folder cannot be read; what was in use stays.
        """
        with self._collector.pause():
            return await self._load(self._read_apart)

    async def look(self) -> bool:
        """Whether the folder is another than the one in use and looks as it did the last time.

        So files that change together are read together. One that never rests is to be read after `MOST_LOOKS`.

        Raises:
            DefinitionsUnreadable: the folder cannot be read.
        """
        seen, self._seen = self._seen, await asyncio.to_thread(signature_of, self._directory)
        if self._seen == self._signature:
            self._looks = 0
            return False
        self._looks += 1
        rests = seen == self._seen or self._looks >= MOST_LOOKS
        if rests:
            self._looks = 0
        return rests

    async def aclose(self) -> None:
        """Stop watching; the last set stays. Safe to call twice."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        self._collector.end()

    async def _load(self, read: Callable[[], Awaitable[Definitions]]) -> FlagSet:
        async with self._lock:
            try:
                # Before the reading: a change during it must be seen as a change after it.
                signature = await asyncio.to_thread(signature_of, self._directory)
                definitions = await read()
            except DefinitionsUnreadable:
                self.metrics.reloaded("failed")
                raise
            self._signature = signature
            self._take(await self._compiled(definitions))
        return self._snapshot

    async def _read_here(self) -> Definitions:
        return await asyncio.to_thread(read_definitions, self._directory, self._vocabulary, self.definitions, Pace())

    async def _read_apart(self) -> Definitions:
        try:
            return await self._reader(self._directory, self._vocabulary, self.definitions)
        except ReaderFailed as error:
            log.warning("flags_reader_failed", reason=str(error))
            return await self._read_here()

    async def _compiled(self, definitions: Definitions) -> FlagSet:
        turns = Turns()
        compiled = []
        for flag in compiled_flags(definitions, self._snapshot):
            compiled.append(flag)
            await turns.step()
        return FlagSet(definitions, self._clock, compiled=compiled)

    def _take(self, fresh: FlagSet) -> None:
        last, self._snapshot = self._snapshot, fresh
        self._replaced.append((ref(last), list(last.flags.values())))
        self.metrics.serving(fresh.definitions)
        changed = last.version != fresh.version
        refused = fresh.definitions.refused
        self.metrics.reloaded("refused" if refused else "changed" if changed else "same")
        for refusal in set(refused) - set(last.definitions.refused):
            log.warning("flag_refused", file=refusal.file, flag=refusal.flag, reason=refusal.reason)
        if changed:
            log.info("flags_changed", version=fresh.version[:12], flags=len(fresh.flags), refused=len(refused))
            for listener in self._listeners:
                listener(fresh)

    async def _forget(self) -> None:
        """Let go of replaced sets that nobody asks any more, flag by flag: a large one at once takes milliseconds."""
        turns = Turns()
        for replaced in [each for each in self._replaced if each[0]() is None]:
            self._replaced.remove(replaced)
            flags = replaced[1]
            while flags:
                flags.pop()
                await turns.step()

    async def _watch(self) -> None:
        unreadable = False
        while True:
            # Soon again where something changed just now, to see whether it rests.
            await asyncio.sleep(self._poll_seconds / (4 if self._looks else 1))
            await self._forget()
            try:
                if await self.look():
                    await self.reload()
                unreadable = False
            except DefinitionsUnreadable as error:
                if not unreadable:
                    log.error("flags_unreadable", reason=str(error), version=self._snapshot.version[:12])
                unreadable = True
            except Exception:  # the watcher must outlive whatever one reading does
                log.exception("flags_reload_failed", version=self._snapshot.version[:12])
