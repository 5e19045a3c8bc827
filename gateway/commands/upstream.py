"""`gateway upstream`: the embedded shop as a process of its own, behind the REST contract of `docs/upstream.md`."""

import asyncio
import math
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

# Above the time that clients keep idle connections, so that it is they who close them.
_KEEP_ALIVE_S = 30


def upstream(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8001,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the shop's store; left out, GATEWAY_DATA_DIR.", file_okay=False)
    ] = None,
    products: Annotated[
        int | None,
        typer.Option(min=1, help="Serve a shop of so many products, made by varying the real ones."),
    ] = None,
) -> None:
    """Serve the embedded shop over the REST contract until SIGTERM or SIGINT; requests begun by then are finished."""
    import uvicorn

    from gateway.logs import configure_logging
    from gateway.settings import Settings
    from gateway.telemetry import build_telemetry
    from gateway.upstream import build_upstream
    from personalization.clock import SystemClock
    from resolvers.errors import SourceError
    from resolvers.sources.embedded import EmbeddedSource
    from resolvers.sources.embedded_build import prepare_store

    settings, clock = Settings(), SystemClock()
    configure_logging(settings.log_level, stream=sys.stderr)
    telemetry = build_telemetry(settings)
    try:
        store = prepare_store(data_dir or settings.data_dir, _report, products)
    except (SourceError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    app = build_upstream(EmbeddedSource.open(store, clock, telemetry.tracer), clock=clock, tracer=telemetry.tracer)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.drain_timeout_s),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    socket = config.bind_socket()
    typer.echo(f"The embedded shop answers at http://{host}:{socket.getsockname()[1]} (docs/upstream.md)")
    try:
        uvicorn.Server(config).run([socket])
    finally:
        asyncio.run(telemetry.shutdown())


def _report(doing: str, done: int, total: int) -> None:
    typer.echo(f"shop: {doing} ({done}/{total})", err=True)


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends the process without an error: before serving at once; uvicorn raises the signal anew when it has drained."""
    raise SystemExit(0)
