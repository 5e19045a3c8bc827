"""Runs the gateway: one process or several on one listening socket, and a drain that cuts nothing off.

On SIGTERM a process first says 503 on `/ready` and `Connection: close` on every answer, while it still takes requests:
for `LINGER_S` seconds, in which a load balancer turns away. Then it closes its listener (new connections are refused),
finishes the requests it has, streams included, and exits with 0. Requests that last beyond `drain_timeout_s` are
cancelled; a process that still does not end is ended `EXIT_AFTER_S` seconds later, with 1. On SIGINT (Ctrl+C) it does
not linger; a second one stops at once.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Protocol

import structlog
from prometheus_client.multiprocess import mark_process_dead
from pydantic import SecretStr
from uvicorn import Config, Server

from gateway.companion import Companion, write_companion
from gateway.errors import StartRefused
from gateway.logs import configure_logging
from gateway.settings import Settings
from gateway.telemetry import MULTIPROCESS_DIR

FACTORY = "gateway.app:create_app"
PREFIX = "GATEWAY_"
STARTUP_FAILURE = 3
BACKLOG = 2048
LINGER_S = 1.0
SETTLE_S = 0.2
EXIT_AFTER_S = 5.0
KILL_AFTER_S = 8.0
SHORT_LIFE_S = 5.0
LONGEST_PAUSE_S = 5.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger("gateway.server")


class CannotListen(StartRefused):
    """The address to listen on is taken or is not one of this machine's; the cause says which."""


class Drainable(Protocol):
    """What the application keeps in its lifespan's state under `readiness`."""

    def drain(self) -> None:
        """Say from now on that no more requests should be sent here."""
        ...


def serve(settings: Settings, factory: str = FACTORY, beside: str | None = None) -> None:
    """Serve until a signal says to stop; returns after a clean drain.

    `factory` names a function without arguments that makes the ASGI application from the environment; the settings are
    put there for it and for every worker. `beside` names a module that is run in a process of its own for as long as
    the workers are, and started anew when it ends.

    Raises:
        CannotListen: the address cannot be listened on.
        SystemExit: the application did not start; the code is not 0.
    """
    configure_logging(settings.log_level)
    write_environment(settings)
    listener = listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    log.info("listening", host=host, port=port, workers=settings.workers, open=f"http://{browsable(host)}:{port}/")
    if settings.workers == 1 and beside is None:
        run_worker(settings, factory, listener)
    else:
        supervise(settings, factory, listener, beside)
    log.info("stopped")


def write_environment(settings: Settings) -> None:
    """Make the environment say what the settings say, so that `Settings()` anywhere below gives the same."""
    for name in type(settings).model_fields:
        variable = f"{PREFIX}{name.upper()}"
        text = _as_text(getattr(settings, name))
        if text is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = text


