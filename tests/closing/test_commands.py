"""`gateway closing` on the embedded shop, and on other people's transactions."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from gateway.__main__ import app
from gateway.errors import StartRefused
from personalization.classification.deploy import read_profiles
from personalization.classification.errors import ClosingRefused, InvalidPeriod, UnknownClosing
from personalization.errors import PersonaError
from personalization.segmentation.errors import EmptyPeriod


def gateway(folder: Path, *arguments: str, **settings: str) -> Result:
    return CliRunner().invoke(app, ["closing", *arguments], env={"GATEWAY_DATA_DIR": str(folder), **settings})


def test_a_year_begins_and_its_story_is_told(tmp_path: Path) -> None:
    first = gateway(tmp_path, "run", "2017-01")
    assert first.exit_code == 0, first.output
    assert "700 customers; 491 rows to train" in first.stdout
    assert "customers a second" in first.stdout
    assert "segment@1 is live with the segments of all customers, the first" in first.stdout
    second = gateway(tmp_path, "run", "2017-02")
    assert second.exit_code == 0, second.output
    assert "fresher, and macro-F1 over the live model is" in second.stdout
    refused = gateway(tmp_path, "run", "2017-03")
    assert isinstance(refused.exception, ClosingRefused)
    assert "the segment 'lapsing' has 2 rows to train on in 2017-03" in str(refused.exception)

    again = gateway(tmp_path, "run", "2017-02")
    assert "in place of segment@1" in again.stdout
    assert "score" not in again.stdout
    listed = gateway(tmp_path, "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["period", "2017-01", "2017-02", "*"]
    assert "segment@2*" in listed[2]
    shown = gateway(tmp_path, "show", "2017-02").stdout
    assert "told regulars" in shown
    assert "drifted since the closing before: tenure" in shown
    record = orjson.loads(gateway(tmp_path, "show", "2017-02", "--json").stdout)
    assert [each["gate"] for each in record["evidence"]["verdicts"]] == [
        "schema",
        "better",
        "calibrated",
        "not collapsed",
    ]
    back = gateway(tmp_path, "rollback", "--because", "a test")
    assert back.stdout == "segment@1 is live in place of segment@2 (revision 3)\n"
    assert read_profiles(tmp_path, 1).head.period == "2017-01"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["run", "2017-1"], InvalidPeriod, "give year and month as 2017-10"),
        (["run", "2018-06"], EmptyPeriod, "there are orders of 2017-01 to 2018-01"),
        (["run", "9999-01"], ClosingRefused, "is not over"),
        (["run", "2017-10", "--segments", "none.json"], PersonaError, "there is no none.json"),
        (["show", "2017-10"], UnknownClosing, "there are: none"),
        (["rollback", "--because", "a test"], PersonaError, "segment"),
        (["schedule", "--cron", "at three"], StartRefused, "five fields such as"),
    ],
)
def test_what_cannot_be_done_is_told(tmp_path: Path, arguments: list[str], error: type[Exception], words: str) -> None:
    failed = gateway(tmp_path, *arguments)
    assert isinstance(failed.exception, error), failed.exception
    assert words in str(failed.exception)


def test_a_shop_elsewhere_is_closed_by_its_transactions(tmp_path: Path) -> None:
    failed = gateway(tmp_path, "run", "2017-03", GATEWAY_SOURCE="http")
    assert isinstance(failed.exception, StartRefused)
    assert "--transactions FILE" in str(failed.exception)
    file = tmp_path / "purchases.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("customer", "timestamp", "value"))
        for number in range(240):
            kind, start = number % 4, datetime(2017, 1, 2, tzinfo=UTC)
            for day in range(number % 7, 88, (5, 11, 29, 60)[kind]):
                rows.writerow((f"c{number}", (start + timedelta(days=day)).isoformat(), (3, 80, 20, 5)[kind] + day % 3))
    done = gateway(tmp_path, "run", "2017-03", "--transactions", str(file), GATEWAY_SOURCE="http")
    assert done.exit_code == 0, (done.output, done.exception)
    assert len(orjson.loads((tmp_path / "segments.json").read_bytes())["segments"]) == 4
    assert len(read_profiles(tmp_path, 1)) == 240
