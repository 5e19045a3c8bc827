"""Writing in a process of its own: answers then share no interpreter with what writes to the hub's file.

One process beside each that answers. It is started when there is something to write, and again when it is gone; it
ends by itself as soon as whoever started it does, once it has written what it was handed.

It takes only the time of the processors that nobody wants. Where there is none it would wait for ever, and hold the
file's lock: a write that takes too long is therefore given to another, which takes its share like everybody.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import orjson
import structlog

from personalization.errors import HubUnavailable, InvalidEvent
from personalization.hub.sqlite_file import HubFile
from personalization.journal.frames import Answer, Verdict, frame_of

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WriterTimes:
    """How long a process that writes may take, in seconds.

    `idle` is the longest that a write may take one that waits for idle time; after one that took longer, writing is
    done by one that does not wait, for `hurry`. `longest` is the longest that any write, and any start, may take, and
    `closing` that ending may.
    """

    idle: float = 0.25
    hurry: float = 10.0
    longest: float = 30.0
    closing: float = 5.0


@dataclass(frozen=True, slots=True)
class _Running:
    process: Process
    idle: bool


class WriterProcess:
    """A `JournalWriter` that has a process write to the hub's file. Use it from one event loop, after the fork."""

    def __init__(self, file: HubFile, times: WriterTimes | None = None) -> None:
        self._file = file
        self._times = times or WriterTimes()
        self._running: _Running | None = None
        self._one = asyncio.Lock()
        self._hurried_until = 0.0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The number of the process that writes now; None while there is none."""
        return None if self._running is None else self._running.process.pid

    @property
    def waits_for_idle_time(self) -> bool:
        """Whether writing is left to the time that nobody wants, as it is unless there was none lately."""
        return asyncio.get_running_loop().time() >= self._hurried_until

    async def write(self, topic: str, parcels: Sequence[bytes]) -> None:
        """As `JournalWriter.write`; `HubUnavailable` too when the process ends or takes too long."""
        frame = frame_of(topic, parcels)
        async with self._one:
            answer = await self._answer(frame)
        match answer.verdict:
            case Verdict.UNAVAILABLE:
                raise HubUnavailable(answer.why)
            case Verdict.REFUSED:
                raise InvalidEvent(answer.why)

    async def aclose(self) -> None:
        """Have the process end, and wait for that. Safe to call twice."""
        self._closed = True
        await self._retire()

    async def _answer(self, frame: bytes) -> Answer:
        if self.waits_for_idle_time:
            with suppress(TimeoutError):
                return await self._asked(frame, idle=True, within=self._times.idle)
            self._hurried_until = asyncio.get_running_loop().time() + self._times.hurry
            _log.info("journal_finds_no_idle_time", hurries_for_s=self._times.hurry)
        try:
            return await self._asked(frame, idle=False, within=self._times.longest)
        except TimeoutError as error:
            raise HubUnavailable(f"writing took longer than {self._times.longest:g} s") from error

    async def _asked(self, frame: bytes, *, idle: bool, within: float) -> Answer:
        """What the process answers; TimeoutError where that takes it too long, and then it is gone."""
        if self._closed:
            raise HubUnavailable("the journals' writer is closed")
        try:
            process = await self._process(idle=idle)
            async with asyncio.timeout(within):
                return await _exchange(process, frame)
        except TimeoutError:
            await self._end()
            raise
        except (OSError, EOFError) as error:
            await self._end()
            raise HubUnavailable(f"the process that writes has ended: {error!r}") from error
        except BaseException:  # half of an exchange would be left in its pipes
            await self._end()
            raise

    async def _process(self, *, idle: bool) -> Process:
        """The process of that kind, once it is ready."""
        if self._running is not None and self._running.idle is not idle:
            await self._retire()
        if self._running is None:
            process = await asyncio.create_subprocess_exec(*self._command(idle=idle), stdin=PIPE, stdout=PIPE)
            self._running = _Running(process, idle)
            async with asyncio.timeout(self._times.longest):
                await _line(process)
        return self._running.process

    def _command(self, *, idle: bool) -> list[str]:
        file = self._file
        command = [sys.executable, "-m", "personalization.journal", f"--file={file.path}"]
        command += [f"--partitions={file.partitions}", f"--busy={file.busy}"]
        if file.max_bytes is not None:
            command.append(f"--max-bytes={file.max_bytes}")
        return [*command, "--idle"] if idle else command

    async def _retire(self) -> None:
        """Have the process end once it has written what it was handed."""
        if self._running is None:
            return
        process = self._running.process
        if process.stdin is not None:
            process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._times.closing):
                await process.wait()
        await self._end()

    async def _end(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        with suppress(ProcessLookupError):
            running.process.kill()
        code = await running.process.wait()
        if code != 0:
            _log.warning("journal_process_ended", code=code)


async def _exchange(process: Process, frame: bytes) -> Answer:
    if process.stdin is None:
        raise EOFError("nothing can be written to it")
    process.stdin.write(frame)
    await process.stdin.drain()
    return Answer(**orjson.loads(await _line(process)))


async def _line(process: Process) -> bytes:
    line = b"" if process.stdout is None else await process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError("it says no more")
    return line
