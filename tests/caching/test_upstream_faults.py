"""While the shop is slow, fails and comes back, nothing wrong is served, and it is asked as seldom as may be.

Half of those who ask came before, so the short way is open to them.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import pytest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.settings import Settings
from tests.caching.test_load import BODIES, answer, come_again, expected
from tests.caching.ways import Way, answered, by_turns, client
from tests.gateway.client import signed
from tests.gateway.server import gateway_process
from tests.sources.served_shop import open_store, served

SECONDS = float(os.environ.get("CACHE_LOAD_SECONDS", "6"))
CLIENTS = 24
CROWD = 300
SLOW_S = 0.25
HONEST = {"UPSTREAM_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_TIMEOUT"}


@dataclass(slots=True)
class Moods:
    """What the shop behind the gateway does, and what it was asked."""

    mood: str = "well"
    calls: Counter[str] = field(default_factory=Counter)

    def around(self, app: ASGIApp) -> ASGIApp:
        """The shop, in its moods."""

        async def moody(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] == "/health":
                await app(scope, receive, send)
                return
            self.calls[scope["path"]] += 1
            if self.mood == "slow":
                await asyncio.sleep(SLOW_S)
            if self.mood == "failing":
                await Response(status_code=503)(scope, receive, send)
            else:
                await app(scope, receive, send)

        return moody


@dataclass(frozen=True, slots=True)
class Shop:
    """A gateway before a shop with moods."""

    url: str
    moods: Moods
    token: str

    async def purge(self) -> None:
        """Throw out everything."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(base_url=self.url, timeout=30, headers=headers) as client:
            purged = await client.post("/cache/purge", json={"everything": True})
        assert purged.status_code == 200

    async def crowd(self, body: bytes, size: int) -> list[bytes]:
        """What so many get who ask the same at once."""
        async with client(self.url, Way.ORDINARY, size) as anybody, client(self.url, Way.SHORT, size) as visitor:
            asking = {Way.ORDINARY: anybody, Way.SHORT: visitor}
            return list(await asyncio.gather(*(answer(asking[way], body) for way in by_turns(size))))


@contextmanager
def shop(data_dir: Path, **settings: str) -> Iterator[Shop]:
    moods = Moods()
    with served(open_store(data_dir / "catalogue.sqlite", data_dir), around=moods.around) as upstream:
        keys = {"token_key": "t" * 32, "cookie_key": "c" * 32}
        behind = {"source": "http", "upstream_url": upstream, "breaker_recovery_ms": "200"}
        with gateway_process(data_dir, **keys, **behind, **settings) as url:
            yield Shop(url, moods, signed(Settings(data_dir=data_dir, token_key="t" * 32), "1", scope="ops"))


@pytest.fixture(scope="module")
def data(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    (folder / catalogue.name).hardlink_to(catalogue)
    return folder


@pytest.fixture(scope="module")
def there(data: Path) -> Iterator[Shop]:
    with shop(data) as running:
        yield running


@pytest.fixture(autouse=True)
async def well_again(there: Shop) -> None:
    there.moods.mood = "well"
    await asyncio.sleep(0.3)  # until the circuit lets calls through
    await there.purge()
    there.moods.calls.clear()


def codes(body: bytes) -> set[str]:
    return {each["extensions"]["code"] for each in orjson.loads(body).get("errors", [])}


async def test_nothing_wrong_is_served_while_the_shop_has_its_moods(there: Shop, data: Path) -> None:
    with shop(data, cache="false") as bare:
        right = await expected(bare.url)
    results: Counter[str] = Counter()
    over = asyncio.Event()

    async def asking(seed: int, way: Way) -> None:
        chance = random.Random(seed)
        async with client(there.url, way) as opened:
            while not over.is_set():
                body = chance.choice(BODIES)
                got = await answer(opened, body)
                honest = codes(got) and codes(got) <= HONEST
                results["right" if got == right[body] else "honest" if honest else "wrong"] += 1

    await come_again(there.url, right)
    before = await answered(there.url)
    asking_all = [asyncio.create_task(asking(seed, way)) for seed, way in enumerate(by_turns(CLIENTS))]
    chance, moods = random.Random(1), ["slow", "failing", "well"]
    for turn in range(int(SECONDS)):
        there.moods.mood = moods[turn % 3]
        await there.purge()
        await asyncio.sleep(chance.uniform(0.6, 1.4))
    there.moods.mood = "well"
    over.set()
    await asyncio.wait_for(asyncio.gather(*asking_all), 60)
    after = await answered(there.url)
    await asyncio.sleep(0.5)
    await there.purge()
    for way in Way:
        assert await expected(there.url, way) == right, "what failed left something behind"
    assert after.short > before.short
    assert after.ordinary > before.ordinary
    assert results["wrong"] == 0, results
    assert results["right"] > 0
    assert results["honest"] > 0


@pytest.mark.parametrize("mood", ["well", "slow"])
async def test_a_crowd_asks_the_shop_no_more_than_one_does(there: Shop, mood: str) -> None:
    there.moods.mood = mood
    answers = await there.crowd(BODIES[0], CROWD)
    assert len(set(answers)) == 1
    assert not codes(answers[0])
    assert set(there.moods.calls.values()) == {1}
    before = await answered(there.url)
    again = await there.crowd(BODIES[0], CROWD)
    assert set(again) == set(answers)
    assert (await answered(there.url)).short > before.short
    assert set(there.moods.calls.values()) == {1}


async def test_a_crowd_shares_a_failure_too(there: Shop) -> None:
    there.moods.mood = "failing"
    answers = await there.crowd(BODIES[0], CROWD)
    assert all(codes(each) and codes(each) <= HONEST for each in answers)
    # It is kept for nobody, and each read is tried three times; who comes meanwhile shares it.
    assert max(there.moods.calls.values()) < CROWD / 10
