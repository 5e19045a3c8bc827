"""The learning loop: processes that join, learn and fill the lake, each alone or all in one, away from requests."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from gateway.join_rules import RuleSource, join_by
from gateway.processes import reporting, serve_metrics, until_stopped
from gateway.settings import PolicyMode, Settings
from gateway.telemetry import Telemetry, build_telemetry
from personalization.bandit.vw import VwLearner
from personalization.bandit.vw_settings import VwSettings
from personalization.clock import Clock, SystemClock
from personalization.events import ShelfAction
from personalization.file_lock import alone
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import Hub
from personalization.ids import new_id
from personalization.join.checkpoints import Checkpoints
from personalization.join.metrics import JoinMetrics
from personalization.join.online import JoinPace, OnlineJoin
from personalization.join.reward import JoinRules
from personalization.lake.layout import Lake
from personalization.lake.writer import LakeMetrics, LakePace, LakeWriter
from personalization.learning.metrics import LearnMetrics
from personalization.learning.online import LearnPace, Models, OnlineLearner
from personalization.learning.trainer import ModelTrainer
from personalization.registry import COMPONENT_MODEL, REGISTRY_FOLDER, SHELF_MODEL, ModelRegistry

LOCK_FILE = "learn.lock"
MEANWHILE_S = 1.0

_log = structlog.get_logger("gateway.loop")


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every kind of work needs."""

    settings: Settings
    hub: Hub
    telemetry: Telemetry
    clock: Clock


@dataclass(frozen=True, slots=True)
class Work:
    """Something that goes on until it is told to stop; `summary` says how far it is, logged under `event`."""

    event: str
    summary: Callable[[], dict[str, float]]
    run: Callable[[asyncio.Event], Awaitable[None]]


Kind = Callable[[Workshop], Work]


async def perform(
    settings: Settings, kinds: Sequence[Kind], *, metrics_port: int | None = None, parent: int | None = None
) -> None:
    """Do these kinds of work in this process until a signal, or the end of the pipe `parent`, says to stop.

    The first of them to fail ends the others.

    Raises:
        CannotListen: the port for metrics is taken.
        PersonaError: what one of them cannot go on without is away.
    """
    telemetry, clock = build_telemetry(settings), SystemClock()
    serve_metrics(telemetry.registry, metrics_port)
    hub = SqliteHub(HubFile(settings.data_dir / HUB_FILE), clock, new_id)
    works = [kind(Workshop(settings, hub, telemetry, clock)) for kind in kinds]

    async def all_of_them(stop: asyncio.Event) -> None:
        if parent is not None:
            _stop_with(parent, stop)
        together = [asyncio.ensure_future(reporting(each.event, each.summary, each.run(stop))) for each in works]
        await asyncio.wait(together, return_when=asyncio.FIRST_EXCEPTION)
        stop.set()
        await asyncio.gather(*together)

    try:
        await until_stopped(all_of_them)
    finally:
        await hub.aclose()
        await telemetry.shutdown()


def joining(pace: JoinPace) -> Kind:
    """Give each decision its outcomes and its reward, by the rules that flags have at the time."""

    def work(shop: Workshop) -> Work:
        metrics, checkpoints = JoinMetrics(shop.telemetry.registry), Checkpoints(shop.settings.data_dir / "join")
        source = RuleSource(shop.settings)

        async def join(rules: JoinRules, stop: asyncio.Event) -> None:
            online = OnlineJoin(
                shop.hub,
                checkpoints,
                clock=shop.clock,
                tracer=shop.telemetry.tracer,
                metrics=metrics,
                rules=rules,
                pace=pace,
            )
            await online.run(stop)

        return Work("join_progress", metrics.summary, partial(join_by, source, source.read(), join))

    return work


def learning(pace: LearnPace) -> Kind:
    """Learn from joined decisions; one process of a machine at a time."""

    def work(shop: Workshop) -> Work:
        settings = shop.settings
        metrics = LearnMetrics(shop.telemetry.registry)
        registry = ModelRegistry(settings.data_dir / REGISTRY_FOLDER, shop.clock)
        shelf_learner = partial(VwLearner, known_actions=[each.value for each in ShelfAction])
        publish = settings.policy_mode in {PolicyMode.ONLINE, PolicyMode.APPRENTICE}
        learner = OnlineLearner(
            shop.hub,
            Models(
                ModelTrainer(registry, SHELF_MODEL, VwSettings(), publish=publish, make=shelf_learner),
                ModelTrainer(registry, COMPONENT_MODEL, VwSettings(), publish=publish),
            ),
            clock=shop.clock,
            tracer=shop.telemetry.tracer,
            metrics=metrics,
            pace=pace,
        )
        lock = settings.data_dir / LOCK_FILE
        return Work("learn_progress", metrics.summary, lambda stop: _alone(lock, stop, learner.run))

    return work


def filling_the_lake(root: Path, pace: LakePace) -> Kind:
    """Write the events of the hub into the raw zone."""

    def work(shop: Workshop) -> Work:
        metrics = LakeMetrics(shop.telemetry.registry)
        writer = LakeWriter(shop.hub, Lake(root), metrics, pace=pace)
        return Work("lake_progress", metrics.summary, writer.run)

    return work


def lake_root(settings: Settings) -> Path:
    """The lake's folder."""
    return settings.lake_dir or settings.data_dir / "lake"


async def _alone(lock: Path, stop: asyncio.Event, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Do the work once no other process of this machine does it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    waiting = False
    while not stop.is_set():
        with ExitStack() as stack:
            try:
                stack.enter_context(alone(lock, wait=False))
            except BlockingIOError:
                if not waiting:
                    _log.info("another_process_learns")
                waiting = True
            else:
                await work(stop)
                return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), MEANWHILE_S)


def _stop_with(parent: int, stop: asyncio.Event) -> None:
    """Have `stop` set when the pipe from the parent closes, as it does when the parent is gone."""
    loop = asyncio.get_running_loop()

    def ended() -> None:
        if os.read(parent, 1024):
            return
        loop.remove_reader(parent)
        _log.warning("supervisor_gone")
        stop.set()

    loop.add_reader(parent, ended)


def main() -> None:
    """What `gateway serve` starts beside its workers: all of the loop, for as long as the supervisor lives."""
    from gateway.logs import configure_logging

    settings = Settings()
    configure_logging(settings.log_level)
    kinds = (joining(JoinPace()), learning(LearnPace()), filling_the_lake(lake_root(settings), LakePace()))
    asyncio.run(perform(settings, kinds, parent=sys.stdin.fileno()))


if __name__ == "__main__":
    main()
