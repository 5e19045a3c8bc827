"""Offline: the same models again, judged on later data; promoted only beyond doubt."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import orjson
import pytest

from personalization.bandit.lessons import Refusal
from personalization.bandit.uniform import Uniform
from personalization.bandit.vw import VwPolicy
from personalization.bandit.vw_settings import VwSettings
from personalization.clock import SystemClock
from personalization.codec import encode_event
from personalization.errors import NotEnoughRows
from personalization.events import JoinedDecision, Outcome, OutcomeKind
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import DECISIONS, JOINED, OUTCOMES, NewEvent
from personalization.ids import new_id
from personalization.learning.offline import CANDIDATES, rebuild, split, study
from personalization.learning.promotion import Verdict
from personalization.learning.report import study_page
from personalization.learning.rows import joined_in
from personalization.registry import SHELF_MODEL
from personalization.registry_records import ModelState
from tests.learning.learning import fill, memory_hub, registry_in
from tests.learning.lessons import imitated_of, joined_many, joined_of

_ROOT = Path(__file__).parents[2]
TWO = {"standard": VwSettings(), "context only": VwSettings(interactions=("ca",))}


def silent(doing: str, done: int, total: int) -> None:
    """Nobody is told."""


def test_rows_are_split_by_time_whatever_order_they_come_in() -> None:
    rows = joined_many(range(100))
    shuffled = Random(1).sample(rows, 100)
    parts = split(shuffled, 0.2)
    assert parts == split(rows, 0.2)
    assert (parts.learned, parts.held_out) == (tuple(rows[:80]), tuple(rows[80:]))
    with pytest.raises(NotEnoughRows, match="19"):
        split(rows[:19])


def test_a_candidate_that_knows_is_promoted_over_even_chances() -> None:
    told = []
    found = study(split(joined_many(range(6_000))), None, TWO, progress=lambda *each: told.append(each))
    assert [each.verdict for each in found.trial.candidates] == [Verdict.PROMOTE, Verdict.PROMOTE]
    best = found.best()
    assert best is not None
    assert best.data.events == 4_200
    assert {name for name, _, _ in told} == {*TWO, "judging"}
    assert all(done == total for _, done, total in {name: (name, done, total) for name, done, total in told}.values())


def test_what_is_live_and_as_good_is_kept() -> None:
    rows = joined_many(range(6_000))
    best = study(split(rows), None, TWO).best()
    assert best is not None
    live = VwPolicy(best.snapshot.model, best.settings, "shelf@1")
    again = study(split(rows), live, TWO)
    assert Verdict.PROMOTE not in {each.verdict for each in again.trial.candidates}
    assert again.best() is None


def test_rows_that_say_nothing_are_counted_and_left_out() -> None:
    rows = [
        *joined_many(range(60)),
        *(imitated_of(each) for each in range(60, 80)),
        *(replace(joined_of(each), displayed=False) for each in range(80, 100)),
    ]
    found = study(split(rows, 0.5), Uniform(), TWO)
    assert found.unjudged == {Refusal.NOT_EXPLORED: 20, Refusal.NOT_DISPLAYED: 20}
    assert found.trial.rows == 10
    assert {each.verdict for each in found.trial.candidates} == {Verdict.NOT_ENOUGH_DATA}


def test_nothing_to_learn_and_nothing_to_judge_are_told() -> None:
    hidden = [replace(each, displayed=False) for each in joined_many(range(100))]
    with pytest.raises(NotEnoughRows, match="held out"):
        study(split(hidden), None, TWO)
    with pytest.raises(NotEnoughRows, match="learned from"):
        rebuild("one", VwSettings(), hidden, silent)


def test_the_same_rows_give_the_same_bytes_in_two_processes() -> None:
    program = (
        "from hashlib import sha256;"
        "from personalization.learning.offline import CANDIDATES, rebuild;"
        "from tests.learning.lessons import joined_many;"
        "rows = joined_many(range(400));"
        "made = [rebuild(*each, rows, lambda *_: None) for each in CANDIDATES.items()];"
        "print([sha256(each.snapshot.model).hexdigest() for each in made])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    rows = joined_many(range(400))
    here = [sha256(rebuild(*each, rows, silent).snapshot.model).hexdigest() for each in CANDIDATES.items()]
    assert printed == {f"{here}\n"}
    assert len(set(here)) == len(CANDIDATES)


def test_the_page_needs_nothing_else_and_shows_every_policy() -> None:
    html = study_page(study(split(joined_many(range(1_000))), None, TWO), "A <study>")
    assert "A &lt;study&gt;" in html
    for name in (*TWO, "best fixed", "uniform@1"):
        assert name in html
    assert html.count("<svg") == 4
    assert re.findall(r"""(?:src|href|@import|url)\s*[=(]""", html) == []


def test_one_subject_alone_still_makes_a_page() -> None:
    rows = [replace(each, decision=replace(each.decision, subject="one")) for each in joined_many(range(100))]
    html = study_page(study(split(rows), None, TWO), "one subject")
    assert "not enough data" in html


async def test_rows_are_read_from_the_hub_and_broken_ones_left_out() -> None:
    hub = memory_hub(partitions=4)
    await fill(hub, joined_many(range(300)))
    await hub.append(JOINED, [NewEvent("broken", "broken", b"?")])
    rows = await joined_in(hub, joined_of(100).decision.at)
    assert {each.decision.id for each in rows} == {each.decision.id for each in joined_many(range(100, 300))}
    assert rows != await joined_in(hub, joined_of(0).decision.at)


def recent(numbers: range) -> list[JoinedDecision]:
    """Joined decisions of the last hours."""
    rows = joined_many(numbers)
    late = datetime.now(UTC) - timedelta(seconds=60) - rows[-1].joined_at
    return [
        replace(each, decision=replace(each.decision, at=each.decision.at + late), joined_at=each.joined_at + late)
        for each in rows
    ]


async def test_the_command_stores_candidates_and_promotes_once(tmp_path: Path) -> None:
    hub = SqliteHub(HubFile(tmp_path / HUB_FILE, busy=30.0), SystemClock(), new_id)
    await fill(hub, recent(range(4_000)))
    await hub.aclose()
    registry = registry_in(tmp_path)
    ran = offline(tmp_path)
    assert (ran.returncode, ran.stderr.strip()) == (0, "")
    assert "may be promoted" in ran.stdout
    assert {each.state for each in registry.listing(SHELF_MODEL)} == {ModelState.CANDIDATE}
    ran = offline(tmp_path, "--promote")
    assert ran.returncode == 0
    live = registry.pointer(SHELF_MODEL).live
    assert f"shelf@{live}" in ran.stdout
    promoted = next(each for each in registry.listing(SHELF_MODEL) if each.state is ModelState.LIVE)
    assert orjson.loads(orjson.dumps(promoted.promotions[0].evidence))["verdict"] == "promote"
    assert promoted.manifest.evidence["by"] == "gateway learn offline"
    assert "<svg" in (tmp_path / "offline.html").read_text()
    ran = offline(tmp_path, "--promote")
    assert ran.returncode == 3
    assert "beyond doubt" in ran.stdout
    assert registry.pointer(SHELF_MODEL).live == live


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    ran = offline(tmp_path)
    assert ran.returncode == 1
    assert "gateway: there are 0 joined decisions" in ran.stderr
    ran = offline(tmp_path, "--from", "lake")
    assert ran.returncode == 1
    assert "gateway lake etl" in ran.stderr


def offline(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`gateway learn offline` on this folder of data."""
    return gateway(folder, "learn", "offline", *arguments, "--out", str(folder / "offline.html"))


def gateway(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on this folder of data."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=_ROOT,
        env={**os.environ, "GATEWAY_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


async def test_the_lake_gives_the_same_models_as_the_hub(tmp_path: Path) -> None:
    """From decisions and outcomes, by the lake's own commands, to candidates."""
    rows = recent(range(1_200))
    hub = SqliteHub(HubFile(tmp_path / HUB_FILE, busy=30.0), SystemClock(), new_id)
    await fill(hub, rows)
    outcomes = [each for row in rows for each in outcomes_of(row)]
    await hub.append(
        DECISIONS, [NewEvent(each.decision.id, each.decision.id, encode_event(each.decision)) for each in rows]
    )
    await hub.append(OUTCOMES, [NewEvent(each.id, each.decision_id, encode_event(each)) for each in outcomes])
    await hub.aclose()
    until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    for command in (["write", "--once"], ["etl", "--until", until]):
        assert gateway(tmp_path, "lake", *command).returncode == 0
    for source, where in (("hub", "the hub"), ("lake", "of the lake"), ("auto", "of the lake")):
        ran = offline(tmp_path, "--from", source)
        assert ran.returncode == 0, ran.stderr
        assert f"{len(rows):,} joined decisions" in ran.stdout
        assert where in ran.stdout
    versions = [each.manifest.sha256 for each in registry_in(tmp_path).listing(SHELF_MODEL)]
    count = len(CANDIDATES)
    assert versions[:count] == versions[count : 2 * count] == versions[2 * count :]


def outcomes_of(row: JoinedDecision) -> list[Outcome]:
    """What happened, so that it is displayed and worth its reward."""
    kinds = [OutcomeKind.DISPLAYED, *([OutcomeKind.ADDED_TO_BASKET] if row.reward else [])]
    at = row.decision.at + timedelta(seconds=5)
    return [Outcome(f"{row.decision.id}/{kind}", row.decision.id, kind, at, at) for kind in kinds]
