"""Closings: the same bytes twice, gates that refuse, and a run that may die before any of its steps."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree
from signal import SIGKILL

import pytest

from personalization.classification.dataset import Part, Period, build_dataset, decode_frozen, encode_frozen
from personalization.classification.deploy import SEGMENT_MODEL, Closed, Closings, profiles_file, read_profiles
from personalization.classification.errors import ClosingRefused, InvalidPeriod, ProfilesDamaged, SchemaMismatch
from personalization.classification.model import TrainSettings, load_classifier
from personalization.classification.profiles import Origin, decode_profiles
from personalization.classification.table import Schema, Table
from personalization.classification.train import train
from personalization.clock import ManualClock
from personalization.registry import ModelRegistry
from tests.classification.shoppers import SCHEMA, Shoppers

OCTOBER, NOVEMBER = Period.parse("2017-10"), Period.parse("2017-11")
STEPS = ("freeze", "data set", "train", "store", "score", "promote", "record")


def closings(folder: Path) -> tuple[Closings, ModelRegistry]:
    clock = ManualClock(datetime(2018, 1, 1, tzinfo=UTC))
    registry = ModelRegistry(folder / "registry", clock)
    return Closings(folder, registry, clock), registry


@pytest.fixture(scope="module")
def october(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which October is closed."""
    folder = tmp_path_factory.mktemp("october")
    closings(folder)[0].run(OCTOBER, Shoppers())
    return folder


