"""The process beside the workers: started with them, started anew when it dies, and ended with them."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from resolvers.sources.embedded_build import prepare_store
from tests.gateway.server import gateway_process

PATIENCE_S = 60.0


def learning(url: str) -> dict[str, Any]:
    with urlopen(f"{url}/ready", timeout=10) as answer:
        told: dict[str, Any] = json.load(answer)["learning"]
    return told


def companions(folder: Path) -> list[int]:
    """The processes that join and learn over this folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            environment = (process / "environ").read_bytes() if b"gateway.loop" in command else b""
        except OSError:  # no process, or one that is gone
            continue
        if f"GATEWAY_DATA_DIR={folder}".encode() in environment.split(b"\0"):
            found.append(int(process.name))
    return found


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def test_what_learns_is_started_anew_when_it_dies_and_ends_with_the_server(tmp_path: Path) -> None:
    prepare_store(tmp_path)
    with gateway_process(tmp_path, learning="true") as url:
        until(lambda: len(companions(tmp_path)) == 1)
        assert learning(url) == {"status": "running", "starts": 1}
        (first,) = companions(tmp_path)
        os.kill(first, signal.SIGKILL)
        until(lambda: learning(url) == {"status": "running", "starts": 2})
        until(lambda: companions(tmp_path) not in ([], [first]))
    assert companions(tmp_path) == []


def test_a_gateway_may_serve_without(tmp_path: Path) -> None:
    prepare_store(tmp_path)
    with gateway_process(tmp_path, learning="false") as url:
        with urlopen(f"{url}/ready", timeout=10) as answer:
            assert "learning" not in json.load(answer)
        assert companions(tmp_path) == []


def test_its_metrics_are_beside_those_of_the_workers(tmp_path: Path) -> None:
    prepare_store(tmp_path)
    with gateway_process(tmp_path, learning="true") as url:

        def told() -> set[str]:
            with urlopen(f"{url}/metrics", timeout=10) as answer:
                lines = answer.read().decode().splitlines()
            return {line.partition(" ")[0].partition("{")[0] for line in lines if not line.startswith("#")}

        until(lambda: {"gateway_join_held", "gateway_learn_behind_seconds", "gateway_decision_seconds_count"} <= told())
