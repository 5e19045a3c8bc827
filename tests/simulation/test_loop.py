"""The loop learns what is known, forgets what has changed, and does the same again from the same seed."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from personalization.charts import Bar, figure, interval_chart, line_chart, page, table
from personalization.simulation.loop import LoopSimulation, Plan, simulate
from personalization.simulation.record import Record
from personalization.simulation.report import simulation_page


async def test_the_same_plan_gives_the_same_decisions_and_policies(tmp_path: Path) -> None:
    told = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        simulation = LoopSimulation(Plan(seed=5, decisions=1_000), tmp_path / place)
        policies = [(made, simulation.policy) async for made in simulation.run()]
        told.append((policies, simulation.record.means(0, 1_000)))
    assert told[0] == told[1]
    assert told[0][0][-1][1].startswith("shelf@")


async def test_it_learns_and_leaves_the_best_fixed_action_behind() -> None:
    """A short form of `bench.learning`; the seed is fixed, so this is the same every time."""
    record = await simulate(Plan(seed=1, decisions=4_000))
    beginning, end = record.means(0, 200), record.means(3_000, 4_000)
    assert abs(beginning.share) < 0.1
    assert record.means(1_500, 2_000).share > record.means(1_500, 2_000).fixed_share
    assert end.share > 0.45


async def test_it_recovers_after_all_preferences_have_changed() -> None:
    record = await simulate(Plan(seed=1, decisions=8_000, change_at=3_000))
    before, shaken, after = (record.means(*span) for span in ((2_500, 3_000), (3_000, 3_250), (7_000, 8_000)))
    assert shaken.share < before.share - 0.2
    assert after.share > 0.4


def test_shares_by_hand() -> None:
    record = Record()
    for _ in range(4):
        record.add((0.5, 0.5, 0.0, 0.0), (1.0, 3.0, 0.0, 0.0))
        record.add((1.0, 0.0, 0.0, 0.0), (2.0, 0.0, 0.0, 2.0))
    means = record.means(0, 8)
    assert (means.served, means.chance, means.oracle, means.best_fixed) == (2.0, 1.0, 2.5, 1.5)
    assert (means.share, means.fixed_share) == pytest.approx((2 / 3, 1 / 3))
    assert [made for made, _ in record.curve(3)] == [3, 6]
    with pytest.raises(ValueError, match="no decisions"):
        record.means(8, 9)
    with pytest.raises(ValueError, match="too few"):
        simulation_page(record, "short")


def test_the_command_writes_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "run.html"
    command = ["-m", "gateway", "simulate", "--decisions", "1500", "--seed", "2", "--change", "--out", str(out)]
    ran = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "share of the gap" in ran.stdout
    html = out.read_text()
    assert "<svg" in html
    assert "all preferences change" in html
    assert html.count("<polyline") == 4
    closed(html)
    needs_nothing(html)


def test_charts_escape_what_they_are_told() -> None:
    hostile = "<script>alert(1)</script>"
    html = page(
        hostile,
        [
            figure(line_chart({hostile: [(0, 0), (1, 1)]}, hostile, hostile, {hostile: 0.5}), hostile),
            interval_chart([Bar(hostile, -1, 0, 1), Bar("same", 0, 0, 0)], hostile, 0.0),
            table((hostile,), [(hostile,)]),
        ],
    )
    assert "<script" not in html
    closed(html)


@pytest.mark.parametrize("value", [0.0, 1e-9, 3.0, 12_345.0])
def test_charts_of_one_value_are_drawn(value: float) -> None:
    assert "nan" not in line_chart({"one": [(value, value)]}, "x", "y", {})
    assert "nan" not in interval_chart([Bar("one", value, value, value)], "x")


class _Balance(HTMLParser):
    """Counts elements that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def closed(html: str) -> None:
    """Every element that begins ends, in order."""
    parser = _Balance()
    parser.feed(html)
    assert parser.open == []


def needs_nothing(html: str) -> None:
    """Nothing is loaded from anywhere."""
    assert re.findall(r"""(?:src|href|@import|url)\s*[=(]""", html) == []
    assert set(re.findall(r"https?://[^\"]+", html)) <= {"http://www.w3.org/2000/svg"}
