"""The component registry: a folder with one folder for each version of each component, read whole."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flags.errors import ComponentsUnreadable, DefinitionsUnreadable, InvalidComponent, InvalidDefinition
from flags.files import Pace, read_file, refuse_repeated
from flags.manifest import ComponentVersionManifest, parse_manifest

SHIPPED_DIRECTORY: Final = Path(__file__).parents[1] / "storefront" / "components"
MANIFEST: Final = "manifest.json"
FRAGMENT: Final = "fragment.graphql"
NAME: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,62}[a-z0-9])?")
_FOLDER: Final = re.compile(rf"(?P<name>{NAME.pattern})\.v(?P<number>[1-9][0-9]{{0,5}})")
_MAX_FRAGMENT_BYTES: Final = 100_000


@dataclass(frozen=True, slots=True)
class ComponentVersion:
    """One version: its manifest, and the GraphQL fragment with the data that it needs."""

    manifest: ComponentVersionManifest
    fragment: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A folder that is no component version as it stands: which folder or file, and what is wrong with it."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class ComponentRegistry:
    """What is in the folder. `versions` are in the order of names, then of numbers."""

    versions: tuple[ComponentVersion, ...] = ()
    refused: tuple[Refused, ...] = ()

    def of(self, name: str) -> tuple[ComponentVersion, ...]:
        """The versions of a component, oldest first."""
        return tuple(version for version in self.versions if version.manifest.name == name)


def read_registry(directory: Path) -> ComponentRegistry:
    """The component versions in a folder. Bad ones are refused one by one.

    Each folder `NAME.vN` holds `manifest.json` and `fragment.graphql`, and may hold the code of the version. Files
    beside those folders, and names that begin with a dot, are left out.

    Raises:
        ComponentsUnreadable: the folder itself cannot be read.
    """
    versions: list[ComponentVersion] = []
    refused: list[Refused] = []
    for folder in _folders(directory):
        try:
            versions.append(_version(folder))
        except InvalidComponent as error:
            place, _, reason = str(error).partition(": ")
            refused.append(Refused(place, reason))
    versions.sort(key=lambda version: (version.manifest.name, version.manifest.number))
    return ComponentRegistry(tuple(versions), tuple(refused))


def folder_of(name: str) -> tuple[str, int] | None:
    """Component and number of a folder's name: `("hero", 2)` for `hero.v2`; None when it names no version."""
    found = _FOLDER.fullmatch(name)
    return (found["name"], int(found["number"])) if found else None


def _folders(directory: Path) -> Iterator[Path]:
    try:
        found = sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise ComponentsUnreadable(f"the folder of components {directory} cannot be read: {error.strerror}") from error
    yield from found


def _version(folder: Path) -> ComponentVersion:
    named = folder_of(folder.name)
    if named is None:
        raise InvalidComponent(
            f"{folder.name}: the folder names no version; call it NAME.vN: lower-case letters, digits, '-'; as hero.v2"
        )
    return ComponentVersion(_manifest(folder, *named), _fragment(folder))


def _manifest(folder: Path, name: str, number: int) -> ComponentVersionManifest:
    try:
        content = read_file(folder / MANIFEST, Pace())
        refuse_repeated(content)
        return parse_manifest(name, number, content)
    except (DefinitionsUnreadable, InvalidDefinition, InvalidComponent) as error:
        raise InvalidComponent(f"{folder.name}/{MANIFEST}: {error}") from error


def _fragment(folder: Path) -> str:
    path = folder / FRAGMENT
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_FRAGMENT_BYTES + 1)
        source = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidComponent(f"{folder.name}/{FRAGMENT}: it cannot be read: {type(error).__name__}") from error
    if len(raw) > _MAX_FRAGMENT_BYTES:
        raise InvalidComponent(f"{folder.name}/{FRAGMENT}: it is over {_MAX_FRAGMENT_BYTES} bytes long")
    return source
