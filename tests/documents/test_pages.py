"""What the shop's pages send, made ahead of time: valid whatever is in play, and no more than the flags can give."""

import json
from pathlib import Path

import pytest
import typer
from graphql import build_schema, parse, print_ast, validate
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from flags.definitions import read_definitions
from flags.live import DEMO_DIRECTORY
from flags.registry import SHIPPED_DIRECTORY, ComponentVersion, read_registry
from flags.vocabulary import Vocabulary
from gateway.commands.documents import check, pages
from gateway.page_documents import page_documents, read_templates, written

ROOT = Path(__file__).parents[2]
SCHEMA = build_schema((ROOT / "schema.graphql").read_text())
REGISTRY = read_registry(SHIPPED_DIRECTORY)
TEMPLATES = read_templates()
NAMES = sorted({version.manifest.name for version in REGISTRY.versions})


@st.composite
def in_play(draw: st.DrawFn) -> list[ComponentVersion]:
    """At most one version of each component, in any order."""
    chosen = [draw(st.sampled_from((None, *REGISTRY.of(name)))) for name in NAMES]
    return draw(st.permutations([each for each in chosen if each is not None]))


@given(st.sampled_from(sorted(TEMPLATES)), in_play())
def test_a_document_fits_the_schema_whatever_is_in_play(name: str, versions: list[ComponentVersion]) -> None:
    needed = {"drawer": "basket-drawer", "suggestions": "search"}.get(name)
    if needed is not None and needed not in {each.manifest.name for each in versions}:
        versions = [*versions, REGISTRY.of(needed)[0]]
    text = written(TEMPLATES[name], versions)
    assert validate(SCHEMA, parse(text)) == []
    assert "#" not in text.replace("# The strongest", "").replace("# Spread into", "")


@given(in_play())
def test_the_order_of_the_versions_does_not_matter(versions: list[ComponentVersion]) -> None:
    assert written(TEMPLATES["home"], versions) == written(TEMPLATES["home"], versions[::-1])


def test_what_is_not_in_play_costs_nothing() -> None:
    bare = print_ast(parse(written(TEMPLATES["home"], [])))
    assert "recommendations" not in bare
    assert "fragment" not in bare
    assert "$context" not in bare


def test_pages_of_personas_are_foreseen_and_nothing_beyond() -> None:
    definitions = read_definitions(DEMO_DIRECTORY, Vocabulary())
    found = page_documents(TEMPLATES, REGISTRY, definitions, "2.2.0")
    assert len({each.id for each in found}) == len(found)
    home = [each.body for each in found if each.name == "HomePage"]
    assert any("bulk_pad_v2" in body and "product_tile_v2" in body for body in home)
    assert any("onboarding_v2" in body and "hero_v1" in body for body in home), "a variant of one in ten"
    assert not any("bulk_pad_v2" in body and "team_page_v2" in body for body in home)
    assert not any("team_page_v1" in body for body in home), "that is for older pages"
    assert len(home) < 150


def test_the_command_makes_a_manifest_that_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    app = typer.Typer()
    app.command()(pages)
    app.command()(check)
    path = tmp_path / "documents.json"
    made = CliRunner().invoke(app, ["pages", "--manifest", str(path)])
    assert made.exit_code == 0, made.output
    operations = json.loads(path.read_text())["operations"]
    assert made.output == f"{len(operations)} documents of {len(TEMPLATES)} operations\n"
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0
