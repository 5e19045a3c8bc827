"""Under load nothing wrong is served: Redis killed and restarted, storms of purges, and a budget that is too small.

Half of the clients came before, so the short way is open to them; both ways look into one cache at the same time.
"""

import asyncio
import os
import random
import re
from collections import Counter
from pathlib import Path

import httpx
import orjson

from bench.processes import free_port
from gateway.settings import Settings
from tests.caching.test_tiers import redis_server
from tests.caching.ways import Way, answered, by_turns, client
from tests.gateway.client import signed
from tests.gateway.server import gateway_process

SECONDS = float(os.environ.get("CACHE_LOAD_SECONDS", "8"))
BUDGET = 1_000_000
CLIENTS = 24
SIZES = range(1, 40)
QUERY = """query ($n: Int!, $sort: ProductSort) { catalog(first: $n, sort: $sort) {
  nodes { id name category { id name } price { amount } } } categories { id name } }"""
BODIES = [
    orjson.dumps({"query": QUERY, "variables": {"n": n, "sort": sort}}) for n in SIZES for sort in ("POPULAR", "NAME")
]
JSON = {"Content-Type": "application/json"}


async def answer(asking: httpx.AsyncClient, body: bytes) -> bytes:
    response = await asking.post("/graphql", content=body, headers=JSON)
    return response.content


async def expected(url: str, way: Way = Way.ORDINARY) -> dict[bytes, bytes]:
    async with client(url, way) as asking:
        return {body: await answer(asking, body) for body in BODIES}


async def come_again(url: str, right: dict[bytes, bytes]) -> None:
    """Have a visitor ask for all of it so often that the short way is open to those who ask from now on."""
    for _ in range(4):
        assert await expected(url, Way.SHORT) == right
    assert (await answered(url)).short > 0


class Load:
    """What is asked at once, and what came of it."""

    def __init__(self, url: str, right: dict[bytes, bytes], token: str) -> None:
        self.url = url
        self.right = right
        self.token = token
        self.results: Counter[str] = Counter()
        self.most_held = 0.0
        self.over = asyncio.Event()

    async def asking(self, seed: int, way: Way) -> None:
        chance = random.Random(seed)
        async with client(self.url, way) as asking:
            while not self.over.is_set():
                body = chance.choice(BODIES)
                self.results["right" if await answer(asking, body) == self.right[body] else "wrong"] += 1

    async def purging(self) -> None:
        chance = random.Random(0)
        headers = {"Authorization": f"Bearer {self.token}"}
        ids = sorted(set(re.findall(rb'"id":"([0-9]+)"', b"".join(self.right.values()))))
        async with httpx.AsyncClient(base_url=self.url, timeout=30, headers=headers) as operator:
            while not self.over.is_set():
                tags = [f"Product:{each.decode()}" for each in chance.sample(ids, 5)]
                asked: dict[str, object] = {"everything": True} if chance.random() < 0.05 else {"tags": tags}
                storm = [operator.post("/cache/purge", json=asked) for _ in range(5)]
                self.results["purged"] += sum(each.status_code == 200 for each in await asyncio.gather(*storm))
                await asyncio.sleep(0.1)

    async def weighing(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as operator:
            while not self.over.is_set():
                text = (await operator.get("/metrics")).text
                held = re.findall(r"^gateway_cache_bytes\{.*\} ([0-9.e+]+)$", text, re.MULTILINE)
                self.most_held = max(self.most_held, sum(map(float, held)))
                await asyncio.sleep(0.3)

    async def breaking(self, directory: Path, port: int) -> None:
        """Redis lives for a second, and is killed."""
        while not self.over.is_set():
            with redis_server(directory, port) as process:
                await asyncio.sleep(1.0)
                process.kill()
                process.wait(10)
            self.results["killed"] += 1
            await asyncio.sleep(0.5)


async def test_no_answer_is_wrong(data_dir: Path, tmp_path: Path) -> None:
    port = free_port()
    with redis_server(tmp_path, port):
        pass  # skipped where there is none
    with gateway_process(data_dir, cache="false") as url:
        right = await expected(url)
    assert all(orjson.loads(each).get("errors") is None for each in right.values())
    redis_url = f"redis://127.0.0.1:{port}/0"
    with gateway_process(data_dir, redis_url=redis_url, cache_bytes=str(BUDGET)) as url:
        await come_again(url, right)
        before = await answered(url)
        load = Load(url, right, signed(Settings(data_dir=data_dir), "1", scope="ops"))
        work = [load.asking(seed, way) for seed, way in enumerate(by_turns(CLIENTS))]
        tasks = [asyncio.create_task(each) for each in (*work, load.purging(), load.weighing())]
        tasks.append(asyncio.create_task(load.breaking(tmp_path, port)))
        await asyncio.sleep(SECONDS)
        load.over.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
        after = await answered(url)
    assert load.results["wrong"] == 0
    assert load.results["right"] > 0
    assert after.short > before.short
    assert after.ordinary > before.ordinary
    assert load.results["killed"] > 0
    assert load.results["purged"] > 0
    assert 0 < load.most_held <= 1.1 * BUDGET
