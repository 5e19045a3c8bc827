"""A gateway in this process whose console is looked at over HTTP."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from gateway.settings import Settings
from personalization.clock import Clock
from tests.gateway.client import GatewayClient, running

Opened = AbstractAsyncContextManager[GatewayClient]


class Open(Protocol):
    """Opens gateways over the data folder of the test."""

    def __call__(
        self, clock: Clock | None = None, **settings: object
    ) -> AbstractAsyncContextManager[GatewayClient]: ...


@pytest.fixture
def open_gateway(data_dir: Path) -> Open:
    """Opens gateways with other settings, or another clock, than the default's."""

    @asynccontextmanager
    async def opened(clock: Clock | None = None, **settings: object) -> AsyncIterator[GatewayClient]:
        async with running(Settings.model_validate({"data_dir": data_dir, **settings}), clock=clock) as client:
            yield client

    return opened


@pytest.fixture
async def gateway(open_gateway: Open) -> AsyncIterator[GatewayClient]:
    """The gateway with default settings."""
    async with open_gateway() as client:
        yield client
