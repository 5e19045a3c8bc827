"""The two threads that use the hub's file: one writes for everybody, one reads, and the event loop never waits."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from personalization.errors import HubUnavailable, InvalidEvent, PersonaError
from personalization.hub.sqlite_file import HubFile

T = TypeVar("T")

_MOST_TOGETHER = 1_000


@dataclass(frozen=True, slots=True)
class _Job:
    """Work for the writer, and who waits for its result."""

    work: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Any]"


class Writer:
    """One thread and one connection: whatever waits when a transaction begins is committed together in it.

    The file is opened at the first write, and again after an error, so a hub comes back by itself when its disk does.
    """

    def __init__(self, file: HubFile) -> None:
        self._file = file
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` inside a write transaction; its result, once that is durable.

        `work` may run twice: when another one in the same transaction fails, each gets its own.

        Raises:
            HubUnavailable: the file cannot be written, too many others wait already, or the writer is closed.
            InvalidEvent: `work` holds a value that SQLite cannot take.
        """
        if self._closed:
            raise HubUnavailable("the hub is closed")
        if self._jobs.qsize() >= self._file.waiting:
            raise HubUnavailable(f"{self._file.waiting} writes wait already, try again later")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, loop, answer))
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="hub writer", daemon=True)
            self._thread.start()
        return await answer

    async def aclose(self) -> None:
        """Commit what waits, close the file, end the thread. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        more = True
        while more:
            first = self._jobs.get()
            jobs, more = self._waiting(first)
            if jobs:
                self._write(jobs)
        self._drop_connection()

    def _waiting(self, first: _Job | None) -> tuple[list[_Job], bool]:
        """The first job and those that wait behind it, and whether the thread goes on."""
        jobs: list[_Job] = []
        job = first
        while job is not None:
            jobs.append(job)
            if len(jobs) >= _MOST_TOGETHER:
                return jobs, True
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _write(self, jobs: Sequence[_Job]) -> None:
        try:
            connection = self._begun()
        except Exception as error:  # the thread must live, whoever waits is told
            self._fail(jobs, error)
            return
        try:
            results = [job.work(connection) for job in jobs]
            connection.execute("COMMIT")
        except Exception as error:
            self._roll_back(connection, error)
            self._retry_alone(jobs, error)
        else:
            _settle([(job, result, None) for job, result in zip(jobs, results, strict=True)])

    def _begun(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._file.open()
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def _retry_alone(self, jobs: Sequence[_Job], error: Exception) -> None:
        """Let only the guilty one fail."""
        if len(jobs) == 1:
            self._fail(jobs, error)
            return
        for job in jobs:
            self._write([job])

    def _fail(self, jobs: Sequence[_Job], error: Exception) -> None:
        if isinstance(error, sqlite3.Error):
            self._drop_connection()
        _settle([(job, None, told(error)) for job in jobs])

    def _roll_back(self, connection: sqlite3.Connection, error: Exception) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:  # whatever state it is in, a new one is not
            self._drop_connection()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Reader:
    """One thread and one connection that read; opened at the first read, and again after an error."""

    def __init__(self, file: HubFile) -> None:
        self._file = file
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hub reader")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in the reading thread.

        Raises:
            HubUnavailable: the file cannot be read, or the reader is closed.
        """
        if self._closed:
            raise HubUnavailable("the hub is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, work)

    async def aclose(self) -> None:
        """Close the file and end the thread. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._pool.submit(self._drop_connection)
        await asyncio.to_thread(self._pool.shutdown)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._file.open()
            return work(self._connection)
        except (sqlite3.Error, OSError) as error:
            self._drop_connection()
            raise told(error) from error

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def told(error: Exception) -> PersonaError:
    """The error of our tree for one of SQLite, the disk or a value, with its cause."""
    told_error: PersonaError
    match error:
        case PersonaError():
            return error
        case sqlite3.Error() | OSError():
            told_error = HubUnavailable(f"the hub's file cannot be used: {error}")
        case _:
            told_error = InvalidEvent(f"an event cannot be stored: {error}")
    told_error.__cause__ = error
    return told_error


def _settle(answers: Sequence[tuple[_Job, Any, PersonaError | None]]) -> None:
    """Tell those who wait, with one wake-up an event loop."""
    for loop in {job.loop for job, _, _ in answers}:
        mine = [answer for answer in answers if answer[0].loop is loop]
        try:
            loop.call_soon_threadsafe(_answer, mine)
        except RuntimeError:  # the loop was closed: nobody waits any more
            continue


def _answer(answers: Sequence[tuple[_Job, Any, PersonaError | None]]) -> None:
    for job, result, error in answers:
        if job.answer.done():  # its caller was cancelled
            continue
        if error is None:
            job.answer.set_result(result)
        else:
            job.answer.set_exception(error)
