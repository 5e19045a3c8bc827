"""Servers of their own for a measurement, stopped when it is over."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

STARTUP_S = 60.0


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def server(arguments: list[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    """Run `python -m ...` until the block ends; begins once it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        # One hash seed for all: the order of sets and dicts must not be what is measured.
        # Nor is it what learns beside the server, for which there is a bench of its own.
        env={**os.environ, "PYTHONHASHSEED": "0", "GATEWAY_LEARNING": "false", **environment},
        stdout=subprocess.DEVNULL,
    )
    with answering(process, port):
        yield port


@contextmanager
def gateway_server(environment: dict[str, str]) -> Iterator[int]:
    """A gateway, as `gateway serve` runs it with these settings, at the port that is given."""
    port = free_port()
    with server(["gateway", "serve", "--port", str(port)], port, environment):
        yield port


@contextmanager
def stock_server(environment: dict[str, str]) -> Iterator[int]:
    """Stock Strawberry over the same parts, and the floor (bench/stock.py), at the port that is given."""
    port = free_port()
    arguments = ["uvicorn", "--factory", "bench.stock:create_app", "--port", str(port), "--no-access-log"]
    with server([*arguments, "--log-level", "warning"], port, environment):
        yield port


@contextmanager
def answering(process: subprocess.Popen[bytes], port: int) -> Iterator[None]:
    """Begins once the process answers at the port, and stops it in the end."""
    try:
        wait_for(f"http://127.0.0.1:{port}/", process)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Return once something answers at the address; RuntimeError when the process ends or takes too long."""
    until = time.monotonic() + STARTUP_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it was ready")
        try:
            with urlopen(address, timeout=1):
                return
        except HTTPError:
            return  # whatever it says, it answers
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"{address} was not ready within {STARTUP_S:.0f} s")
