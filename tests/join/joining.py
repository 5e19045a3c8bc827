"""A process that joins until it is killed."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from personalization.clock import SystemClock
from personalization.hub.consumer import Pace
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.ids import new_id
from personalization.join.checkpoints import Checkpoints
from personalization.join.joiner import JoinLimits
from personalization.join.metrics import JoinMetrics
from personalization.join.online import JoinPace, OnlineJoin
from personalization.join.reward import JoinRules, RewardRule

LEASE = 0.6
RULES = JoinRules(RewardRule(window=timedelta(milliseconds=400)), lateness=timedelta(milliseconds=100))
SLACK = 3.0


async def join_for_ever(folder: Path) -> None:
    hub = SqliteHub(HubFile(folder / "hub.sqlite3", busy=30.0), SystemClock(), new_id, pace=Pace(lease=LEASE))
    online = OnlineJoin(
        hub,
        Checkpoints(folder / "join"),
        clock=SystemClock(),
        tracer=NoOpTracer(),
        metrics=JoinMetrics(CollectorRegistry()),
        rules=RULES,
        limits=JoinLimits(patience=timedelta(seconds=5)),
        pace=JoinPace(slack=SLACK, wait=0.02, checkpoint=0.1, batch=40, rows=10),
    )
    await online.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(join_for_ever(Path(sys.argv[1])))