@pytest.fixture(scope="module")
def november(october: Path, tmp_path_factory: pytest.TempPathFactory) -> Closed:
    """What comes of November there, when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("november")
    copytree(october, folder, dirs_exist_ok=True)
    return closings(folder)[0].run(NOVEMBER, Shoppers())


def test_a_closing_deploys_a_model_and_scores_everybody(tmp_path: Path) -> None:
    run, registry = closings(tmp_path)
    done = run.run(OCTOBER, Shoppers())
    assert (done.deployed, done.model, done.refusal) == (True, "segment@1", None)
    assert registry.pointer(SEGMENT_MODEL).live == 1
    profiles = read_profiles(tmp_path, 1)
    frozen = Shoppers().observe(OCTOBER)
    found = [profiles.find(customer) for customer in frozen.table.customers]
    right = sum(each is not None and each.segment == label for each, label in zip(found, frozen.labels, strict=True))
    assert right > 0.85 * len(found)
    assert {each.origin for each in found if each} == {Origin.STORED}
    assert profiles.find("nobody") is None
    assert run.run(OCTOBER, Shoppers(noise=1.0)) == done


def test_the_same_closing_gives_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        run, registry = closings(tmp_path / name)
        run.run(OCTOBER, Shoppers())
        run.run(NOVEMBER, Shoppers())
        data = [registry.load(SEGMENT_MODEL, version).data for version in registry.versions(SEGMENT_MODEL)]
        files = sorted((tmp_path / name / "closings").glob("*/*.gz"))
        made.append([*data, *(file.read_bytes() for file in files), profiles_file(tmp_path / name, 1).read_bytes()])
    assert made[0] == made[1]


def test_a_worse_model_is_refused_and_the_live_one_scores(tmp_path: Path) -> None:
    run, registry = closings(tmp_path)
    assert run.run(OCTOBER, Shoppers()).deployed
    refused = run.run(NOVEMBER, Shoppers(noisy_periods={"2017-11": 1.0}))
    assert (refused.deployed, refused.model, refused.scored_by) == (False, "segment@2", "segment@1")
    assert refused.refusal is not None
    assert "calibrated: calibration error is" in refused.refusal
    assert "off by" in refused.refusal
    assert registry.pointer(SEGMENT_MODEL).live == 1
    assert (read_profiles(tmp_path, 1).head.model, read_profiles(tmp_path, 1).head.period) == ("segment@1", "2017-11")
    verdicts = registry.manifest(SEGMENT_MODEL, 2).evidence["verdicts"]
    assert isinstance(verdicts, list)
    assert len(verdicts) == 4


@pytest.mark.parametrize("dies_at", STEPS)
def test_a_closing_that_was_killed_is_completed_by_the_next_run(
    tmp_path: Path, october: Path, november: Closed, dies_at: str
) -> None:
    copytree(october, tmp_path, dirs_exist_ok=True)
    command = [sys.executable, "-m", "tests.classification.killed", str(tmp_path), str(NOVEMBER), dies_at]
    killed = subprocess.run(command, timeout=60, check=False)
    assert killed.returncode == -SIGKILL
    run, registry = closings(tmp_path)
    live = registry.pointer(SEGMENT_MODEL).live
    assert live is not None
    assert len(read_profiles(tmp_path, live)) == 400
    assert run.run(NOVEMBER, Shoppers()) == november
    assert len(registry.versions(SEGMENT_MODEL)) == 2


def test_rollback_takes_the_profiles_along(tmp_path: Path) -> None:
    run, registry = closings(tmp_path)
    run.run(OCTOBER, Shoppers())
    assert run.run(NOVEMBER, Shoppers()).deployed
    assert run.rollback("a test").version == 1
    assert registry.pointer(SEGMENT_MODEL).live == 1
    assert read_profiles(tmp_path, 1).head.period == "2017-10"


def test_no_customer_is_in_two_parts_and_what_is_tested_is_newest() -> None:
    dataset = build_dataset(Shoppers().observe(NOVEMBER), [Shoppers().observe(OCTOBER)])
    customers = [set(rows.table.customers) for rows in dataset.parts.values()]
    assert not customers[0] & customers[1]
    assert not customers[1] & customers[2]
    assert not customers[0] & customers[2]
    assert dataset.by_time
    november = dict(zip((f"c{n}" for n in range(400)), Shoppers().observe(NOVEMBER).labels, strict=True))
    tested = dataset.parts[Part.TEST]
    assert tested.labels == tuple(november[customer] for customer in tested.table.customers)


def test_what_cannot_be_learned_from_is_told(tmp_path: Path) -> None:
    run, _ = closings(tmp_path)
    with pytest.raises(ClosingRefused, match="is not over"):
        run.run(Period.parse("2018-01"), Shoppers())
    with pytest.raises(ClosingRefused, match="nobody was there"):
        run.run(OCTOBER, Shoppers(size=0))
    with pytest.raises(ClosingRefused, match="too few"):
        closings(tmp_path / "one")[0].run(OCTOBER, Shoppers(size=1))
    with pytest.raises(InvalidPeriod):
        Period.parse("2017-13")
    same = replace(Shoppers().observe(OCTOBER), labels=("often",) * 400)
    with pytest.raises(ClosingRefused, match="one segment"):
        build_dataset(same)
    three = replace(same, labels=("often",) * 200 + ("rich",) * 197 + ("rare",) * 3)
    with pytest.raises(ClosingRefused, match="at least 10"):
        build_dataset(three)
    with pytest.raises(ClosingRefused, match="twice"):
        Table.of(Schema(("a",), ()), ["x", "x"], [{"a": 1.0}, {"a": 2.0}])
    with pytest.raises(ClosingRefused, match="infinite"):
        Table.of(Schema(("a",), ()), ["x"], [{"a": float("inf")}])


def test_one_row_is_scored_as_in_a_batch_whatever_is_known() -> None:
    frozen = Shoppers().observe(OCTOBER)
    model = load_classifier(train(build_dataset(frozen), TrainSettings()).encode())
    batch = model.score(frozen.table)
    for row in range(50):
        known = {name: frozen.table.column(name)[row] for name in (*SCHEMA.numbers, *SCHEMA.categories)}
        segment, probability = model.score_one({**known, "unheard": 1})
        assert segment == model.segments[batch.best[row]]
        assert probability == pytest.approx(batch.probabilities[row].max(), abs=1e-6)
    nothing = model.score_one({})
    assert nothing == model.score_one({"persona": None, "orders": None, "region": ""})
    assert model.score_one({"persona": "NEVER_SEEN", "orders": "many"})[0] in model.segments
    with pytest.raises(SchemaMismatch, match="missing persona"):
        model.score(Table.of(Schema(("orders", "value", "recency"), ("region",)), [], []))


def test_what_is_stored_is_read_back_or_refused(tmp_path: Path) -> None:
    frozen = Shoppers().observe(OCTOBER)
    assert encode_frozen(decode_frozen(encode_frozen(frozen))) == encode_frozen(frozen)
    closings(tmp_path)[0].run(OCTOBER, Shoppers())
    data = profiles_file(tmp_path, 1).read_bytes()
    for cut in (0, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(ProfilesDamaged):
            decode_profiles(data[:cut])
