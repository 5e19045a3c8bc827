"""Segments from a closing to the page: stored, scored or assumed; followed while the gateway runs, swapped whole."""

import asyncio
from pathlib import Path
from shutil import copytree

import orjson
import pytest
from prometheus_client import CollectorRegistry

from gateway.closings import closing_source, open_closings
from gateway.settings import Settings
from personalization.classification.dataset import Period
from personalization.classification.deploy import profiles_file, read_profiles
from personalization.classification.live import Classification, LiveSegments
from personalization.clock import SystemClock
from personalization.hub.topics import DECISIONS
from personalization.registry import REGISTRY_FOLDER, ModelRegistry
from tests.gateway.client import GatewayClient
from tests.gateway.conftest import Open

SEGMENT = """
query ($context: Context) {
  segment(context: $context) { persona key name probability model period source mode reason }
}
"""
JANUARY, FEBRUARY = Period(2017, 1), Period(2017, 2)
NAMES = {"regulars": "Regulars", "lapsing": "Lapsing", "occasional": "Occasional", "oral-care": "Oral care"}


def close(folder: Path, period: Period) -> None:
    settings, clock = Settings(data_dir=folder), SystemClock()
    with closing_source(settings, clock, period) as source:
        open_closings(settings, clock).run(period, source)


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which January is closed."""
    folder = tmp_path_factory.mktemp("january")
    close(folder, JANUARY)
    return folder


@pytest.fixture
def closed(january: Path, data_dir: Path) -> Path:
    """The data folder of this test's gateway, with January closed."""
    copytree(january, data_dir, dirs_exist_ok=True)
    return data_dir


async def told(client: GatewayClient, customer: str | None = None, **context: object) -> dict[str, object]:
    token = None if customer is None else client.token(customer)
    answer = await client.ask(SEGMENT, {"context": context}, token)
    found: dict[str, object] = answer["data"]["segment"]
    assert answer["extensions"]["context"]["segment"] == found["key"]
    return found


def known_and_new(folder: Path) -> tuple[str, str]:
    """A customer who was there in January, and one who was not."""
    profiles = read_profiles(folder, 1)
    ids = [str(number) for number in range(1, 300)]
    known = next(each for each in ids if profiles.find(each) is not None)
    return known, next(each for each in ids if profiles.find(each) is None)


async def test_a_customer_has_the_segment_of_the_closing(closed: Path, open_gateway: Open) -> None:
    known, _ = known_and_new(closed)
    stored = read_profiles(closed, 1).find(known)
    assert stored is not None
    async with open_gateway() as client:
        found = await told(client, known)
        assert client.counted("gateway_segments_given_total", origin="STORED") == 1
        assert client.counted("gateway_segment_profiles") == 700
    assert found["key"] == stored.segment
    assert found["name"] == NAMES[stored.segment]
    assert found["probability"] == pytest.approx(stored.probability)
    assert (found["model"], found["period"], found["source"]) == ("segment@1", "2017-01", "STORED")
    assert (found["mode"], found["reason"]) == ("PERSONALIZED", "ROLE")


async def test_a_newcomer_is_scored_by_what_is_known(closed: Path, open_gateway: Open) -> None:
    _, new = known_and_new(closed)
    async with open_gateway() as client:
        found = await told(client, new)
    assert found["source"] == "SCORED"
    assert found["key"] in NAMES
    assert 0 < float(str(found["probability"])) <= 1


async def test_who_has_no_history_is_taken_for_what_is_usual(closed: Path, open_gateway: Open) -> None:
    profiles = read_profiles(closed, 1)
    async with open_gateway() as client:
        visitor, nobody = await told(client), await told(client, "no-such-customer")
        builder = await client.ask(SEGMENT, {"context": {"persona": "BUILDER"}}, client.token("1", scope="preview"))
        plain = await client.ask("{ segment { key name source mode } }")
    segment, share = profiles.head.priors[""]
    for found in (visitor, nobody):
        assert (found["key"], found["source"]) == (segment, "ASSUMED")
        assert found["probability"] == pytest.approx(share, abs=1e-6)
    assert builder["data"]["segment"]["key"] == profiles.head.priors["BUILDER"][0]
    assert builder["data"]["segment"]["source"] == "ASSUMED"
    assert plain["data"]["segment"] == {"key": None, "name": None, "source": None, "mode": "DEFAULT"}


async def test_bandits_see_the_segment(closed: Path, open_gateway: Open) -> None:
    known, _ = known_and_new(closed)
    query = "{ recommendations(placement: HOME, first: 2, context: {}) { decision { id } } }"
    async with open_gateway() as client:
        await client.ask(query, None, client.token(known))
        decided = await client.events(DECISIONS)
        found = await told(client, known)
    assert decided[-1]["context"]["segment"] == found["key"]


