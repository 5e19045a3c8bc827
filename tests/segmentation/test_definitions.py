"""Segments in a file, and customers assigned by it."""

from pathlib import Path

import pytest

from personalization.segmentation.definitions import define, read_segments, write_segments
from personalization.segmentation.errors import InvalidSegments
from tests.segmentation.test_clustering import table, three_groups


def test_a_file_assigns_as_the_definition_it_was_written_from(tmp_path: Path) -> None:
    defined = define(three_groups(), 3, ["big=Big ones"])
    write_segments(tmp_path / "segments.json", defined)
    read = read_segments(tmp_path / "segments.json")
    assert read == defined
    assert [each.key for each in read.segments] == ["big", "segment-2", "segment-3"]
    keys = read.assign(three_groups())
    assert [len(set(keys[start : start + 30])) for start in (0, 30, 60)] == [1, 1, 1]
    assert [each.size for each in read.segments] == [30, 30, 30]


@pytest.mark.parametrize("names", [["x"], ["=X"], ["x=X", "x=Y"], ["a=A", "b=B", "c=C", "d=D"], ["segment-2=Mine"]])
def test_names_must_be_keys_and_names(names: list[str]) -> None:
    with pytest.raises(InvalidSegments):
        define(three_groups(), 3, names)


def test_other_features_are_refused() -> None:
    with pytest.raises(InvalidSegments, match="features are missing that the segments were defined on: b"):
        define(three_groups(), 3).assign(table(a=[1.0]))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_hash": "", "scaling": {"columns": []}, "segments": []}'])
def test_a_file_that_is_none_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "segments.json"
    with pytest.raises(InvalidSegments, match="gateway segments define"):
        read_segments(path)
    path.write_text(content)
    with pytest.raises(InvalidSegments, match=r"segments\.json"):
        read_segments(path)
