"""Where the embedded shop's blocking work is done: a few threads, each with connections of its own."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from opentelemetry.trace import SpanKind, Tracer

from personalization.clock import Clock, Deadline
from personalization.errors import DeadlineExceeded
from resolvers.errors import SourceUnavailable
from resolvers.sources.embedded_baskets import BasketStore
from resolvers.sources.embedded_queries import Reader

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """What one thread works with."""

    reader: Reader
    baskets: BasketStore


class Desks:
    """Runs work on a desk, off the event loop, and gives up at the deadline."""

    def __init__(self, catalogue: Path, baskets: Path, clock: Clock, tracer: Tracer, threads: int) -> None:
        self._catalogue = catalogue
        self._baskets = baskets
        self._clock = clock
        self._tracer = tracer
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embedded-shop")
        self._mine = threading.local()
        self._open: list[Desk] = []
        self._closed = False

    async def run(self, doing: str, work: Callable[[Desk], T], deadline: Deadline) -> T:
        """What the work returns. `doing` names it in errors and spans.

        Work that is late is interrupted where it reads; a write that was committed late stays.

        Raises:
            DeadlineExceeded: the deadline passed, waiting for a thread included.
            SourceUnavailable: SQLite failed, or this was closed.
        """
        left = deadline.check(doing)
        if self._closed:
            raise SourceUnavailable("the embedded shop is closed")
        loop = asyncio.get_running_loop()
        with self._tracer.start_as_current_span(f"embedded {doing}", kind=SpanKind.CLIENT, attributes=_SQLITE):
            try:
                async with asyncio.timeout(left):
                    return await loop.run_in_executor(self._pool, self._work, doing, work, deadline)
            except TimeoutError as error:
                raise DeadlineExceeded(f"time ran out while {doing}") from error

    async def aclose(self) -> None:
        """Wait for what runs, then let go of threads and files; safe to call twice."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)
        while self._open:
            desk = self._open.pop()
            desk.reader.close()
            desk.baskets.close()

    def _work(self, doing: str, work: Callable[[Desk], T], deadline: Deadline) -> T:
        deadline.check(doing)
        try:
            desk = self._desk()
            desk.reader.until(deadline)
            return work(desk)
        except sqlite3.Error as error:
            # SQLite gives up on a lock a little before the time it was told to wait is over.
            if deadline.remaining() <= 0.0 or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise DeadlineExceeded(f"time ran out while {doing}") from error
            raise SourceUnavailable(f"the embedded shop failed while {doing}: {error}") from error

    def _desk(self) -> Desk:
        """This thread's desk, made when it is first needed."""
        desk: Desk | None = getattr(self._mine, "desk", None)
        if desk is None:
            desk = Desk(Reader(self._catalogue), BasketStore(self._baskets, self._clock))
            self._mine.desk = desk
            self._open.append(desk)
        return desk


_SQLITE = {"db.system.name": "sqlite"}
