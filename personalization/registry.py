"""The registry: versions of models in a folder that several processes share, one of them live.

    shelf/
      lock                           held while something changes
      pointer.json                   which version is live; the only file that changes
      promotions/00000012.json       how it came to be, one file a revision of the pointer
      versions/7/manifest.json       never changed once it is there
      versions/7/model.bin

Every change ends with one rename that makes it true; what was written before counts for nothing until then. So a
process may die between any two steps, and what others read is always the old state or the new one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from personalization.bandit.canaries import Canary
from personalization.clock import Clock
from personalization.errors import ModelDamaged, NotPromotable, RegistryUnavailable, UnknownModel
from personalization.registry_files import DiskFiles, Files, locked
from personalization.registry_records import (
    Change,
    DataRange,
    Json,
    Manifest,
    ModelState,
    Pointer,
    Promotion,
    decode_manifest,
    decode_pointer,
    decode_promotion,
    encode,
    label_of,
)

REGISTRY_FOLDER = "registry"
"""What the registry is called in the folder of the data."""

SHELF_MODEL = "shelf"
COMPONENT_MODEL = "component"

_MODEL = "model.bin"
_MANIFEST = "manifest.json"
_POINTER = "pointer.json"
_name = re.compile(r"[a-z][a-z0-9_-]{0,63}").fullmatch


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A version with its bytes, which have the checksum that the manifest names."""

    manifest: Manifest
    data: bytes


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A version and where it stands; `promotions` are the times it became live, oldest first."""

    manifest: Manifest
    state: ModelState
    promotions: tuple[Promotion, ...]


class ModelRegistry:
    """Stores, finds and promotes models. Everything here waits for the disk: call it off the event loop.

    Raises:
        RegistryUnavailable: the folder cannot be read or written, or others held its lock for `patience` seconds.
        UnknownModel: a name is none that a model can have, or there is no such version.
        ModelDamaged: a file is not what was written.
    """

    def __init__(self, folder: Path, clock: Clock, files: Files | None = None, *, patience: float = 10.0) -> None:
        self._folder = folder
        self._clock = clock
        self._files = files or DiskFiles()
        self._patience = patience

    def add(
        self,
        name: str,
        data: bytes,
        *,
        canaries: Sequence[Canary],
        parents: Sequence[str] = (),
        data_range: DataRange | None = None,
        settings: Mapping[str, str | int | float] | None = None,
        metrics: Mapping[str, float] | None = None,
        evidence: Mapping[str, Json] | None = None,
    ) -> Manifest:
        """Store a new version as a candidate; it is durable when this returns, and has the next number.

        Raises:
            InvalidModel: the manifest holds what JSON cannot.
        """
        with self._changing(name, new=True) as home:
            manifest = Manifest(
                name=name,
                version=max(self.versions(name), default=0) + 1,
                sha256=sha256(data).hexdigest(),
                size=len(data),
                created=self._clock.now(),
                parents=tuple(parents),
                data=data_range,
                settings=settings or {},
                metrics=metrics or {},
                evidence=evidence or {},
                canaries=tuple(canaries),
            )
            fresh = home / "new"
            self._files.make(fresh)
            self._files.write(fresh / _MODEL, data)
            self._files.write(fresh / _MANIFEST, encode(manifest))
            self._files.move(fresh, _version_folder(home, manifest.version))
        return manifest

    def promote(self, name: str, version: int, evidence: Mapping[str, Json]) -> Promotion:
        """Make a version the live one, and keep why.

        Raises:
            NotPromotable: it is live already.
        """
        with self._changing(name) as home:
            return self._point(home, name, version, Change.PROMOTED, evidence)

    def rollback(self, name: str, evidence: Mapping[str, Json], *, to: int | None = None) -> Promotion:
        """Make the version live that the live one replaced when it was promoted, or version `to`.

        Raises:
            NotPromotable: there is none to go back to.
        """
        with self._changing(name) as home:
            version = self._replaced(name) if to is None else to
            return self._point(home, name, version, Change.ROLLED_BACK, evidence)

    def graduate(self, name: str) -> None:
        """Remember that the apprentice has agreed with the default long enough; also for the versions to come."""
        with self._changing(name) as home:
            self._replace_pointer(home, replace(self.pointer(name), graduated=True))

    def prune(self, name: str, keep: int) -> int:
        """Remove all versions but the `keep` newest, the live one and the one to roll back to; how many that were."""
        with self._changing(name) as home:
            pointer = self.pointer(name)
            promotions = self._promotions(name, pointer)
            kept = set(self.versions(name)[-max(keep, 1) :]) | {pointer.live, _target(promotions, pointer.live)}
            dropped = [each for each in self.versions(name) if each not in kept]
            for version in dropped:
                self._files.move(_version_folder(home, version), home / "old")
                self._files.remove(home / "old")
            for promotion in promotions:
                if promotion.version not in kept:
                    self._files.remove(_promotion_file(home, promotion.revision))
        return len(dropped)

    def names(self) -> tuple[str, ...]:
        """The models that have versions, in the order of the alphabet."""
        with _told():
            found = [each.name for each in self._folder.iterdir()] if self._folder.is_dir() else []
        return tuple(sorted(name for name in found if _name(name) and self.versions(name)))

    def versions(self, name: str) -> tuple[int, ...]:
        """The numbers of a model's versions, oldest first; none when there is no such model."""
        folder = self._home(name) / "versions"
        with _told():
            found = [each.name for each in folder.iterdir()] if folder.is_dir() else []
        return tuple(sorted(int(each) for each in found if each.isdecimal()))

    def pointer(self, name: str) -> Pointer:
        """Which version is live; revision 0 when none ever was."""
        try:
            return decode_pointer((self._home(name) / _POINTER).read_bytes())
        except FileNotFoundError:
            return Pointer()
        except OSError as error:
            raise _unavailable(error) from error

    def manifest(self, name: str, version: int) -> Manifest:
        """What is known about a version."""
        return decode_manifest(label_of(name, version), self._read(name, version, _MANIFEST))

    def load(self, name: str, version: int) -> StoredModel:
        """A version with its bytes; the checksum was compared."""
        manifest = self.manifest(name, version)
        data = self._read(name, version, _MODEL)
        if (len(data), sha256(data).hexdigest()) != (manifest.size, manifest.sha256):
            raise ModelDamaged(
                f"{manifest.label} has {len(data)} bytes that are not those stored: "
                f"{manifest.size} bytes with SHA-256 {manifest.sha256[:12]}…"
            )
        return StoredModel(manifest, data)

    def listing(self, name: str) -> tuple[ListedModel, ...]:
        """All versions of a model and where they stand, oldest first."""
        pointer = self.pointer(name)
        promotions = self._promotions(name, pointer)
        listed = []
        for version in self.versions(name):
            with suppress(UnknownModel):  # another process pruned it meanwhile
                history = [each for each in promotions if each.version == version]
                listed.append(_listed(self.manifest(name, version), pointer, history))
        return tuple(listed)

    def _home(self, name: str) -> Path:
        if not _name(name):
            raise UnknownModel(f"no model can be named {name!r}: a letter, then letters, digits, '-' and '_'")
        return self._folder / name

    @contextmanager
    def _changing(self, name: str, *, new: bool = False) -> Iterator[Path]:
        """The model's folder, locked, without what a process that died had left half done."""
        home = self._home(name)
        if not new and not self.versions(name):
            raise self._unknown(name)
        with _told():
            self._files.make(home / "versions")
            self._files.make(home / "promotions")
            with locked(home / "lock", self._patience):
                for rest in ("new", "old"):
                    self._files.remove(home / rest)
                yield home

    def _point(self, home: Path, name: str, version: int, change: Change, evidence: Mapping[str, Json]) -> Promotion:
        pointer = self.pointer(name)
        if version == pointer.live:
            raise NotPromotable(f"{label_of(name, version)} is live already")
        self.load(name, version)
        promotion = Promotion(pointer.revision + 1, version, pointer.live, change, self._clock.now(), evidence)
        self._files.write(home / "new", encode(promotion))
        self._files.move(home / "new", _promotion_file(home, promotion.revision))
        self._replace_pointer(home, replace(pointer, revision=promotion.revision, live=version))
        return promotion

    def _replace_pointer(self, home: Path, pointer: Pointer) -> None:
        self._files.write(home / "new", encode(pointer))
        self._files.move(home / "new", home / _POINTER)

    def _replaced(self, name: str) -> int:
        pointer = self.pointer(name)
        target = _target(self._promotions(name, pointer), pointer.live)
        if pointer.live is None:
            raise NotPromotable(f"{name} has nothing live")
        if target is None or target not in self.versions(name):
            raise NotPromotable(f"{name} has no version to go back to (any more), name one of those there are")
        return target

    def _promotions(self, name: str, pointer: Pointer) -> tuple[Promotion, ...]:
        """The changes that came true, oldest first. One of a later revision was begun by a process that died."""
        folder = self._home(name) / "promotions"
        found: list[Promotion] = []
        with _told():
            for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
                with suppress(FileNotFoundError):  # another process pruned it meanwhile
                    found.append(decode_promotion(file.read_bytes()))
        return tuple(each for each in found if each.revision <= pointer.revision)

    def _read(self, name: str, version: int, file: str) -> bytes:
        try:
            return (_version_folder(self._home(name), version) / file).read_bytes()
        except FileNotFoundError as error:
            raise self._unknown(name, version) from error
        except OSError as error:
            raise _unavailable(error) from error

    def _unknown(self, name: str, version: int | None = None) -> UnknownModel:
        versions = ", ".join(str(each) for each in self.versions(name))
        if version is None or not versions:
            return UnknownModel(f"there is no model {name!r}; there are: {', '.join(self.names()) or 'none'}")
        return UnknownModel(f"there is no {label_of(name, version)}; versions of {name}: {versions}")


def _version_folder(home: Path, version: int) -> Path:
    return home / "versions" / str(version)


def _promotion_file(home: Path, revision: int) -> Path:
    return home / "promotions" / f"{revision:08}.json"


def _target(promotions: Sequence[Promotion], live: int | None) -> int | None:
    """What the live version replaced when it was last promoted; a rollback to it changes nothing about that."""
    for promotion in reversed(promotions):
        if promotion.version == live and promotion.change is Change.PROMOTED:
            return promotion.replaces
    return None


def _listed(manifest: Manifest, pointer: Pointer, promotions: Sequence[Promotion]) -> ListedModel:
    if manifest.version == pointer.live:
        state = ModelState.LIVE
    else:
        state = ModelState.RETIRED if promotions else ModelState.CANDIDATE
    return ListedModel(manifest, state, tuple(promotions))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(error) from error


def _unavailable(error: OSError) -> RegistryUnavailable:
    return RegistryUnavailable(f"the registry cannot be used: {error.strerror or error}")
