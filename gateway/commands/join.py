"""`gateway join`: joins decisions with their outcomes, in a process of its own."""

import asyncio
import sys
from typing import Annotated

import typer

from gateway.settings import Settings


def join(
    slack: Annotated[
        float, typer.Option(min=0, help="Seconds that an event may be on its way into the hub; later ones are late.")
    ] = 1.0,
    checkpoint: Annotated[float, typer.Option(min=0.1, help="Seconds between two checkpoints.")] = 5.0,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1 that answers Prometheus; unset, none does.")
    ] = None,
) -> None:
    """Join decisions with their outcomes until Ctrl+C or SIGTERM, and append the rows to the hub.

    Start it as often as the hub has partitions (four, unless it was made with more): the processes share them, and
    take over from one another. What one holds is saved before it leaves; killed with -9 it loses nothing.
    """
    from gateway.logs import configure_logging
    from gateway.loop import joining, perform
    from personalization.join.online import JoinPace

    settings = Settings()
    configure_logging(settings.log_level, stream=sys.stderr)
    asyncio.run(perform(settings, [joining(JoinPace(slack=slack, checkpoint=checkpoint))], metrics_port=metrics_port))
