"""What the console shows is what happened."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.console.rewards import JOINED_QUESTION, RecentCounts, Rewards, Span
from personalization.classification.dataset import Period
from personalization.classification.deploy import Closings
from personalization.clock import ManualClock, SystemClock
from personalization.errors import HubUnavailable
from personalization.events import HOLDBACK, JoinedDecision
from personalization.hub.sqlite_file import HUB_FILE
from personalization.hub.survey import HubSurvey, Question
from personalization.hub.topics import EXPOSURES, JOINED, NewEvent, StoredEvent
from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.errors import LakeError
from personalization.lake.layout import Lake
from personalization.lake.rewards import rewards_by_time
from personalization.learning.quarantine import Poisoned, quarantine
from personalization.registry import REGISTRY_FOLDER, ModelRegistry
from personalization.segmentation.clustering import Column, Scaling
from personalization.segmentation.definitions import SEGMENTS_FILE, Segment, SegmentSet, write_segments
from tests.classification.shoppers import NAMES, Shoppers
from tests.console.conftest import Open
from tests.console.rows import NOW, append, fill_lake, hub_of, rows
from tests.gateway.client import GatewayClient
from tests.learning.lessons import START
from tests.personalization.lessons import snapshot_of

T = TypeVar("T")
LINES = ("decisions", "displayed", "rewards")


async def view(client: GatewayClient, name: str, **query: str) -> dict[str, Any]:
    """What a view answers to an operator."""
    headers = {"Authorization": f"Bearer {client.token('9', scope='ops')}"}
    answer = await client.http.get(f"/console/api/{name}", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def exposed(client: GatewayClient, flags: int) -> list[dict[str, Any]]:
    """The flags that were given to somebody, once there are so many of them: they are written in groups."""
    found = [each for each in (await view(client, "flags"))["flags"] if each["exposures"]]
    return found if len(found) >= flags else []


async def troubles(client: GatewayClient) -> list[str]:
    told: list[str] = (await view(client, "segments"))["problems"]
    return told


async def later(ask: Callable[[], Awaitable[list[T]]]) -> list[T]:
    """What is answered once that is not empty."""
    async with asyncio.timeout(20):
        while True:
            if found := await ask():
                return found
            await asyncio.sleep(0.1)


async def changed(client: GatewayClient, what: str, **body: object) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {client.token('9', scope='ops')}"}
    answer = await client.http.post(f"/console/api/{what}", json=body, headers=headers)
    return answer.status_code, answer.json()


def who(row: JoinedDecision) -> str:
    decision = row.decision
    if decision.reason == HOLDBACK:
        return "holdback"
    if decision.policy.startswith("uniform@"):
        return "even"
    return "model" if decision.mode.value == "ONLINE" else "default"


def folded(joined: list[JoinedDecision], member: str, begin: int, span: Span) -> dict[str, dict[str, list[float]]]:
    """The series, by plain Python."""
    names = {
        "personas": lambda row: row.decision.context.persona or "",
        "actions": lambda row: row.decision.action,
        "groups": who,
    }
    bins = span.seconds // span.bin_s
    series: dict[str, dict[str, list[float]]] = {}
    for row in joined:
        place = (int(row.decision.at.timestamp()) - begin) // span.bin_s
        if 0 <= place < bins:
            line = series.setdefault(names[member](row), {name: [0.0] * bins for name in LINES})
            line["decisions"][place] += 1
            line["displayed"][place] += row.displayed
            line["rewards"][place] += row.reward if row.displayed else 0.0
    return series


def totalled(series: object) -> float:
    assert isinstance(series, dict)
    return sum(sum(line["decisions"]) for line in series.values())


@pytest.mark.parametrize("span", list(Span))
async def test_series_are_what_python_counts_from_the_hub_and_from_the_lake(tmp_path: Path, span: Span) -> None:
    clock = ManualClock(NOW)
    hub, lake = hub_of(tmp_path, clock), Lake(tmp_path / "lake")
    joined = rows(700)
    try:
        await append(hub, joined)
        await fill_lake(hub, lake)
        rewards = Rewards(HubSurvey(tmp_path / HUB_FILE, clock), lake, clock)
        everything = rewards.over(span, None, None)
        for member in ("personas", "actions", "groups"):
            assert everything[member] == folded(joined, member, int(str(everything["begin"])), span)
        assert totalled(everything["groups"]) == 700
        some = rewards.over(span, "BUILDER", "CATEGORY")
        chosen = [
            row
            for row in joined
            if row.decision.context.persona == "BUILDER" and row.decision.context.placement == "CATEGORY"
        ]
        assert some["actions"] == folded(chosen, "actions", int(str(some["begin"])), span)
        assert some["placements"] == ["CATEGORY", "HOME", "component:hero"]
    finally:
        await hub.aclose()


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 120), max_size=5))
def test_looking_often_counts_the_same_as_looking_once(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, clock, joined = tmp_path_factory.mktemp("hub"), ManualClock(NOW), rows(120)

    async def fill() -> None:
        hub = hub_of(folder, clock)
        often = RecentCounts(HubSurvey(folder / HUB_FILE, clock), JOINED_QUESTION, clock)
        places = [0, *sorted(cuts), 120]
        for first, last in pairwise(places):
            await append(hub, joined[first:last])
            often.look()
        await hub.aclose()
        once = RecentCounts(HubSurvey(folder / HUB_FILE, clock), JOINED_QUESTION, clock)
        assert dict(often.look()) == dict(once.look())
        assert sum(sums[0] for sums in once.look().values()) == 120

    asyncio.run(fill())


async def test_what_is_older_than_an_hour_is_forgotten(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    hub = hub_of(tmp_path, clock)
    await append(hub, rows(100))
    await hub.aclose()
    recent = RecentCounts(HubSurvey(tmp_path / HUB_FILE, clock), JOINED_QUESTION, clock)
    assert recent.look()
    clock.at += timedelta(hours=2)
    assert not recent.look()


async def test_a_hub_with_too_much_in_it_says_from_when_on_all_is_counted(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    hub = hub_of(tmp_path, clock)
    await append(hub, rows(400))
    await hub.aclose()
    survey = HubSurvey(tmp_path / HUB_FILE, clock)
    counted = survey.count(JOINED_QUESTION, {}, 20)
    assert [each.cut for each in counted] == [True] * 4
    assert sum(int(row[5] or 0) for each in counted for row in each.rows) == 80
    rest = HubSurvey(tmp_path / HUB_FILE, clock).count(
        JOINED_QUESTION, {each.partition: each.next for each in counted}, 9
    )
    assert [(each.rows, each.cut) for each in rest] == [((), False)] * 4


async def test_events_that_are_no_json_are_passed_over(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    hub = hub_of(tmp_path, clock)
    await append(hub, rows(3))
    await hub.append(JOINED, [NewEvent(f"bad{n}", "k", value) for n, value in enumerate((b"{", b"\xff\x00", b"7"))])
    await hub.aclose()
    found = RecentCounts(HubSurvey(tmp_path / HUB_FILE, clock), JOINED_QUESTION, clock).look()
    assert sum(sums[0] for sums in found.values()) == 3


async def test_a_lag_is_what_a_group_has_not_committed(tmp_path: Path) -> None:
    clock = SystemClock()
    hub, survey = hub_of(tmp_path, clock), HubSurvey(tmp_path / HUB_FILE, clock)
    await append(hub, rows(40))
    async with hub.consumer("readers", [JOINED]) as consumer:
        batch: list[StoredEvent] = []
        async with asyncio.timeout(10):
            while len(batch) < 40:
                batch += await consumer.poll_batch(40, 1.0)
        (before,) = survey.lags()
        assert (before.group, before.topic, before.behind, before.members) == ("readers", JOINED, 40, 1)
        done = Counter(each.partition for each in batch if each.partition < 2)
        await consumer.commit({(JOINED, partition): count for partition, count in done.items()})
        assert survey.lags()[0].behind == 40 - done.total()
    assert [(each.behind, each.members) for each in survey.lags()] == [(40 - done.total(), 0)]
    await hub.aclose()


async def test_without_a_hub_its_views_say_so(tmp_path: Path) -> None:
    with pytest.raises(HubUnavailable, match="cannot be read"):
        HubSurvey(tmp_path / HUB_FILE, SystemClock()).count(Question(EXPOSURES, ("1",)), {}, 1)
    assert not (tmp_path / HUB_FILE).exists()


def test_a_query_of_the_lake_that_takes_too_long_is_ended() -> None:
    with DuckDbRunner(threads=1) as runner, pytest.raises(LakeError, match="longer than"):
        runner.rows("SELECT SUM(a.range * b.range) FROM range(10000000) a, range(10000000) b", 0.2)


async def test_a_lake_with_too_many_files_shows_whole_days_only(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    hub, lake = hub_of(tmp_path, clock), Lake(tmp_path / "lake")
    await append(hub, rows(80))
    await fill_lake(hub, lake)
    await hub.aclose()
    found, since = rewards_by_time(lake, START, 60, most_files=2, seconds=10.0)
    assert len(lake.files(JOINED)) == 4
    assert since.date() == START.date() + timedelta(days=1)
    assert 0 < sum(row[5] for row in found) < 80


async def test_quarantine_shows_reasons_and_places_and_nothing_of_an_event(gateway: GatewayClient) -> None:
    hub = hub_of(gateway.settings.data_dir, SystemClock())
    event = NewEvent("e1", "customer:77", b'{"secret": "Ann Example"}')
    stored = [StoredEvent(JOINED, 1, offset, SystemClock().now(), event) for offset in range(3)]
    await quarantine(hub, [Poisoned(each, "BAD_REWARD", "shelf") for each in stored])
    await quarantine(hub, [Poisoned(StoredEvent(JOINED, 2, 9, SystemClock().now(), event), "UNREADABLE")])
    await hub.aclose()
    found = (await view(gateway, "hub"))["quarantine"]
    assert found["reasons"] == {"BAD_REWARD": 3, "UNREADABLE": 1}
    assert [each["place"] for each in found["latest"]] == ["joined/2/9", "joined/1/2", "joined/1/1", "joined/1/0"]
    assert "Ann" not in orjson.dumps(found).decode()
    assert "customer" not in orjson.dumps(found).decode()


async def test_metrics_are_those_of_requests_and_not_of_who_looks(gateway: GatewayClient) -> None:
    for _ in range(3):
        await gateway.home({})
    await gateway.http.get("/nothing")
    sample = (await view(gateway, "now"))["now"]
    assert sample["requests"] == {"/graphql|200": 3.0, "unmatched|404": 1.0}
    assert sample["seconds"]["/graphql|+Inf"] == 3.0
    assert sum(value for key, value in sample["decisions"].items() if key.startswith("HOME|")) == 3.0
    assert sum(sample["deciders"].values()) > 0
    assert sample["cache"]["Query.components|miss"] + sample["cache"].get("Query.components|hit", 0.0) >= 1.0


async def test_exposures_are_told_by_flag(gateway: GatewayClient) -> None:
    query = '{ components(names: ["hero", "shelf"], context: {}) { name version exposure { id } } }'
    given = {each["name"]: each["version"] for each in (await gateway.ask(query))["data"]["components"]}
    flags = await later(lambda: exposed(gateway, len(given)))
    assert {each["key"]: each["given"] for each in flags} == {
        f"component.{name}": {version: 1} for name, version in given.items()
    }
    assert all(sum(each["deciders"].values()) == 1 for each in flags)


async def test_flags_that_are_refused_are_told_with_the_reason(open_gateway: Open, tmp_path: Path) -> None:
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "mine.json").write_text('{"flags": {"broken": {"state": "MAYBE", "variants": {"a": 1}}}}')
    async with open_gateway(flags_dir=tmp_path / "flags") as client:
        told = await view(client, "flags")
    assert (told["served"], told["flags"]) == (0, [])
    assert [(each["file"], each["flag"]) for each in told["refused"]] == [("mine.json", "broken")]
    assert told["refused"][0]["reason"]


async def test_a_version_is_promoted_and_rolled_back_with_a_reason_and_a_name(gateway: GatewayClient) -> None:
    registry = ModelRegistry(gateway.settings.data_dir / REGISTRY_FOLDER, SystemClock())
    snapshot = snapshot_of(200)
    for _ in range(2):
        registry.add("shelf", snapshot.model, canaries=snapshot.canaries)
    for version in (1, 2):
        status, told = await changed(gateway, "promote", model="shelf", version=version, because="it is better")
        assert (status, told["live"]) == (200, f"shelf@{version}")
    status, told = await changed(gateway, "rollback", model="shelf", version=None, because="  baskets fell  ")
    assert (status, told) == (200, {"live": "shelf@1", "replaced": "shelf@2", "revision": 3})
    (model,) = (await view(gateway, "models"))["models"]
    assert (model["live"], [each["state"] for each in model["versions"]]) == (1, ["live", "retired"])
    last = model["promotions"][-1]
    assert (last["change"], last["because"], last["by"]) == (
        "rolled back",
        "baskets fell",
        "gateway console, customer:9",
    )
    for body in (
        {"model": "shelf", "because": ""},
        {"model": "shelf", "version": 0, "because": "x"},
        {"model": "shelf", "version": True, "because": "x"},
        {"model": "shelf", "because": "x" * 301},
        {"version": 1, "because": "x"},
    ):
        assert (await changed(gateway, "promote", **body))[0] == 400
    assert registry.pointer("shelf").live == 1


async def test_a_damaged_version_is_not_promoted(gateway: GatewayClient) -> None:
    folder = gateway.settings.data_dir / REGISTRY_FOLDER
    snapshot = snapshot_of(200)
    ModelRegistry(folder, SystemClock()).add("shelf", snapshot.model, canaries=snapshot.canaries)
    model = next(folder.glob("shelf/versions/1/model.bin"))
    model.write_bytes(model.read_bytes()[:-1])
    status, _ = await changed(gateway, "promote", model="shelf", version=1, because="why not")
    assert status >= 400
    assert ModelRegistry(folder, SystemClock()).pointer("shelf").live is None


async def test_segments_degrade_part_by_part(gateway: GatewayClient) -> None:
    empty = await view(gateway, "segments")
    assert empty == {"defined": None, "profiles": None, "closings": [], "problems": []}
    (gateway.settings.data_dir / "segments.json").write_text("{")
    problems = await later(lambda: troubles(gateway))  # the answer of a moment ago is kept
    assert [each.partition(":")[0] for each in problems] == ["defined"]


async def test_segments_are_those_that_a_data_scientist_wrote(gateway: GatewayClient) -> None:
    column = Column("recency", fill=30.0, log=True, mean=2.0, scale=0.5)
    segments = (Segment("often", "Buys often", "a word", 7, (-1.5,)), Segment("rare", "Buys rarely", "", 3, (2.0,)))
    path = gateway.settings.data_dir / SEGMENTS_FILE
    write_segments(path, SegmentSet("0" * 64, Scaling((column,)), segments))
    told = (await view(gateway, "segments"))["defined"]
    assert told["features"] == ["recency"]
    assert [(each["key"], each["name"], each["size"], each["centre"]) for each in told["segments"]] == [
        ("often", "Buys often", 7, [-1.5]),
        ("rare", "Buys rarely", 3, [2.0]),
    ]


async def test_closings_and_who_is_in_which_segment(open_gateway: Open, data_dir: Path) -> None:
    registry = ModelRegistry(data_dir / REGISTRY_FOLDER, SystemClock())
    source = Shoppers()
    Closings(data_dir, registry, SystemClock()).run(Period.parse("2017-10"), source)
    async with open_gateway() as client:
        told = await view(client, "segments")
        assert told["problems"] == []
        assert told["profiles"]["names"] == NAMES
        assert sum(told["profiles"]["sizes"].values()) == source.size
        (closing,) = told["closings"]
        assert (closing["period"], closing["deployed"], closing["model"]) == ("2017-10", True, "segment@1")
        assert {each["gate"] for each in closing["verdicts"]} >= {"schema"}
        status, refused = await changed(client, "promote", model="segment", version=1, because="x")
        assert (status, refused["code"]) == (400, "BAD_REQUEST")
        assert (await changed(client, "rollback", model="segment", version=None, because="x"))[0] >= 400


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("rewards", {"range": "1y"}),
        ("rewards", {"persona": "x" * 129}),
        ("now", {"since": "-1"}),
        ("now", {"since": "9" * 16}),
    ],
)
async def test_what_cannot_be_asked_is_refused(gateway: GatewayClient, name: str, query: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {gateway.token('9', scope='ops')}"}
    answer = await gateway.http.get(f"/console/api/{name}", params=query, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert (await gateway.http.get("/console/api/nothing", headers=headers)).status_code == 404
