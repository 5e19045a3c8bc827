"""A store of the embedded shop, built once for the tests of this folder."""

from pathlib import Path

import pytest

from resolvers.sources.embedded_build import prepare_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded catalogue, to be read only; give each test baskets of its own."""
    return prepare_store(tmp_path_factory.mktemp("embedded"))