async def test_flags_target_the_segment_and_the_cache_keeps_by_it(closed: Path, open_gateway: Open) -> None:
    known, _ = known_and_new(closed)
    profiles = read_profiles(closed, 1)
    stored = profiles.find(known)
    assert stored is not None
    rule = {"if": [{"==": [{"var": "segment"}, stored.segment]}, "v2", "v1"]}
    variants = {"v1": "v1", "v2": "v2"}
    about = {"component": "hero"}
    flag = {"state": "ENABLED", "variants": variants, "defaultVariant": "v1", "targeting": rule, "metadata": about}
    folder = closed / "flags"
    folder.mkdir()
    (folder / "flags.json").write_bytes(orjson.dumps({"flags": {"component.hero": flag}}))
    other = next(
        each
        for each in map(str, range(1, 300))
        if (found := profiles.find(each)) is not None and found.segment != stored.segment
    )
    query = '{ components(names: ["hero"], context: {}) { version } }'
    async with open_gateway(flags_dir=folder) as client:
        for _ in range(2):  # made, then kept
            given = [await client.ask(query, None, client.token(each)) for each in (known, other)]
            assert [each["data"]["components"][0]["version"] for each in given] == ["v2", "v1"]


async def test_without_a_classifier_there_is_no_segment(open_gateway: Open) -> None:
    async with open_gateway() as client:
        found = await told(client, "1")
    assert (found["key"], found["source"], found["mode"]) == (None, None, "PERSONALIZED")


async def test_a_running_gateway_follows_closings(closed: Path, open_gateway: Open) -> None:
    known, new = known_and_new(closed)
    async with open_gateway() as client:
        assert (await told(client, known))["period"] == "2017-01"
        await client.ask('{ components(names: ["hero"], context: {}) { name version } }', None, client.token(known))
        purged = client.counted("gateway_cache_purged_total")
        await asyncio.to_thread(close, closed, FEBRUARY)
        async with asyncio.timeout(30):
            while True:
                found = await told(client, known)
                if found["period"] == "2017-02":
                    break
                await asyncio.sleep(0.05)
        assert found["model"] == "segment@2"
        # What was kept for one of its segments is forgotten.
        assert client.counted("gateway_cache_purged_total") > purged
        # Whoever is told by the new model is told by its profiles too.
        newcomer = await told(client, new)
        assert (newcomer["model"], newcomer["period"]) == ("segment@2", "2017-02")


async def test_a_visitor_who_is_answered_the_short_way_is_told_by_the_new_classifier(
    closed: Path, open_gateway: Open
) -> None:
    async with open_gateway() as client:
        for _ in range(8):  # until the request is known, and its context
            assert (await told(client))["model"] == "segment@1"
        await asyncio.sleep(0)  # the metrics learn of short answers when the loop's turn ends
        shortly = client.counted("gateway_short_answers_total")
        assert shortly > 0
        await asyncio.to_thread(close, closed, FEBRUARY)
        async with asyncio.timeout(30):
            while True:
                if (await told(client))["model"] == "segment@2":
                    break
                await asyncio.sleep(0.05)
        assert (await told(client))["period"] == "2017-02"
        await asyncio.sleep(0)
        assert client.counted("gateway_short_answers_total") > shortly


async def follower(folder: Path) -> LiveSegments:
    live = LiveSegments(folder, ModelRegistry(folder / REGISTRY_FOLDER, SystemClock()), CollectorRegistry())
    await live.refresh()
    return live


async def test_what_is_damaged_is_refused_and_what_was_live_goes_on(closed: Path) -> None:
    live = await follower(closed)
    swaps: list[tuple[Classification | None, Classification]] = []
    end = live.subscribe(lambda before, now: swaps.append((before, now)))
    before = live.current
    assert before is not None
    file = profiles_file(closed, 1)
    data = file.read_bytes()
    file.write_bytes(data[:-1])
    assert not await live.refresh()
    assert live.current is before
    file.unlink()
    assert not await live.refresh()
    assert live.current is before
    file.write_bytes(data)
    assert await live.refresh()
    assert not await live.refresh()
    assert swaps == [(before, live.current)]
    end()


async def test_newcomers_who_come_together_wait_for_one_classifier(closed: Path) -> None:
    current = (await follower(closed)).current
    assert current is not None
    cancelled = asyncio.create_task(current.score({"recency": 1.0}))
    await asyncio.sleep(0)
    cancelled.cancel()
    found = await asyncio.gather(*(current.score({"recency": 1.0, "frequency": 9.0}) for _ in range(5)))
    assert len(set(found)) == 1
    assert cancelled.cancelled()
