"""The whole gateway in this process, over the embedded shop or any other source."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.gateway.client import GatewayClient, running
from tests.gateway.server import gateway_process

Open = Callable[..., AbstractAsyncContextManager[GatewayClient]]


@pytest.fixture(scope="module")
def url(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a gateway as its own process, for the tests of one file."""
    data_dir = tmp_path_factory.mktemp("served")
    (data_dir / catalogue.name).hardlink_to(catalogue)
    with gateway_process(data_dir) as url:
        yield url


@pytest.fixture
def open_gateway(data_dir: Path) -> Open:
    """Opens gateways with other settings than the default's."""

    @asynccontextmanager
    async def opened(**settings: object) -> AsyncIterator[GatewayClient]:
        async with running(Settings.model_validate({"data_dir": data_dir, **settings})) as client:
            yield client

    return opened


@pytest.fixture
async def gateway(open_gateway: Open) -> AsyncIterator[GatewayClient]:
    """The gateway with default settings."""
    async with open_gateway() as client:
        yield client
