"""The registry: versions are whole, one is live, each promotion keeps its reason, and one can go back."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from personalization.bandit.canaries import Canary
from personalization.clock import ManualClock, SystemClock
from personalization.errors import InvalidModel, ModelDamaged, NotPromotable, RegistryUnavailable, UnknownModel
from personalization.events import DecisionContext
from personalization.file_lock import alone
from personalization.registry import ModelRegistry
from personalization.registry_records import Change, DataRange, Pointer
from tests.personalization.hub_suite import START

CANARY = Canary(DecisionContext("HOME", persona="BUILDER"), ("a", "b"), (0.25, 0.75))


def registry_with(folder: Path, versions: int) -> ModelRegistry:
    """A registry of `shelf` with versions 1 to `versions`."""
    registry = ModelRegistry(folder, ManualClock(START))
    for number in range(1, versions + 1):
        registry.add("shelf", f"model {number}".encode(), canaries=[CANARY])
    return registry


def states(registry: ModelRegistry) -> list[tuple[int, str]]:
    return [(each.manifest.version, each.state.value) for each in registry.listing("shelf")]


def test_a_version_is_found_as_it_was_stored(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "registry", ManualClock(START))
    data = DataRange(START, START + timedelta(hours=1), 1000, {"joined/0": 700, "joined/1": 300})
    added = registry.add(
        "shelf",
        b"\x00bytes",
        canaries=[CANARY],
        parents=["shelf@3"],
        data_range=data,
        settings={"bits": 18, "interactions": "ca ka"},
        metrics={"reward": 0.5},
        evidence={"why": ["because", 1, None]},
    )
    again = ModelRegistry(tmp_path / "registry", SystemClock())
    stored = again.load("shelf", 1)
    assert (stored.manifest, stored.data) == (added, b"\x00bytes")
    assert (added.label, added.created, added.data, added.canaries) == ("shelf@1", START, data, (CANARY,))
    assert again.names() == ("shelf",)
    assert again.pointer("shelf") == Pointer()
    assert states(again) == [(1, "candidate")]


def test_an_empty_registry_has_nothing_and_is_not_made_by_looking(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "registry", SystemClock())
    assert (registry.names(), registry.versions("shelf"), registry.listing("shelf")) == ((), (), ())
    with pytest.raises(UnknownModel, match="there are: none"):
        registry.promote("shelf", 1, {})
    assert not (tmp_path / "registry").exists()


def test_candidate_live_retired(tmp_path: Path) -> None:
    registry = registry_with(tmp_path, 3)
    registry.promote("shelf", 1, {"lower bound": 0.1})
    promotion = registry.promote("shelf", 3, {"lower bound": 0.2})
    assert (promotion.revision, promotion.version, promotion.replaces, promotion.at) == (2, 3, 1, START)
    assert states(registry) == [(1, "retired"), (2, "candidate"), (3, "live")]
    assert registry.pointer("shelf") == Pointer(2, 3)
    assert registry.listing("shelf")[2].promotions == (promotion,)


def test_rolling_back_goes_to_what_was_replaced_and_on_from_there(tmp_path: Path) -> None:
    registry = registry_with(tmp_path, 3)
    for version in (1, 2, 3):
        registry.promote("shelf", version, {})
    assert registry.rollback("shelf", {"why": "bad"}).version == 2
    second = registry.rollback("shelf", {"why": "worse"})
    assert (second.version, second.replaces, second.change, second.revision) == (1, 2, Change.ROLLED_BACK, 5)
    assert states(registry) == [(1, "live"), (2, "retired"), (3, "retired")]
    with pytest.raises(NotPromotable, match="no version to go back to"):
        registry.rollback("shelf", {})
    assert registry.rollback("shelf", {}, to=3).version == 3


def test_what_cannot_be_promoted_changes_nothing(tmp_path: Path) -> None:
    registry = registry_with(tmp_path, 2)
    with pytest.raises(NotPromotable, match="nothing live"):
        registry.rollback("shelf", {})
    registry.promote("shelf", 1, {})
    with pytest.raises(NotPromotable, match="shelf@1 is live already"):
        registry.promote("shelf", 1, {})
    with pytest.raises(UnknownModel, match=r"no shelf@9; versions of shelf: 1, 2"):
        registry.promote("shelf", 9, {})
    (tmp_path / "shelf" / "versions" / "2" / "model.bin").write_bytes(b"model")
    with pytest.raises(ModelDamaged, match="shelf@2 has 5 bytes"):
        registry.promote("shelf", 2, {})
    assert registry.pointer("shelf") == Pointer(1, 1)
    assert states(registry) == [(1, "live"), (2, "candidate")]


def test_an_apprentice_that_graduated_stays_so(tmp_path: Path) -> None:
    registry = registry_with(tmp_path, 2)
    registry.graduate("shelf")
    registry.promote("shelf", 2, {})
    assert registry.pointer("shelf") == Pointer(1, 2, graduated=True)


def test_pruning_keeps_the_newest_the_live_one_and_where_a_rollback_goes(tmp_path: Path) -> None:
    registry = registry_with(tmp_path, 9)
    for version in (1, 2, 3, 2, 4):
        registry.promote("shelf", version, {})
    assert registry.prune("shelf", 2) == 5
    assert states(registry) == [(2, "retired"), (4, "live"), (8, "candidate"), (9, "candidate")]
    assert registry.rollback("shelf", {}).version == 2
    assert sorted(each.name for each in (tmp_path / "shelf" / "promotions").iterdir()) == [
        f"{revision:08}.json" for revision in (2, 4, 5, 6)
    ]
    with pytest.raises(NotPromotable, match="any more"):
        registry.rollback("shelf", {})
    assert registry.add("shelf", b"model", canaries=[]).version == 10


@pytest.mark.parametrize("name", ["", "Shelf", "../shelf", "a/b", "shelf\n", "1shelf", "x" * 65])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    registry = ModelRegistry(tmp_path, SystemClock())
    with pytest.raises(UnknownModel, match="no model can be named"):
        registry.add(name, b"model", canaries=[])
    assert list(tmp_path.iterdir()) == []


def overwrite(file: Path) -> None:
    file.write_bytes(b'{"name": "shelf"}')


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


@pytest.mark.parametrize("damage", [overwrite, cut])
@pytest.mark.parametrize("file", ["versions/1/manifest.json", "pointer.json", "promotions/00000001.json"])
def test_a_damaged_file_is_told(tmp_path: Path, file: str, damage: Callable[[Path], None]) -> None:
    registry = registry_with(tmp_path, 1)
    registry.promote("shelf", 1, {})
    damage(tmp_path / "shelf" / file)
    with pytest.raises(ModelDamaged, match="cannot be read"):
        registry.listing("shelf")


def test_what_is_no_json_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    registry = registry_with(tmp_path, 1)
    with pytest.raises(InvalidModel):
        registry.add("shelf", b"model", canaries=[], evidence={"why": object()})  # type: ignore[dict-item]
    assert registry.versions("shelf") == (1,)


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("a file where the folder should be")
    registry = ModelRegistry(tmp_path / "registry", SystemClock())
    with pytest.raises(RegistryUnavailable):
        registry.pointer("shelf")
    with pytest.raises(RegistryUnavailable):
        registry.add("shelf", b"model", canaries=[])


def test_a_lock_is_waited_for_within_bounds(tmp_path: Path) -> None:
    registry_with(tmp_path, 1)
    impatient = ModelRegistry(tmp_path, SystemClock(), patience=0.01)
    with alone(tmp_path / "shelf" / "lock"), pytest.raises(RegistryUnavailable, match="locked"):
        impatient.promote("shelf", 1, {})
    assert impatient.promote("shelf", 1, {}).revision == 1
