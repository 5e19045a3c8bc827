"""`gateway flags …`, as an operator runs it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.commands.flags import app, parse_subject
from tests.flags.writing import BUCKETING, PINNED, component, flag, write

RULE = {
    "if": [
        {"and": [{"==": [{"var": "persona"}, "BUILDER"]}, {"sem_ver": [{"var": "appVersion"}, ">=", "2.0.0"]}]},
        "v2",
        {"fractional": [BUCKETING, ["v1", 60], ["off", 40]]},
    ]
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, {"hero": component("hero", RULE), "off": flag(state="DISABLED"), "plain": flag(metadata=PINNED)})
    return tmp_path


def _run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_lint_is_silent_about_good_definitions(folder: Path) -> None:
    assert _run("lint", "--dir", folder) == (0, "", "3 flags, 0 refused\n")


def test_lint_names_file_flag_and_reason(folder: Path) -> None:
    write(folder, {"bad": flag(state="?")}, "worse.json")
    (folder / "worst.json").write_text("{")
    code, out, err = _run("lint", "--dir", folder)
    assert code == 1
    first, second = out.splitlines()
    assert first.startswith("worse.json: bad: at state: '?' is not one of")
    assert second.startswith("worst.json: it is not JSON in UTF-8")
    assert err == "3 flags, 2 refused\n"


def test_lint_knows_the_segments_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"gold": flag({"if": [{"==": [{"var": "segment"}, "gold"]}, "v1", "v2"]})})
    assert _run("lint", "--dir", tmp_path, "--segment", "gold")[0] == 0
    code, out, _ = _run("lint", "--dir", tmp_path, "--segment", "silver", "--segment", "bronze")
    assert (code, out) == (1, "team.json: gold: 'gold' is no segment: ['bronze', 'silver']\n")
    monkeypatch.setenv("GATEWAY_FLAGS_SEGMENTS", "silver, bronze")
    assert _run("lint", "--dir", tmp_path)[0] == 1
    assert "gold" not in _run("list", "--dir", tmp_path)[1]
    monkeypatch.setenv("GATEWAY_FLAGS_SEGMENTS", "gold")
    assert _run("lint", "--dir", tmp_path)[0] == 0


def test_the_demo_is_read_when_no_folder_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.delenv("GATEWAY_FLAGS_DIR", raising=False)
    assert "component.hero" in _run("list")[1]
    monkeypatch.setenv("GATEWAY_FLAGS_DIR", str(folder))
    assert "component.hero" not in _run("list")[1]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    code, out, err = _run("list", "--dir", tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert "cannot be read" in err


def test_list_shows_all_flags(folder: Path) -> None:
    code, out, _ = _run("list", "--dir", folder)
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert [row[:2] for row in rows[1:]] == [["hero", "on"], ["off", "DISABLED"], ["plain", "on"]]


def test_show_gives_the_flag_as_json(folder: Path) -> None:
    code, out, _ = _run("show", "hero", "--dir", folder)
    shown = json.loads(out)
    assert code == 0
    assert (shown["targeting"], shown["defaultVariant"], shown["file"]) == (RULE, "v1", "team.json")
    assert _run("show", "nobody", "--dir", folder) == (2, "", "no definition names the flag 'nobody'\n")


def test_eval_gives_the_answer_as_json(folder: Path) -> None:
    code, out, _ = _run("eval", "hero", "--dir", folder, "--subject", "persona=BUILDER", "--subject", "appVersion=2.0")
    answer = json.loads(out)
    assert code == 0
    assert (answer["value"], answer["reason"], answer["decidedBy"]) == ("v2", "TARGETING_MATCH", "RULE")


def test_what_a_flag_requires_is_shown_and_explained(tmp_path: Path) -> None:
    requiring = flag(metadata={"requires": "base=v2"})
    write(tmp_path, {"base": flag(RULE, metadata=PINNED), "mid": requiring, "top": flag(metadata={"requires": "mid"})})
    shown = json.loads(_run("show", "top", "--dir", tmp_path)[1])
    assert shown["requires"] == {"base": ["v2"], "mid": ["v1", "v2"]}
    code, out, _ = _run("explain", "top", "--dir", tmp_path, "--subject", "persona=VISITOR")
    assert code == 0
    assert out.splitlines() == [
        'requires mid = v1 | v2 -> "v1", met',
        'requires base = v2 -> "v1", not met: the flag is off',
        "top = null (variant none, DISABLED, decided by KILL_SWITCH)",
    ]


def test_eval_of_an_unknown_flag_fails(folder: Path) -> None:
    code, out, _ = _run("eval", "nobody", "--dir", folder)
    assert (code, json.loads(out)["errorCode"]) == (1, "FLAG_NOT_FOUND")


def test_explain_goes_the_way_of_the_evaluation(folder: Path) -> None:
    code, out, _ = _run(
        "explain", "hero", "--dir", folder, "--subject", "targetingKey=customer:1", "--subject", "persona=VISITOR"
    )
    lines = out.splitlines()
    assert code == 0
    assert lines[0].endswith("-> false")
    assert lines[1] == '  {"==":[{"var":"persona"},"BUILDER"]} -> false'
    assert not any(line.startswith('  {"sem_ver"') for line in lines)
    assert lines[2].endswith('-> "seed-1customer:1"')
    assert lines[3].startswith("  bucket -> ")
    answer = json.loads(_run("eval", "hero", "--dir", folder, "--subject", "targetingKey=customer:1")[1])
    assert lines[-1] == f'hero = "{answer["value"]}" (variant {answer["variant"]}, TARGETING_MATCH, decided by RULE)'


@pytest.mark.parametrize(
    ("key", "first", "decided_by"),
    [("off", '"state" -> "DISABLED"', "KILL_SWITCH"), ("plain", '"targeting" -> none', "DEFAULT")],
)
def test_explain_says_when_there_is_no_rule_to_follow(folder: Path, key: str, first: str, decided_by: str) -> None:
    lines = _run("explain", key, "--dir", folder)[1].splitlines()
    assert lines[0].startswith(first)
    assert lines[-1].endswith(f"decided by {decided_by})")


def test_explain_of_an_unknown_flag_fails(folder: Path) -> None:
    assert _run("explain", "nobody", "--dir", folder)[0] == 2


def test_subjects_are_read_as_text_unless_json_is_asked_for() -> None:
    subject = parse_subject(["targetingKey=7", "appVersion=2.0", "a:=2.5", "b:=true", "c=x=y", "d="])
    assert subject.targeting_key == "7"
    assert subject.attributes == {"appVersion": "2.0", "a": 2.5, "b": True, "c": "x=y", "d": ""}


@pytest.mark.parametrize("pair", ["persona", "=x", ":=1", "a:=[1]", "a:=null", "a:={"])
def test_what_is_no_subject_is_told(folder: Path, pair: str) -> None:
    code, out, err = _run("eval", "hero", "--dir", folder, "--subject", pair)
    assert (code, out) == (2, "")
    assert pair in err
