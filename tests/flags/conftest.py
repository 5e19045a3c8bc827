"""Flags opened over a folder of the test's own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from flags.live import Flags
from flags.vocabulary import Vocabulary

OpenFlags = Callable[[Path], Awaitable[Flags]]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def open_flags(registry: CollectorRegistry) -> AsyncIterator[OpenFlags]:
    """Opens flags over a folder, looked at every 10 ms; they are closed after the test."""
    async with AsyncExitStack() as stack:

        async def opened(directory: Path) -> Flags:
            flags = await Flags.open(directory, registry, vocabulary=Vocabulary(), poll_seconds=0.01)
            stack.push_async_callback(flags.aclose)
            return flags

        yield opened
