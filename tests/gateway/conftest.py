"""The whole gateway in this process, over the embedded shop or any other source."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.settings import Settings
from resolvers.sources.embedded_build import prepare_store
from tests.gateway.client import GatewayClient, running
from tests.gateway.server import gateway_process

Open = Callable[..., AbstractAsyncContextManager[GatewayClient]]


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded shop's store, built once."""
    return prepare_store(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def url(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a gateway as its own process, for the tests of one file."""
    data_dir = tmp_path_factory.mktemp("served")
    (data_dir / catalogue.name).hardlink_to(catalogue)
    with gateway_process(data_dir) as url:
        yield url


@pytest.fixture
def data_dir(catalogue: Path, tmp_path: Path) -> Path:
    """A data folder of this test's own, with the shop in it."""
    (tmp_path / catalogue.name).hardlink_to(catalogue)
    return tmp_path


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
