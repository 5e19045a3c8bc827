"""The gain over who is held back: two means, clustered by subject, and what may be said of them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isinf, sqrt
from pathlib import Path
from random import Random
from statistics import mean, variance

import pytest

from personalization.clock import SystemClock
from personalization.codec import encode_joined
from personalization.events import HOLDBACK, DecisionContext, DecisionMode, JoinedDecision
from personalization.hub.sqlite import SqliteHub
from personalization.hub.sqlite_file import HUB_FILE, HubFile
from personalization.hub.topics import JOINED, NewEvent
from personalization.ids import new_id
from personalization.learning.gain import Gain, GainVerdict, gains_over_holdback
from tests.learning.lessons import joined_of

ROOT = Path(__file__).parents[2]


def rows(
    rewards: Sequence[float], *, held: bool, placement: str = "HOME", each: int = 1, mode: str = "ONLINE"
) -> list[JoinedDecision]:
    """Decisions with these rewards, so many of each subject; those of other arms and placements are of other people."""
    made = []
    for number, reward in enumerate(rewards):
        row = joined_of(number)
        decision = replace(
            row.decision,
            id=f"{placement}/{held}/{number}",
            context=DecisionContext(placement),
            mode=DecisionMode(mode),
            reason=HOLDBACK if held else "DRAWN",
            subject=f"{placement}/{held}/{number // each}",
        )
        made.append(replace(row, decision=decision, reward=reward, displayed=True))
    return made


def one(*groups: list[JoinedDecision]) -> Gain:
    (gain,) = gains_over_holdback([row for group in groups for row in group])
    return gain


def drawn(seed: int, chance: float, count: int) -> list[float]:
    random = Random(seed)
    return [3.0 if random.random() < chance else 0.0 for _ in range(count)]


def test_with_one_decision_a_subject_it_is_the_textbook_difference_of_means() -> None:
    decided, held = drawn(1, 0.5, 400), drawn(2, 0.3, 60)
    gain = one(rows(decided, held=False), rows(held, held=True))
    assert gain.gain is not None
    assert gain.gain.value == pytest.approx(mean(decided) - mean(held))
    error = sqrt(variance(decided) / 400 + variance(held) / 60)
    assert gain.gain.error == pytest.approx(error)
    assert gain.gain.high - gain.gain.value == pytest.approx(1.959964 * error, rel=1e-6)
    assert gain.decided is not None
    assert gain.held_back is not None
    assert (gain.decided.rows, gain.held_back.subjects) == (400, 60)


def test_many_decisions_of_few_people_say_less() -> None:
    repeated = [each for each in drawn(3, 0.5, 40) for _ in range(10)]
    alone = one(rows(repeated, held=False), rows(repeated, held=True)).gain
    clustered = one(rows(repeated, held=False, each=10), rows(repeated, held=True, each=10)).gain
    assert alone is not None
    assert clustered is not None
    assert clustered.error == pytest.approx(sqrt(10) * alone.error, rel=0.02)


@pytest.mark.parametrize(
    ("decided", "held", "count", "verdict"),
    [
        (0.6, 0.2, 300, GainVerdict.BETTER),
        (0.2, 0.6, 300, GainVerdict.WORSE),
        (0.4, 0.4, 300, GainVerdict.IN_DOUBT),
        (0.9, 0.1, 29, GainVerdict.NOT_ENOUGH_DATA),
    ],
)
def test_a_verdict_is_what_the_interval_allows(decided: float, held: float, count: int, verdict: GainVerdict) -> None:
    assert one(rows(drawn(4, decided, 300), held=False), rows(drawn(5, held, count), held=True)).verdict is verdict


def test_intervals_hold_what_they_should() -> None:
    """The true gain is 0.6; 95 % of 300 intervals hold it, give or take four standard errors."""
    inside = 0
    for seed in range(300):
        gain = one(rows(drawn(seed, 0.5, 200), held=False), rows(drawn(1_000 + seed, 0.3, 100), held=True)).gain
        assert gain is not None
        inside += gain.low <= 0.6 <= gain.high
    assert 270 <= inside <= 299


def test_what_nobody_saw_and_what_no_model_decided_is_left_out() -> None:
    hidden = [replace(row, displayed=False) for row in rows([3.0] * 40, held=False)]
    before = rows([3.0] * 40, held=False, mode="LOG_ONLY")
    assert gains_over_holdback([*hidden, *before]) == []
    gain = one(hidden, before, rows([1.0], held=False))
    assert (gain.held_back, gain.gain, gain.verdict) == (None, None, GainVerdict.NOT_ENOUGH_DATA)
    assert gain.decided is not None
    assert (gain.decided.rows, gain.decided.reward.value) == (1, 1.0)
    assert isinf(gain.decided.reward.error)


def report(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "learn", "report", "--days", "1"],
        cwd=ROOT,
        env={**os.environ, "GATEWAY_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def test_the_command_tells_of_each_placement(tmp_path: Path) -> None:
    hub, now = SqliteHub(HubFile(tmp_path / HUB_FILE, busy=30.0), SystemClock(), new_id), datetime.now(UTC)
    made = [
        *rows(drawn(6, 0.6, 200), held=False),
        *rows(drawn(7, 0.2, 60), held=True),
        *rows([1.0] * 40, held=False, placement="component:hero"),
    ]
    recent = [replace(row, decision=replace(row.decision, at=now - timedelta(hours=1))) for row in made]
    await hub.append(JOINED, [NewEvent(each.decision.id, each.decision.id, encode_joined(each)) for each in recent])
    await hub.aclose()
    ran = report(tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "300 joined decisions from the hub" in ran.stdout
    home, hero = (line for line in ran.stdout.splitlines() if line.strip().startswith(("HOME", "component:hero")))
    assert home.split()[1:3] == ["200", "200"]
    assert home.rstrip().endswith("better")
    assert hero.split()[1:3] == ["40", "40"]
    assert hero.rstrip().endswith("not enough data")
