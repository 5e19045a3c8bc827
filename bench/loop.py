"""From an outcome to a swapped policy, in a gateway that serves: `python -m bench.loop [--outcomes N] [--every S]`.

One `gateway serve` with its learner beside it, all settings as they are by default but a short window of the join,
which is the reward's own time and is told apart. Visitors are shown a shelf, and their pages report that something was
added to the basket. Meanwhile somebody asks for the same shelf all the time. How long until an answer was decided by a
version that has learned of the outcome: from its acknowledgement, and from when the join closed the decision. Which
versions have learned of what say their manifests, by offsets.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from bench.processes import free_port, server
from personalization.clock import SystemClock
from personalization.codec import decode_joined
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import JOINED, StoredEvent
from personalization.ids import new_id
from personalization.registry import REGISTRY_FOLDER, SHELF_MODEL, ModelRegistry
from personalization.registry_records import Manifest
from resolvers.sources.embedded_build import prepare_store

WINDOW_S, LATENESS_S = 1.0, 0.5
LOOK_EVERY_S = 0.02
LONGEST_S = 60.0
SHELF = (
    "query Shelf($context: Context) { recommendations(placement: HOME, first: 1, context: $context)"
    " { decision { id policy reason } } }"
)


@dataclass(frozen=True, slots=True)
class Served:
    """A version of the policy, and when the first answer came that it decided."""

    manifest: Manifest
    at: datetime


@dataclass(slots=True)
class Observed:
    """What was seen: when each outcome was acknowledged, by decision, and when each version was served first."""

    acknowledged: dict[str, datetime] = field(default_factory=dict)
    served: list[Served] = field(default_factory=list)

    @property
    def learned(self) -> int:
        """How many outcomes the newest version that was served has learned of."""
        data = self.served[-1].manifest.data if self.served else None
        return 0 if data is None else data.events


@dataclass(frozen=True, slots=True)
class Delay:
    """The way of one outcome: moments, in their order."""

    acknowledged: datetime
    closed: datetime
    joined: datetime
    stored: datetime
    served: datetime


async def decided(client: httpx.AsyncClient) -> dict[str, str]:
    """The decision that a new visitor is given."""
    client.cookies.clear()
    answer = await client.post("/graphql", json={"query": SHELF, "variables": {"context": {"region": "US-NE"}}})
    found: dict[str, str] = answer.json()["data"]["recommendations"]["decision"]
    return found


async def shop(client: httpx.AsyncClient, observed: Observed, outcomes: int, every: float) -> None:
    """So many visitors who buy, one after the other; those who are held back teach nothing and are passed over."""
    random = Random(1)
    while len(observed.acknowledged) < outcomes:
        await asyncio.sleep(every * 2 * random.random())
        decision = await decided(client)
        if decision["reason"] == "DRAWN":
            events = [{"type": "added_to_basket", "decisionId": decision["id"]}]
            (await client.post("/events", json=events)).raise_for_status()
            observed.acknowledged[decision["id"]] = datetime.now(UTC)


async def watch(client: httpx.AsyncClient, registry: ModelRegistry, observed: Observed, outcomes: int) -> None:
    """Ask for the shelf until a version decides that has learned of all outcomes."""
    known: set[str] = set()
    while observed.learned < outcomes:
        policy, at = (await decided(client))["policy"], datetime.now(UTC)
        name, _, version = policy.partition("@")
        if name == SHELF_MODEL and policy not in known:
            known.add(policy)
            manifest = await asyncio.to_thread(registry.manifest, SHELF_MODEL, int(version))
            observed.served.append(Served(manifest, at))
        await asyncio.sleep(LOOK_EVERY_S)


async def observe(port: int, folder: Path, outcomes: int, every: float) -> Observed:
    """What there is to be seen at a gateway that serves at the port over the folder."""
    observed, registry = Observed(), ModelRegistry(folder / REGISTRY_FOLDER, SystemClock())
    url = f"http://127.0.0.1:{port}"
    async with (
        httpx.AsyncClient(base_url=url) as buying,
        httpx.AsyncClient(base_url=url) as asking,
        asyncio.timeout(LONGEST_S + outcomes * (every + 0.5)),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(shop(buying, observed, outcomes, every))
        tasks.create_task(watch(asking, registry, observed, outcomes))
    return observed


async def rows_of(folder: Path) -> dict[str, StoredEvent]:
    """The joined rows in the hub, by decision."""
    rows: dict[str, StoredEvent] = {}
    hub = SqliteHub(HubFile(folder / HUB_FILE), SystemClock(), new_id)
    async with hub.consumer("bench", [JOINED]) as consumer:
        while batch := await consumer.poll_batch(1_000, 0):
            rows.update({each.event.id: each for each in batch})
    await hub.aclose()
    return rows


def delay_of(acknowledged: datetime, row: StoredEvent, served: Sequence[Served]) -> Delay:
    """The way of an outcome: the first version whose offsets lie beyond its row."""
    place = f"{row.topic}/{row.partition}"
    first = next(
        each
        for each in served
        if each.manifest.data is not None and each.manifest.data.offsets.get(place, 0) > row.offset
    )
    closed = decode_joined(row.event.value).joined_at
    return Delay(acknowledged, closed, row.appended_at, first.manifest.created, first.at)


def told(name: str, seconds: Sequence[float]) -> None:
    """A line."""
    print(f"{name:58} p50 {median(seconds):5.2f} s, longest {max(seconds):5.2f} s")


def report(delays: Sequence[Delay]) -> None:
    """Print the whole way and its parts."""

    def between(first: str, last: str) -> list[float]:
        moments: list[tuple[Any, Any]] = [(getattr(each, first), getattr(each, last)) for each in delays]
        return [(end - begin).total_seconds() for begin, end in moments]

    whole, window = between("acknowledged", "served"), between("acknowledged", "closed")
    print(
        f"{len(delays)} outcomes, join window {WINDOW_S:g} s and lateness {LATENESS_S:g} s, else the default settings"
    )
    told("outcome acknowledged to an answer by what learned of it", whole)
    print(f"{'  share of the window and the lateness':58}     {sum(window) / sum(whole):5.0%}")
    told("join closed to an answer by what learned of it", between("closed", "served"))
    told("  join closed to the row in the hub", between("closed", "joined"))
    told("  row in the hub to the version in the registry", between("joined", "stored"))
    told("  version in the registry to an answer by it", between("stored", "served"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outcomes", type=int, default=60, help="outcomes that are learned (60)")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two of them on average (0.5)")
    options = parser.parse_args()
    with TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        prepare_store(folder)
        settings = {
            "GATEWAY_DATA_DIR": name,
            "GATEWAY_LEARNING": "true",
            "GATEWAY_JOIN_WINDOW_S": str(WINDOW_S),
            "GATEWAY_JOIN_LATENESS_S": str(LATENESS_S),
            "GATEWAY_LOG_LEVEL": "WARNING",
        }
        port = free_port()
        with server(["gateway", "serve", "--port", str(port)], port, settings):
            observed = asyncio.run(observe(port, folder, options.outcomes, options.every))
        rows = asyncio.run(rows_of(folder))
    report([delay_of(at, rows[key], observed.served) for key, at in observed.acknowledged.items()])


if __name__ == "__main__":
    main()
