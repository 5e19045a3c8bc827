"""Answers that are kept for a moment and made one at a time, so that many who look cost as much as one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import orjson

KEPT_S: Final = 1.0
MOST_KEPT: Final = 64


class Answers:
    """Makes answers in one thread of its own, away from the event loop and from what requests wait for."""

    def __init__(self, *, kept_s: float = KEPT_S) -> None:
        self._kept_s = kept_s
        self._thread = ThreadPoolExecutor(1, "console")
        self._made: dict[str, tuple[float, asyncio.Future[bytes]]] = {}

    async def answer(self, name: str, make: Callable[[], object], *, kept_s: float | None = None) -> bytes:
        """What `make` gives, as JSON: made now, or by whoever asked for the same a moment ago. `make` may block."""
        loop = asyncio.get_running_loop()
        found = self._made.get(name)
        if found is None or (found[1].done() and found[0] < loop.time()):
            made = loop.run_in_executor(self._thread, lambda: orjson.dumps(make(), option=orjson.OPT_NON_STR_KEYS))
            self._made.pop(name, None)
            while len(self._made) >= MOST_KEPT:
                del self._made[next(iter(self._made))]
            found = self._made[name] = (loop.time() + (self._kept_s if kept_s is None else kept_s), made)
        return await asyncio.shield(found[1])

    def forget(self) -> None:
        """Make everything anew: something was changed."""
        self._made.clear()

    async def aclose(self) -> None:
        """Wait for what is being made. Safe to call twice."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
