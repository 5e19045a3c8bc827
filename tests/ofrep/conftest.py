"""The whole gateway over a folder of flags of the test's own."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.flags.writing import write
from tests.gateway.client import GatewayClient, running
from tests.gateway.server import gateway_process
from tests.ofrep.asking import FLAGS

Open = Callable[..., AbstractAsyncContextManager[GatewayClient]]


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway as a process of its own, and the folder of its flags."""

    url: str
    flags_dir: Path
    data_dir: Path


@pytest.fixture
def data_dir(catalogue: Path, tmp_path: Path) -> Path:
    """A data folder of this test's own, with the shop in it."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / catalogue.name).hardlink_to(catalogue)
    return folder


@pytest.fixture
def flags_dir(tmp_path: Path) -> Path:
    """A folder with the flags that tests ask for."""
    folder = tmp_path / "flags"
    folder.mkdir()
    write(folder, FLAGS)
    return folder


@pytest.fixture
def open_gateway(data_dir: Path, flags_dir: Path) -> Open:
    """Opens gateways with other settings than the default's."""

    @asynccontextmanager
    async def opened(**settings: object) -> AsyncIterator[GatewayClient]:
        given = {"data_dir": data_dir, "flags_dir": flags_dir, **settings}
        async with running(Settings.model_validate(given)) as client:
            yield client

    return opened


@pytest.fixture
async def gateway(open_gateway: Open) -> AsyncIterator[GatewayClient]:
    """The gateway with default settings."""
    async with open_gateway() as client:
        yield client


@pytest.fixture
def served(data_dir: Path, flags_dir: Path) -> Iterator[Served]:
    """The gateway as a process of its own."""
    with gateway_process(data_dir, flags_dir=str(flags_dir)) as url:
        yield Served(url, flags_dir, data_dir)
