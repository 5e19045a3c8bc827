"""Joined decisions of several minutes, in a hub and in a lake."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from personalization.clock import Clock
from personalization.codec import encode_joined
from personalization.events import HOLDBACK, DecisionMode, JoinedDecision
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import JOINED, NewEvent
from personalization.ids import new_id
from personalization.lake.layout import Lake
from personalization.lake.writer import LakeMetrics, LakeWriter
from tests.learning.lessons import START, joined_of

NOW = START + timedelta(minutes=14)


def rows(count: int, seed: int = 0) -> list[JoinedDecision]:
    """Decisions a second apart from `START` on, of every persona and by every kind of decider."""
    chance = random.Random(seed)
    return [_row(number, chance) for number in range(count)]


def _row(number: int, chance: random.Random) -> JoinedDecision:
    joined = joined_of(number, chance.choice(("HOME", "CATEGORY", "component:hero")))
    decision = joined.decision
    match chance.randrange(5):
        case 0:
            decision = replace(decision, policy="shelf@3", mode=DecisionMode.ONLINE, reason="DRAWN")
        case 1:
            decision = replace(decision, policy="default@1", mode=DecisionMode.ONLINE, reason=HOLDBACK)
        case 2:
            decision = replace(decision, policy="default@1", mode=DecisionMode.APPRENTICE)
        case 3:
            decision = replace(decision, context=replace(decision.context, persona=None))
    return replace(joined, decision=decision, displayed=chance.random() < 0.8)


def hub_of(folder: Path, clock: Clock) -> SqliteHub:
    return SqliteHub(HubFile(folder / HUB_FILE), clock, new_id)


async def append(hub: SqliteHub, joined: Sequence[JoinedDecision]) -> None:
    events = [NewEvent(each.decision.id, each.decision.id, encode_joined(each)) for each in joined]
    await hub.append(JOINED, events)


async def fill_lake(hub: SqliteHub, lake: Lake) -> None:
    await LakeWriter(hub, lake, LakeMetrics(CollectorRegistry())).run_once()
