"""The README is true: its query is answered as it says, its settings are all there, its links lead somewhere."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.__main__ import app
from gateway.commands.settings import settings_table
from gateway.settings import Settings
from resolvers.sources.embedded_build import prepare_store
from tests.gateway.client import running

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def block(language: str) -> str:
    """The first code block of a language."""
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_query_is_answered_as_it_says(tmp_path: Path) -> None:
    prepare_store(tmp_path)
    async with running(Settings.model_validate({"data_dir": tmp_path})) as gateway:
        answer = await gateway.ask(block("graphql"))
    assert answer == json.loads(block("json"))


def test_every_setting_is_listed() -> None:
    assert settings_table() in README, "run `gateway settings` and put the table into the README"


def test_make_has_the_two_commands() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("run", "test"):
        assert f"make {target} " in block("sh")
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    for line in re.findall(r"`(?:\$ )?gateway ([a-z]+(?: [a-z]+)?)", page.read_text()):
        words = line.split()
        shown = CliRunner().invoke(app, [words[0], "--help"])
        assert shown.exit_code == 0, f"{page.name} names `gateway {words[0]}`"
        if "Commands" in shown.output and len(words) > 1:
            assert words[1] in shown.output, f"{page.name} names `gateway {line}`"
