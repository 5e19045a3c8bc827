"""Definitions read in a process of their own are what is read here, and its failures are told."""

import ctypes
import json
import os
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.definitions import Definitions, read_definitions
from flags.errors import DefinitionsUnreadable, ReaderFailed
from flags.live import DEMO_DIRECTORY
from flags.reader import answer
from flags.reading import read_apart
from flags.rows import IN_A_FRAME, Outcome, Request, definition_of, frame, frames, read_frame, read_rows, row_of
from flags.spawning import run
from flags.vocabulary import Vocabulary
from tests.flags.writing import component, flag, read, write

values = st.booleans() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9)


async def test_the_demo_is_read_apart_as_it_is_here() -> None:
    vocabulary = Vocabulary().with_segments(frozenset({"newcomers"}))
    here = read_definitions(DEMO_DIRECTORY, vocabulary)
    assert await read_apart(DEMO_DIRECTORY, vocabulary, Definitions()) == here
    assert here.flags


async def test_what_is_refused_and_kept_comes_along(tmp_path: Path) -> None:
    flags = {f"f{number}": flag({"if": [{"var": "persona"}, "v2", "off"]}) for number in range(3 * IN_A_FRAME)}
    write(tmp_path, {"hero": component("hero"), **flags})
    previous = read(tmp_path)
    write(tmp_path, {"hero": component("hero", {"==": [1]}), **flags, "f1": flag(), "new": flag(owner="?")})
    (tmp_path / "worse.json").write_text("{")
    apart = await read_apart(tmp_path, Vocabulary(), previous)
    assert apart == read(tmp_path, previous)
    assert apart.kept == {"hero"}
    assert {refusal.flag for refusal in apart.refused} == {"hero", "new", None}
    unchanged = [flag.key for flag, before in zip(apart.flags, previous.flags, strict=True) if flag is before]
    assert unchanged == [key for key in ("hero", *flags) if key != "f1"]


async def test_a_folder_that_cannot_be_read_is_told_from_there(tmp_path: Path) -> None:
    with pytest.raises(DefinitionsUnreadable, match="No such file"):
        await read_apart(tmp_path / "nowhere", Vocabulary(), Definitions())


async def test_a_reader_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ReaderFailed, match="TimeoutError"):
        await read_apart(tmp_path, Vocabulary(), Definitions(), seconds=0.001)


async def test_a_reader_that_cannot_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReaderFailed, match="FileNotFoundError"):
        await read_apart(tmp_path, Vocabulary(), Definitions(), python=str(tmp_path / "no-python"))


async def test_the_modules_are_ours_whatever_lies_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "reader.py").write_text("raise SystemExit(3)")
    (tmp_path / "json.py").write_text("raise SystemExit(4)")
    definitions = tmp_path / "definitions"
    definitions.mkdir()
    write(definitions, {"a": flag()})
    monkeypatch.chdir(tmp_path)
    found = await read_apart(Path("definitions"), Vocabulary(), Definitions())
    assert [served.key for served in found.flags] == ["a"]


def test_the_reader_answers_in_frames(tmp_path: Path) -> None:
    write(tmp_path, {"a": flag(), "b": flag()})
    previous = read(tmp_path)
    write(tmp_path, {"a": flag(), "b": flag(defaultVariant="v2")})
    sink = BytesIO()
    request = frame(Request.of(os.fspath(tmp_path), Vocabulary()))
    answer(BytesIO(request + b"".join(frames(map(row_of, previous.flags)))), sink)
    sink.seek(0)
    assert Outcome(**read_frame(sink)) == Outcome([], [], read(tmp_path).version)
    unchanged, changed = read_rows(sink)
    assert (unchanged, definition_of(changed).default_variant) == ("a", "v2")
    with pytest.raises(EOFError):
        read_frame(sink)


def test_a_frame_cut_short_is_no_frame() -> None:
    with pytest.raises(EOFError):
        read_frame(BytesIO(frame([1, 2, 3])[:-1]))


@settings(max_examples=100)
@given(
    variants=st.dictionaries(st.text(max_size=5), values | st.dictionaries(st.text(max_size=3), values), min_size=1),
    metadata=st.dictionaries(st.text(max_size=5), values),
    content=st.none() | st.dictionaries(st.text(max_size=4), st.lists(values | st.none()), min_size=1),
    count=st.integers(0, 2 * IN_A_FRAME + 1),
)
def test_definitions_cross_unchanged(
    variants: dict[str, Any], metadata: dict[str, Any], content: Any, count: int
) -> None:
    rule = None if content is None else json.dumps(content)
    rows = [["f", "f.json", "OBJECT", True, variants, None, "d", rule, metadata]] * count
    source = BytesIO(b"".join(frames(rows)))
    found = [definition_of(row) for row in read_rows(source)]
    assert [row_of(definition) for definition in found] == rows
    assert source.read() == b""
    assert all(definition.targeting == content for definition in found)


async def test_a_reader_that_breaks_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o700)
    with pytest.raises(ReaderFailed, match="ended with 7"):
        await read_apart(tmp_path, Vocabulary(), Definitions(), python=str(broken))


def test_a_program_has_its_two_files_and_its_environment_and_nothing_else(tmp_path: Path) -> None:
    program = "import os,sys; print(sys.stdin.read(), os.environ, sorted(map(int, os.listdir('/proc/self/fd'))))"
    with TemporaryFile() as source, TemporaryFile() as sink, TemporaryFile() as other:
        source.write(b"given")
        source.seek(0)
        os.set_inheritable(other.fileno(), True)
        assert run((sys.executable, "-S", "-c", program), {"A": "é"}, source.fileno(), sink.fileno(), 60.0) == 0
        sink.seek(0)
        said = sink.read().decode()
    assert said.startswith("given environ({'A': 'é'")
    if hasattr(ctypes.CDLL(None), "posix_spawn_file_actions_addclosefrom_np"):
        assert said.rstrip().endswith("[0, 1, 2, 3]") or said.rstrip().endswith("[0, 1, 3]")
