"""`gateway data prepare` as a person runs it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.commands.data import app
from resolvers.sources.embedded_build import is_current


def test_it_builds_the_store_and_says_where(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["prepare", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert is_current(Path(result.stdout.strip()))


def test_the_folder_comes_from_the_settings(tmp_path: Path) -> None:
    environment = {"GATEWAY_DATA_DIR": str(tmp_path / "elsewhere")}
    result = CliRunner().invoke(app, ["prepare"], env=environment)
    assert result.exit_code == 0
    assert is_current(tmp_path / "elsewhere" / "catalogue.sqlite")


@pytest.mark.parametrize(("options", "words"), [(["--products", "7"], "received 7"), ([], "cannot be prepared")])
def test_what_cannot_be_done_is_told_in_a_sentence(tmp_path: Path, options: list[str], words: str) -> None:
    folder = tmp_path / "file"
    if not options:
        folder.write_text("in the way")
    result = CliRunner().invoke(app, ["prepare", "--data-dir", str(folder), *options])
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Traceback" not in result.output
