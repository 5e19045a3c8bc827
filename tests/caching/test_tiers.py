"""One suite for the second tiers: in this process, and a real Redis."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bench.processes import free_port
from personalization.clock import SystemClock
from resolvers.caching.local import LocalTier
from resolvers.caching.metrics import CacheMetrics
from resolvers.caching.redis import RedisTier
from resolvers.caching.tier import Stored, Tier

CLOCK = SystemClock()


@contextmanager
def redis_server(directory: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis that keeps nothing on disk, running until the block ends."""
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not on PATH")
        pytest.skip("redis-server is not on PATH: apt-get install redis-server")
    arguments = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(directory),
    ]
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            subprocess.run(["sleep", "0.02"], check=True)
        yield process
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with redis_server(tmp_path_factory.mktemp("redis"), port):
        yield f"redis://127.0.0.1:{port}/0"


def redis_tier(url: str, release: str = "r1", registry: CollectorRegistry | None = None) -> RedisTier:
    return RedisTier(url, release, CLOCK, CacheMetrics(registry or CollectorRegistry()))


@pytest.fixture(params=["local", "redis"])
async def tier(request: pytest.FixtureRequest) -> AsyncIterator[Tier]:
    made: Tier = LocalTier(CLOCK) if request.param == "local" else redis_tier(request.getfixturevalue("redis_url"))
    await made.clear()
    yield made
    await made.aclose()


def stored(*tags: str, seconds: float = 60.0, holes: tuple[bytes, ...] = ()) -> Stored:
    now = CLOCK.now().timestamp()
    parts = tuple(f'{{"n":{n}}}é'.encode() for n in range(len(holes) + 1))
    return Stored("Query.catalog", parts, holes, frozenset(tags), now, now + seconds / 2, now + seconds, 0.01)


async def test_what_was_put_is_given_back_in_the_order_asked(tier: Tier) -> None:
    values = {b"\x00a": stored("x", holes=(b"\xff\x01",)), b"b": stored("y")}
    await tier.put_many(values)
    assert await tier.get_many([b"b", b"missing", b"\x00a"]) == [values[b"b"], None, values[b"\x00a"]]
    assert await tier.get_many([]) == []


async def test_what_is_no_longer_good_is_not_given(tier: Tier) -> None:
    await tier.put_many({b"old": stored(seconds=0.05), b"late": stored(seconds=-1)})
    await asyncio.sleep(0.1)
    assert await tier.get_many([b"old", b"late"]) == [None, None]


async def test_a_tag_takes_all_that_carries_it_and_nothing_else(tier: Tier) -> None:
    await tier.put_many({b"1": stored("Product:1", "list"), b"2": stored("Product:2"), b"3": stored("Product:1")})
    await tier.forget(["Product:1", "never seen"])
    found = await tier.get_many([b"1", b"2", b"3"])
    assert [value is not None for value in found] == [False, True, False]


async def test_to_clear_leaves_nothing(tier: Tier) -> None:
    await tier.put_many({b"1": stored("a"), b"2": stored("b")})
    await tier.clear()
    assert await tier.get_many([b"1", b"2"]) == [None, None]


async def test_releases_never_read_each_other(redis_url: str) -> None:
    first, second = redis_tier(redis_url, "r1"), redis_tier(redis_url, "r2")
    await first.put_many({b"k": stored("t")})
    assert await second.get_many([b"k"]) == [None]
    await second.forget(["t"])
    await second.clear()
    assert (await first.get_many([b"k"]))[0] is not None
    await first.aclose()
    await second.aclose()


@pytest.mark.parametrize("rubbish", [b"", b"{}", b"[1,2]", b'["f",[1],[],[],0,0,0,0]', b"\xff"])
async def test_what_others_wrote_there_is_nothing(redis_url: str, rubbish: bytes) -> None:
    tier = redis_tier(redis_url)
    await tier._cache.client.set(f"gateway:r1:{b'k'.hex()}", rubbish)
    assert await tier.get_many([b"k"]) == [None]
    await tier.aclose()


async def test_redis_may_die_and_come_back(tmp_path: Path) -> None:
    port, registry = free_port(), CollectorRegistry()
    tier = redis_tier(f"redis://127.0.0.1:{port}/0", registry=registry)
    with redis_server(tmp_path, port) as process:
        await tier.put_many({b"k": stored("t")})
        assert (await tier.get_many([b"k"]))[0] is not None
        process.kill()
        process.wait(10)
        for _ in range(10):
            assert await tier.get_many([b"k"]) == [None]
        skipped = registry.get_sample_value("gateway_cache_second_tier_total", {"call": "get", "result": "skipped"})
        assert skipped is not None
        assert skipped > 0
    with redis_server(tmp_path, port):
        for _ in range(100):
            await tier.put_many({b"k": stored("t")})
            if (await tier.get_many([b"k"]))[0] is not None:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("Redis is back and not used")
    await tier.aclose()


async def test_a_purge_that_redis_missed_is_owed(tmp_path: Path) -> None:
    port = free_port()
    one = redis_tier(f"redis://127.0.0.1:{port}/0")
    with redis_server(tmp_path, port) as process:
        await one.put_many({b"k": stored("t")})
        process.send_signal(19)  # stopped: it still has everything, and answers nobody
        await one.forget(["t"])
        process.send_signal(18)
        for _ in range(100):
            found = await one.get_many([b"k"])
            assert found == [None]
            if not one._owed:
                break
            await asyncio.sleep(0.05)
        assert await one.get_many([b"k"]) == [None]
        assert not one._owed
    await one.aclose()


def test_stored_values_are_compared_by_content() -> None:
    assert stored("a") != replace(stored("a"), cost=1.0)
