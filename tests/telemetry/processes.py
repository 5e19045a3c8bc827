"""Real gateway processes for tests."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

Line = dict[str, Any]


class GatewayProcess:
    """The small app served by its own process; its log lines can be waited for."""

    def __init__(self, **settings: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        environment = {**kept, "GATEWAY_PORT": "0", "PYTHONPATH": str(ROOT), **settings}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.telemetry.small_app"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[Line] = []
        self.errors: list[str] = []
        self._arrived: queue.Queue[Line | None] = queue.Queue()
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self._arrived.put(json.loads(text))
        self._arrived.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    def wait_for(self, event: str, times: int = 1) -> Line:
        """The log line of the `times`-th event of that name among those not waited for yet."""
        for _ in range(times):
            line = self._next(event)
        return line

    def _next(self, event: str) -> Line:
        while (line := self._arrived.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
            if line["event"].startswith(event):
                return line
        raise AssertionError(f"the process ended without {event!r}: {self.lines} {self.errors}")

    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.wait_for('listening')['port']}"

    def terminate(self) -> None:
        """Ask it to drain."""
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Its exit code, once it ended; all its lines are in `lines` then."""
        code = self.process.wait(PATIENCE_S)
        while (line := self._arrived.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
        return code


@contextmanager
def gateway_process(**settings: str) -> Iterator[GatewayProcess]:
    """A process with these environment variables, ended when the block is left."""
    running = GatewayProcess(**settings)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        for stream in (running.process.stdout, running.process.stderr):
            assert stream is not None
        for reader in running._readers:
            reader.join(PATIENCE_S)
        for stream in (running.process.stdout, running.process.stderr):
            if stream is not None:
                stream.close()
