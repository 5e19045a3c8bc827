"""The embedded shop's store, built once for all tests of a process."""

from pathlib import Path

import pytest

from resolvers.sources.embedded_build import prepare_store


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store's file; link it into a data folder."""
    return prepare_store(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def data_dir(catalogue: Path, tmp_path: Path) -> Path:
    """A data folder of this test's own, with the shop in it."""
    (tmp_path / catalogue.name).hardlink_to(catalogue)
    return tmp_path