def _as_text(value: object) -> str | None:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return None if value is None else str(value)


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host} port {port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


def browsable(host: str) -> str:
    """What to type into a browser on this machine to get to an address that is listened on."""
    return "localhost" if host in ("127.0.0.1", "0.0.0.0", "::", "::1") else host  # noqa: S104


class DrainingServer(Server):
    """Uvicorn's server that tells readiness before it closes the listener, and exits with 0 after a signal."""

    def __init__(self, config: Config, drain_timeout_s: float, watched: int | None = None) -> None:
        super().__init__(config)
        self._drain_timeout_s = drain_timeout_s
        self._watched = watched
        self._lingers = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving; unlike the base class, do not die of them afterwards."""
        before = {each: signal.signal(each, self.handle_exit) for each in STOP_SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain, or, at the second SIGINT, to leave at once."""
        self._lingers = self._lingers and sig != signal.SIGINT
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, watching the pipe from the supervisor: when it closes, the supervisor is gone."""
        await super().startup(sockets)
        # What is there now stays: to look through it for garbage again and again takes 40 ms each time.
        gc.collect()
        gc.freeze()
        log.info("serving", pid=os.getpid())
        if self._watched is not None:
            asyncio.get_running_loop().add_reader(self._watched, self._on_orphaned, self._watched)

    def _on_orphaned(self, pipe: int) -> None:
        asyncio.get_running_loop().remove_reader(pipe)
        log.warning("supervisor_gone")
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain as the module says."""
        readiness: Drainable | None = self.lifespan.state.get("readiness")
        if readiness is not None:
            readiness.drain()
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        linger = min(LINGER_S, self._drain_timeout_s / 4) if self._lingers else 0.0
        log.info("draining", in_flight=len(self.server_state.tasks))
        self._watch_exit()
        await asyncio.sleep(linger)
        await self._close_listeners(sockets or [])
        # Uvicorn declares whole seconds, and hands them to `asyncio.wait_for`, which takes any.
        self.config.timeout_graceful_shutdown = self._drain_timeout_s - linger  # type: ignore[assignment]
        await super().shutdown(sockets)

    async def _close_listeners(self, sockets: list[socket.socket]) -> None:
        """Refuse new connections, and let the last that came say what they want: idle ones are closed next."""
        for server in self.servers:
            server.close()
        for each in sockets:
            each.close()
        await asyncio.sleep(SETTLE_S)

    def _watch_exit(self) -> None:
        """End the process when it does not end by itself: a thread that is stuck would keep it for ever."""
        watchdog = threading.Timer(self._drain_timeout_s + EXIT_AFTER_S, force_exit)
        watchdog.daemon = True
        watchdog.start()


def force_exit() -> None:
    """End this process now, with 1."""
    log.error("exit_forced")
    os._exit(1)


def run_worker(settings: Settings, factory: str, listener: socket.socket, watched: int | None = None) -> None:
    """Serve in this process on a bound socket until a signal, or the end of the pipe `watched`.

    Raises:
        SystemExit: the application did not start; the log says why, the code is `STARTUP_FAILURE`.
    """
    config = Config(
        factory,
        factory=True,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        workers=1,
    )
    server = DrainingServer(config, settings.drain_timeout_s, watched)
    try:
        server.run([listener])
    except Exception as error:
        if server.started:
            raise
        log.error("start_failed", reason=f"{type(error).__qualname__}: {error}")
        raise SystemExit(STARTUP_FAILURE) from error


def supervise(settings: Settings, factory: str, listener: socket.socket, beside: str | None = None) -> None:
    """Keep `settings.workers` processes serving on the socket, and one beside them, with one set of metrics."""
    with tempfile.TemporaryDirectory(prefix="gateway-metrics-") as directory:
        code = asyncio.run(Supervisor(settings, factory, listener, Path(directory), beside).run())
    if code:
        raise SystemExit(code)


class Supervisor:
    """Starts the workers, starts others for those that die, and drains all of them on a signal."""

    def __init__(
        self, settings: Settings, factory: str, listener: socket.socket, metrics: Path, beside: str | None = None
    ) -> None:
        self._settings = settings
        self._factory = factory
        self._listener = listener
        self._metrics = metrics
        self._beside = beside
        self._begun = 0
        self._stop = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Supervise until a signal or a worker that cannot start; gives the exit code."""
        loop = asyncio.get_running_loop()
        for each in STOP_SIGNALS:
            loop.add_signal_handler(each, self._stop.set)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._settings.workers):
                    group.create_task(self._keep(self._worker))
                if self._beside is not None:
                    group.create_task(self._keep(self._companion))
                await self._stop.wait()
                # The workers hold the socket; with this copy open, what comes after they closed theirs would hang.
                self._listener.close()
        finally:
            for each in STOP_SIGNALS:
                loop.remove_signal_handler(each)
        return self._code

    async def _keep(self, life: Callable[[], Awaitable[None]]) -> None:
        """Keep one process alive, pausing ever longer while it does not live long."""
        pause = 0.1
        while not self._stop.is_set():
            began = asyncio.get_running_loop().time()
            await life()
            if self._stop.is_set():
                return
            pause = 0.1 if asyncio.get_running_loop().time() - began > SHORT_LIFE_S else min(pause * 2, LONGEST_PAUSE_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)

    async def _worker(self) -> None:
        """The life of one worker; one that cannot start ends all."""
        number = self._listener.fileno()
        code = await self._live(await self._started("gateway.server", str(number), self._factory, fds=(number,)))
        if code == STARTUP_FAILURE:
            self._code = code
            self._stop.set()

    async def _companion(self) -> None:
        """The life of the process beside the workers; they serve without it, and `/ready` says so."""
        process = await self._started(str(self._beside))
        self._begun += 1
        write_companion(self._metrics, Companion("running", self._begun))
        await self._live(process)
        write_companion(self._metrics, Companion("restarting", self._begun))

    async def _started(self, module: str, *arguments: str, fds: tuple[int, ...] = ()) -> asyncio.subprocess.Process:
        environment: Mapping[str, str] = {**os.environ, MULTIPROCESS_DIR: str(self._metrics)}
        command = (sys.executable, "-m", module, *arguments)
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, pass_fds=fds, env=environment
        )

    async def _live(self, process: asyncio.subprocess.Process) -> int:
        """Until the process's end, which a stop brings about; its exit code."""
        ended, stopped = asyncio.ensure_future(process.wait()), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            with suppress(ProcessLookupError):  # it may have ended by itself, and nobody was told yet
                process.terminate()
            await asyncio.wait({ended}, timeout=self._settings.drain_timeout_s + KILL_AFTER_S)
        if not ended.done():
            log.error("worker_killed", pid=process.pid)
            with suppress(ProcessLookupError):
                process.kill()
        code = await ended
        stopped.cancel()
        mark_process_dead(process.pid, str(self._metrics))  # type: ignore[no-untyped-call]
        if not self._stop.is_set():
            log.error("worker_ended", pid=process.pid, code=code)
        return code


def main(arguments: list[str]) -> None:
    """The worker's command: the number of the socket and the name of the factory, settings from the environment."""
    number, factory = arguments
    settings = Settings()
    configure_logging(settings.log_level)
    run_worker(settings, factory, socket.socket(fileno=int(number)), watched=sys.stdin.fileno())


if __name__ == "__main__":
    main(sys.argv[1:])
