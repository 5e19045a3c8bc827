"""The server drains: real processes, real signals, nothing cut off."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.telemetry.processes import GatewayProcess, gateway_process

WORKERS = pytest.mark.parametrize("workers", [1, 2])


async def until_ready(client: httpx.AsyncClient) -> None:
    while True:
        with contextlib.suppress(httpx.TransportError):
            if (await client.get("/ready")).status_code == 200:
                return
        await asyncio.sleep(0.05)


async def until_not_ready(url: str) -> httpx.Response:
    """What `/ready` answers once it no longer says 200. A new connection each time, as a balancer would."""
    while True:
        async with httpx.AsyncClient(base_url=url) as client:
            answer = await client.get("/ready")
        if answer.status_code != 200:
            return answer


async def refused(url: str) -> bool:
    """Whether the listener is closed, waiting for it."""
    while True:
        async with httpx.AsyncClient(base_url=url) as client:
            try:
                await client.get("/ready")
            except httpx.ConnectError:
                return True
            except httpx.TransportError:
                """Let in at the last moment, and too slow to say what it wants."""
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def serving(gate: Path, **settings: str) -> AsyncIterator[tuple[GatewayProcess, str, httpx.AsyncClient]]:
    with gateway_process(SMALL_APP_GATE=str(gate), GATEWAY_DRAIN_TIMEOUT_S="40", **settings) as running:
        url = await asyncio.to_thread(running.url)
        # One that answers is not enough: a worker that is still starting dies of a signal, with nothing to drain.
        await asyncio.to_thread(
            running.wait_for, "Application startup complete", int(settings.get("GATEWAY_WORKERS", "1"))
        )
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            await until_ready(client)
            yield running, url, client


@WORKERS
async def test_a_request_begun_before_the_signal_is_answered_whole(tmp_path: Path, workers: int) -> None:
    gate = tmp_path / "gate"
    async with serving(gate, GATEWAY_WORKERS=str(workers)) as (running, url, client):
        answer = asyncio.create_task(client.get("/slow"))
        await asyncio.to_thread(running.wait_for, "began")
        running.terminate()
        not_ready = await until_not_ready(url)
        assert (not_ready.status_code, not_ready.json()["status"]) == (503, "draining")
        assert not_ready.headers["connection"] == "close"
        assert await refused(url)
        gate.touch()
        assert ((await answer).status_code, (await answer).text) == (200, "whole")
        assert await asyncio.to_thread(running.exit_code) == 0
        assert [line["event"] for line in running.lines].count("closed") == workers, "each lifespan was closed"


@WORKERS
async def test_a_stream_begun_before_the_signal_reaches_its_last_part(tmp_path: Path, workers: int) -> None:
    gate = tmp_path / "gate"
    async with serving(gate, GATEWAY_WORKERS=str(workers)) as (running, _, client):
        async with client.stream("GET", "/stream") as answer:
            parts = answer.aiter_text()
            assert await anext(parts) == "first "
            running.terminate()
            await asyncio.to_thread(running.wait_for, "draining", workers)
            gate.touch()
            assert "".join([part async for part in parts]) == "last"
        assert await asyncio.to_thread(running.exit_code) == 0


@WORKERS
async def test_a_request_that_outlasts_the_drain_is_cut_and_the_exit_is_clean(tmp_path: Path, workers: int) -> None:
    settings = {"SMALL_APP_GATE": str(tmp_path / "never"), "GATEWAY_DRAIN_TIMEOUT_S": "0.5"}
    with gateway_process(**settings, GATEWAY_WORKERS=str(workers)) as running:
        url = await asyncio.to_thread(running.url)
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            await until_ready(client)
            answer = asyncio.create_task(client.get("/slow"))
            await asyncio.to_thread(running.wait_for, "began")
            running.terminate()
            with contextlib.suppress(httpx.TransportError):
                assert (await answer).status_code >= 500
            assert await asyncio.to_thread(running.exit_code) == 0


@WORKERS
async def test_a_thread_that_cannot_be_stopped_does_not_keep_the_process(workers: int) -> None:
    with gateway_process(GATEWAY_DRAIN_TIMEOUT_S="0.5", GATEWAY_WORKERS=str(workers)) as running:
        url = await asyncio.to_thread(running.url)
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            await until_ready(client)
            answer = asyncio.create_task(client.get("/stuck"))
            await asyncio.to_thread(running.wait_for, "began")
            running.terminate()
            with contextlib.suppress(httpx.TransportError):
                assert (await answer).status_code >= 500
            assert await asyncio.to_thread(running.exit_code) == (1 if workers == 1 else 0)
            assert any(line["event"] == "exit_forced" for line in running.lines)


async def test_ctrl_c_ends_with_0(tmp_path: Path) -> None:
    async with serving(tmp_path / "gate") as (running, _, _client):
        running.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(running.exit_code) == 0


@WORKERS
async def test_an_application_that_cannot_start_ends_the_server(workers: int) -> None:
    with gateway_process(SMALL_APP_BROKEN="1", GATEWAY_WORKERS=str(workers)) as running:
        assert await asyncio.to_thread(running.exit_code) == 3
        assert any("told not to start" in line.get("reason", "") for line in running.lines)


async def test_an_address_in_use_is_said_to_be(tmp_path: Path) -> None:
    async with serving(tmp_path / "gate") as (_, url, _client):
        with gateway_process(GATEWAY_PORT=url.rpartition(":")[2]) as second:
            assert await asyncio.to_thread(second.exit_code) != 0
            assert any("CannotListen" in line for line in second.errors)


async def pids(client: httpx.AsyncClient, count: int) -> set[int]:
    """The processes that answer, asked until there are `count`."""
    found: set[int] = set()
    while len(found) < count:
        answers = await asyncio.gather(
            *(client.get("/products/1/home", headers={"connection": "close"}) for _ in range(8))
        )
        found |= {answer.json()["pid"] for answer in answers}
    return found


async def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path / "gate", GATEWAY_WORKERS="2") as (running, _, client):
        before = await pids(client, 2)
        os.kill(min(before), signal.SIGKILL)
        ended = await asyncio.to_thread(running.wait_for, "worker_ended")
        assert ended["pid"] == min(before)
        async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as anew:
            assert len(await pids(anew, 2) - before) == 1
        running.terminate()
        assert await asyncio.to_thread(running.exit_code) == 0


async def test_workers_drain_when_their_supervisor_is_gone(tmp_path: Path) -> None:
    async with serving(tmp_path / "gate", GATEWAY_WORKERS="2") as (running, url, client):
        await pids(client, 2)
        running.process.kill()
        assert await refused(url)


async def test_metrics_are_of_all_workers(tmp_path: Path) -> None:
    async with serving(tmp_path / "gate", GATEWAY_WORKERS="2") as (_, _url, client):
        await pids(client, 2)
        before = await counted(client)
        await asyncio.gather(*(client.get("/products/1/home") for _ in range(20)))
        assert await counted(client) == before + 20


async def counted(client: httpx.AsyncClient) -> int:
    text = (await client.get("/metrics")).text
    return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith("small_app_homes_total "))
