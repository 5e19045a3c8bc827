"""`gateway join`: joins decisions with their outcomes, in a process of its own."""

import asyncio
import sys
from datetime import timedelta
from typing import Annotated

import typer

from gateway.settings import Settings
from personalization.join.reward import JoinRules, RewardRule


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

    settings = Settings()
    configure_logging(settings.log_level, stream=sys.stderr)
    asyncio.run(_join(settings, join_rules(settings), slack, checkpoint, metrics_port))


def join_rules(settings: Settings) -> JoinRules:
    """The rules of the join, online and offline alike, as the settings have them. Blocks.

    Raises:
        InvalidRules: the file of rules cannot be read.
    """
    from personalization.join.rules_file import read_rules

    window = timedelta(seconds=settings.join_window_s)
    rule = RewardRule(window=window, assume_displayed=settings.join_assume_displayed)
    by_placement = {} if settings.join_rules is None else read_rules(settings.join_rules, rule)
    return JoinRules(rule, by_placement, lateness=timedelta(seconds=settings.join_lateness_s))


async def _join(
    settings: Settings, rules: JoinRules, slack: float, checkpoint: float, metrics_port: int | None
) -> None:
    from gateway.processes import reporting, serve_metrics, until_stopped
    from gateway.telemetry import build_telemetry
    from personalization.clock import SystemClock
    from personalization.hub.sqlite import SqliteHub
    from personalization.hub.sqlite_file import HUB_FILE, HubFile
    from personalization.ids import new_id
    from personalization.join.checkpoints import Checkpoints
    from personalization.join.metrics import JoinMetrics
    from personalization.join.online import JoinPace, OnlineJoin

    telemetry, clock = build_telemetry(settings), SystemClock()
    serve_metrics(telemetry.registry, metrics_port)
    metrics = JoinMetrics(telemetry.registry)
    hub = SqliteHub(HubFile(settings.data_dir / HUB_FILE), clock, new_id)
    online = OnlineJoin(
        hub,
        Checkpoints(settings.data_dir / "join"),
        clock=clock,
        tracer=telemetry.tracer,
        metrics=metrics,
        rules=rules,
        pace=JoinPace(slack=slack, checkpoint=checkpoint),
    )
    try:
        await until_stopped(lambda stop: reporting("join_progress", metrics.summary, online.run(stop)))
    finally:
        await hub.aclose()
        await telemetry.shutdown()
