"""What all tests have: the embedded shop's store, built once a process, and an end for what hangs."""

import faulthandler
from pathlib import Path

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

from resolvers.sources.embedded_build import prepare_store

# A fixture's end, or a thread that its event loop waits for, after a failure.
LONGEST_END_S = 120


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Watches over the end of a failed test.

    At the first failure pytest and pytest-timeout put their own watches away, for a debugger's sake; what a test that
    failed left behind can hang its end for good, and with it the whole run.
    """
    if isinstance(node, pytest.Item):
        stderr = node.config.stash[fault_handler_stderr_fd_key]
        faulthandler.dump_traceback_later(LONGEST_END_S, file=stderr, exit=True)


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store's file; link it into a data folder."""
    return prepare_store(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def data_dir(catalogue: Path, tmp_path: Path) -> Path:
    """A data folder of this test's own, with the shop in it."""
    (tmp_path / catalogue.name).hardlink_to(catalogue)
    return tmp_path
