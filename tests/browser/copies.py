"""Copies of files that a test changes, and what the hub of another process holds."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

from personalization.clock import SystemClock
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile


def copied(folder: Path, to: Path) -> Path:
    """The folder's JSON files at another place."""
    for path in folder.glob("*.json"):
        shutil.copy(path, to / path.name)
    return to


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a JSON file and replace it whole, as editors do."""
    content = json.loads(path.read_text())
    change(content)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)


def events(data: Path, topic: str) -> list[dict[str, Any]]:
    """All events of a topic, each with the `traceparent` it came with."""
    with ThreadPoolExecutor(1) as aside:  # this thread has the browser's loop
        return aside.submit(asyncio.run, _events(data, topic)).result(20)


async def _events(data: Path, topic: str) -> list[dict[str, Any]]:
    hub = SqliteHub(HubFile(data / "hub.sqlite3"), SystemClock(), lambda: "reader")
    found: list[dict[str, Any]] = []
    try:
        async with hub.consumer("browser-tests", [topic]) as consumer:
            while batch := await consumer.poll_batch(500, 0):
                found += [
                    {**orjson.loads(each.event.value), "traceparent": each.event.headers.get("traceparent")}
                    for each in batch
                ]
    finally:
        await hub.aclose()
    return found


def awaited(data: Path, topic: str, wanted: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
    """The first event of a topic that is wanted, once it is there; fails after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for event in events(data, topic):
            if wanted(event):
                return event
        time.sleep(0.25)
    raise AssertionError(f"no such event came in {topic} within {seconds} s")
