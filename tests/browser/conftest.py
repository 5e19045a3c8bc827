"""One browser and one gateway for each module of tests; a profile of its own for each test.

The browser's driver keeps an event loop in its thread: no test of another module may run before it is closed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from flags.definitions import read_definitions
from flags.live import DEMO_DIRECTORY
from flags.registry import SHIPPED_DIRECTORY, read_registry
from flags.vocabulary import Vocabulary
from gateway.manifest import write_manifest
from gateway.page_documents import page_documents, read_templates
from tests.browser.chromium import Shop, browser, visiting
from tests.browser.copies import copied
from tests.gateway.server import gateway_process

JOIN_WINDOW_S = 4.0
LATENESS_S = 0.5


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway that serves the shop: its address, and the folders of its data and its flags."""

    url: str
    data: Path
    flags: Path


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest, catalogue: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The shop as `make run` serves it: it joins and learns beside its workers, only sooner.

    It takes no other documents than those made ahead of time, unless the module says that flags are to change.
    """
    data = tmp_path_factory.mktemp("shop")
    (data / catalogue.name).hardlink_to(catalogue)
    flags = copied(DEMO_DIRECTORY, tmp_path_factory.mktemp("flags"))
    settings = {
        "learning": "true",
        "join_window_s": str(JOIN_WINDOW_S),
        "join_lateness_s": str(LATENESS_S),
        "flags_dir": str(flags),
    }
    if not getattr(request.module, "FLAGS_CHANGE", False):
        settings |= {"documents_mode": "only", "documents_manifest": str(_manifest(flags, data))}
    with gateway_process(data, **settings) as url:
        yield Served(url, data, flags)


def _manifest(flags: Path, folder: Path) -> Path:
    path = folder / "documents.json"
    definitions = read_definitions(flags, Vocabulary())
    write_manifest(path, page_documents(read_templates(), read_registry(SHIPPED_DIRECTORY), definitions, "2.2.0"))
    return path


@pytest.fixture
def shop(chrome: Browser, served: Served) -> Iterator[Shop]:
    """A visitor on a desktop; whatever the browser complains of fails the test."""
    with visiting(chrome, served.url) as visit:
        yield visit
        assert visit.complaints == []


@pytest.fixture
def phone(chrome: Browser, served: Served) -> Iterator[Shop]:
    """The same on a phone."""
    with visiting(chrome, served.url, phone=True) as visit:
        yield visit
        assert visit.complaints == []
