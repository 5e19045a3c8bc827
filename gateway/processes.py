"""What processes beside the gateway share: they work until a signal says to stop, and tell how they are."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import CollectorRegistry, start_http_server

from gateway.server import STOP_SIGNALS, CannotListen

REPORT_EVERY_S = 10.0

_log = structlog.get_logger("gateway.processes")


async def until_stopped(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Do the work, which ends by itself soon after the event that it is handed is set: by SIGTERM or SIGINT.

    A second SIGINT does not wait for it. Raises what the work raises.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask_to_stop(number: signal.Signals) -> None:
        _log.info("stopping", signal=number.name)
        stop.set()
        if number is signal.SIGINT:
            loop.remove_signal_handler(number)

    for each in STOP_SIGNALS:
        loop.add_signal_handler(each, ask_to_stop, each)
    try:
        await work(stop)
    finally:
        for each in STOP_SIGNALS:
            loop.remove_signal_handler(each)


def serve_metrics(registry: CollectorRegistry, port: int | None) -> None:
    """Answer Prometheus on a port of the loopback address, from a thread of its own; None serves none.

    Raises:
        CannotListen: the port is taken.
    """
    if port is None:
        return
    try:
        start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise CannotListen(f"cannot serve metrics on port {port}: {error.strerror}") from error


async def reporting(event: str, samples: Callable[[], dict[str, float]], work: Awaitable[None]) -> None:
    """Do the work, and log the samples under this event now and then while they change, and at the end."""
    before: dict[str, float] = {}
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.wait({task}, timeout=REPORT_EVERY_S)
        now = samples()
        if now != before:
            _log.info(event, **now)
        before = now
    await task
