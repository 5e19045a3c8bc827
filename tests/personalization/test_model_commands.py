"""`gateway models …` and `gateway decisions show`, as an operator runs them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from gateway.__main__ import app
from personalization.assembly import open_personalization
from personalization.clock import SystemClock
from personalization.codec import encode_event
from personalization.errors import (
    HubUnavailable,
    ModelDamaged,
    NotPromotable,
    PersonaError,
    UnknownDecision,
    UnknownModel,
)
from personalization.events import Decision, DecisionMode, OutcomeKind
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HubFile
from personalization.hub.topics import DECISIONS, NewEvent
from personalization.ids import new_id
from personalization.outcomes import OutcomeReport
from personalization.registry import REGISTRY_FOLDER, ModelRegistry
from personalization.registry_records import DataRange, Pointer
from tests.personalization.hub_suite import START
from tests.personalization.lessons import ACTIONS, context_of, snapshot_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with two versions of `shelf`, the first of them live."""
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path))
    registry = ModelRegistry(tmp_path / REGISTRY_FOLDER, SystemClock())
    for lessons in (200, 400):
        snapshot = snapshot_of(lessons)
        registry.add(
            "shelf",
            snapshot.model,
            canaries=snapshot.canaries,
            parents=["uniform@1"],
            data_range=DataRange(START, START, lessons * 10),
            metrics={"reward": 0.512345},
        )
    registry.promote("shelf", 1, {"because": "the first"})
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return result.exit_code, result.stdout


def pointer(folder: Path) -> Pointer:
    return ModelRegistry(folder / REGISTRY_FOLDER, SystemClock()).pointer("shelf")


def test_the_list_shows_the_newest_first_and_where_they_stand(folder: Path) -> None:
    code, out = run("models", "list")
    heading, newest, oldest = out.strip().splitlines()
    assert code == 0
    assert heading.split() == ["model", "state", "created", "grew", "from", "events", "bytes", "SHA-256", "metrics"]
    assert newest.split()[:2] == ["shelf@2", "candidate"]
    assert oldest.split()[:2] == ["shelf@1", "live"]
    assert "4,000" in newest
    assert "reward=0.5123" in newest
    assert run("models", "list", "shelf") == (0, out)


def test_promote_and_rollback_say_what_they_did(folder: Path) -> None:
    assert run("models", "promote", "shelf@2", "--because", "better") == (
        0,
        "shelf@2 is live in place of shelf@1 (revision 2)\n",
    )
    assert pointer(folder) == Pointer(2, 2)
    assert run("models", "rollback", "shelf", "--because", "worse") == (
        0,
        "shelf@1 is live in place of shelf@2 (revision 3)\n",
    )
    code, out = run("models", "show", "shelf@2")
    shown = json.loads(out)
    assert (code, shown["label"], shown["state"]) == (0, "shelf@2", "retired")
    assert [each["evidence"] for each in shown["promotions"]] == [{"because": "better", "by": "gateway models"}]
    assert run("models", "rollback", "shelf", "--because", "again", "--to", "2")[0] == 0
    assert pointer(folder) == Pointer(4, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("list", "shlef"), UnknownModel, "there is no model 'shlef'; there are: shelf"),
        (("show", "shelf"), UnknownModel, "give name and version as shelf@7"),
        (("show", "shelf@9"), UnknownModel, "there is no shelf@9; versions of shelf: 1, 2"),
        (("promote", "shlef@1", "--because", "x"), UnknownModel, "there is no model 'shlef'"),
        (("promote", "shelf@1", "--because", "x"), NotPromotable, "shelf@1 is live already"),
        (("rollback", "shelf", "--because", "x"), NotPromotable, "no version to go back to"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    folder: Path, arguments: tuple[str, ...], error: type[PersonaError], says: str
) -> None:
    with pytest.raises(error, match=says):
        run("models", *arguments)
    assert pointer(folder) == Pointer(1, 1)


def test_a_reason_has_to_be_given(folder: Path) -> None:
    assert run("models", "promote", "shelf@2")[0] == 2


def test_a_version_that_was_stored_cut_off_is_not_made_live(folder: Path) -> None:
    snapshot = snapshot_of(400)
    ModelRegistry(folder / REGISTRY_FOLDER, SystemClock()).add(
        "shelf", snapshot.model[:-700], canaries=snapshot.canaries
    )
    with pytest.raises(ModelDamaged, match="shelf@3 answers"):
        run("models", "promote", "shelf@3", "--because", "it was there")
    assert pointer(folder) == Pointer(1, 1)


def test_a_damaged_version_is_not_shown_as_sound(folder: Path) -> None:
    file = folder / REGISTRY_FOLDER / "shelf" / "versions" / "2" / "model.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ModelDamaged, match="shelf@2"):
        run("models", "show", "shelf@2")


async def decided(folder: Path) -> Decision:
    """A decision by the live model, with a basket after it."""
    async with await open_personalization(folder, SystemClock(), NoOpTracer(), CollectorRegistry()) as parts:
        decision = parts.decisions.decide(context_of(1), ACTIONS, subject="visitor:1", session="s")
        kinds = (OutcomeKind.DISPLAYED, OutcomeKind.ADDED_TO_BASKET)
        reports = [OutcomeReport(decision.id, kind) for kind in kinds]
        await parts.outcomes.report(reports)
    return decision


async def test_a_decision_is_shown_verified_with_its_outcomes_and_reward(folder: Path) -> None:
    decision = await decided(folder)
    assert (decision.mode, decision.policy) == (DecisionMode.ONLINE, "shelf@1")
    code, out = run("decisions", "show", decision.id)
    assert code == 0
    for part in (
        decision.id,
        "shelf@1, ONLINE, DRAWN",
        "persona=BUILDER",
        "visitor:1",
        "ADDED_TO_BASKET",
        "reward 3",
    ):
        assert part in out
    assert f"which draws {decision.action}" in out
    assert "shelf@1 gives the same" in out
    assert out.count("confirmed") == 2
    assert "without it" in out
    assert run("decisions", "show", decision.id, "--data", str(folder)) == (0, out)


async def test_a_decision_whose_policy_is_gone_is_still_drawn_again(folder: Path) -> None:
    decision = await decided(folder)
    (folder / REGISTRY_FOLDER).rename(folder / "elsewhere")
    code, out = run("decisions", "show", decision.id)
    assert code == 0
    assert "unknown" in out
    assert "without it" not in out


async def test_a_forged_record_is_found_out(folder: Path) -> None:
    decision = await decided(folder)
    forged = replace(decision, id=new_id(), distribution=(0.97, 0.01, 0.01, 0.01), action="category1", probability=0.97)
    hub = SqliteHub(HubFile(folder / "hub.sqlite3"), SystemClock(), new_id)
    await hub.append(DECISIONS, [NewEvent(forged.id, forged.id, encode_event(forged))])
    await hub.aclose()
    code, out = run("decisions", "show", forged.id)
    assert code == 1
    assert "contradicted" in out


async def test_a_decision_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(HubUnavailable, match="cannot be read"):
        run("decisions", "show", "0198c0de")
    await decided(folder)
    with pytest.raises(UnknownDecision, match="no decision '0198c0de'"):
        run("decisions", "show", "0198c0de")
