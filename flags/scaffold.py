"""New components and new versions of them, written to the folders of components and of flags."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from flags.definition import FlagDefinition, FlagType
from flags.definitions import Definitions, read_definitions
from flags.errors import ScaffoldRefused
from flags.json_edit import with_members
from flags.manifest import fragment_name
from flags.registry import FRAGMENT, MANIFEST, NAME, ComponentVersion, read_registry
from flags.rendering import VERSION, version_of
from flags.terms import AUDIENCE, terms_of
from flags.vocabulary import Vocabulary
from personalization.events import Persona

_FRAGMENT: Final = """\
# The data that {folder} needs, for the page's query to spread.
fragment {name} on Query {{
  __typename
}}
"""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where components and flags are written."""

    components: Path
    flags: Path


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the folder of the version, and the file of its flag."""

    folder: Path
    flag_file: Path
    flag_key: str


def new_component(folders: Folders, name: str, owner: str, page: str, today: date) -> Written:
    """Begin a component: the folder `NAME.v1` as a draft, and a flag that is `off` for everyone.

    Raises:
        ScaffoldRefused: the name is no component's, or a folder, file or flag of it is there already.
        ComponentsUnreadable, DefinitionsUnreadable: a folder cannot be read.
    """
    if not NAME.fullmatch(name):
        raise ScaffoldRefused(f"{name!r} names no component: lower-case letters, digits and '-', a letter first")
    key, flag_file = f"component.{name}", folders.flags / f"{name}.json"
    definitions = read_definitions(folders.flags, Vocabulary())
    if read_registry(folders.components).of(name):
        raise ScaffoldRefused(f"the component {name} has a folder; use `gateway components version {name}`")
    if flag_file.exists() or any(flag.key == key or flag.component == name for flag in definitions.flags):
        raise ScaffoldRefused(f"the component {name} has a flag or a file {flag_file.name} already; take another name")
    content = {
        "flags": {
            key: {
                "state": "ENABLED",
                "variants": {"v1": "v1", "off": "off"},
                "defaultVariant": "off",
                "metadata": {"component": name, "page": page, "owner": owner, "description": f"What {name} is for."},
            }
        }
    }
    text = _checked(flag_file.name, _pretty(content), key)
    manifest = _manifest(key, owner, today, f"What {name} v1 shows.")
    folder = _write_folder(
        folders.components / f"{name}.v1", manifest, _FRAGMENT.format(folder=f"{name}.v1", name=fragment_name(name, 1))
    )
    _replace(flag_file, text)
    return Written(folder, flag_file, key)


def new_version(folders: Folders, name: str, today: date) -> Written:
    """Begin the next version of a component: a copy of the newest one as a draft, and a variant that nobody gets.

    Raises:
        ScaffoldRefused: the component has no folder or no flag, or its flag has no versions.
        ComponentsUnreadable, DefinitionsUnreadable: a folder cannot be read.
    """
    versions = read_registry(folders.components).of(name)
    if not versions:
        raise ScaffoldRefused(f"no component {name!r} has a good folder; begin it with `gateway components new {name}`")
    flag = _flag_of(name, read_definitions(folders.flags, Vocabulary()))
    newest = versions[-1]
    number = 1 + max(newest.manifest.number, *(_number(variant, flag) for variant in flag.variants))
    path = folders.flags / flag.file
    edited = _with_variant(path.read_text("utf-8"), flag, f"v{number}")
    folder = _copy(folders.components / newest.manifest.folder, newest, number, today)
    _replace(path, edited)
    return Written(folder, path, flag.key)


def _flag_of(name: str, definitions: Definitions) -> FlagDefinition:
    flag = next((flag for flag in definitions.flags if flag.component == name), None)
    if flag is None:
        raise ScaffoldRefused(f"no good flag has the component {name!r} in its metadata; see `gateway flags lint`")
    if flag.type is FlagType.BOOLEAN:
        raise ScaffoldRefused(f"{flag.key} is only on or off; give it the variants v1 and off first")
    return flag


def _number(variant: str, flag: FlagDefinition) -> int:
    version = version_of(flag.variants[variant]) or ""
    return max((int(each[1:]) for each in (version, variant) if re.fullmatch(r"v[1-9][0-9]*", each)), default=0)


def _with_variant(text: str, flag: FlagDefinition, version: str) -> str:
    """The file with one more variant in its flag, and nobody who gets it."""
    try:
        value = {VERSION: version} if flag.type is FlagType.OBJECT else version
        edited = with_members(text, ("flags", flag.key, "variants"), {version: value})
        if terms_of(flag) is not None:
            # A decision would choose the draft, were it not left out of what each persona may see.
            unbound = [name for name in (f"{AUDIENCE}{persona}" for persona in Persona) if name not in flag.metadata]
            bounds = dict.fromkeys(unbound, ",".join(flag.variants))
            edited = with_members(edited, ("flags", flag.key, "metadata"), bounds) if bounds else edited
    except (LookupError, ValueError) as error:
        raise ScaffoldRefused(f"{flag.file}: the variant {version} cannot be added to {flag.key}: {error}") from error
    return _checked(flag.file, edited, flag.key)


def _checked(file: str, text: str, key: str) -> str:
    """The text of a file of flags in which this flag is good."""
    with TemporaryDirectory() as directory:
        (Path(directory) / file).write_text(text, "utf-8")
        definitions = read_definitions(Path(directory), Vocabulary())
    if all(flag.key != key for flag in definitions.flags):
        reasons = [str(refusal) for refusal in definitions.refused if refusal.flag in (key, None)]
        raise ScaffoldRefused(f"the flag would not be good: {'; '.join(reasons)}")
    return text


def _copy(source: Path, newest: ComponentVersion, number: int, today: date) -> Path:
    manifest, old = newest.manifest, newest.manifest.fragment_name
    fragment = re.sub(rf"\b{old}\b", fragment_name(manifest.name, number), newest.fragment)
    fragment = re.sub(rf"\b{re.escape(manifest.folder)}\b", f"{manifest.name}.v{number}", fragment)
    content = _manifest(manifest.flag, manifest.owner, today, manifest.description)
    if manifest.variables:
        content["variables"] = dict(manifest.variables)
    return _write_folder(source.with_name(f"{manifest.name}.v{number}"), content, fragment, source)


def _manifest(flag: str, owner: str, today: date, description: str) -> dict[str, Any]:
    return {
        "flag": flag,
        "owner": owner,
        "status": "draft",
        "since": today.isoformat(),
        "expires": None,
        "description": description,
    }


def _write_folder(folder: Path, manifest: Mapping[str, Any], fragment: str, copied: Path | None = None) -> Path:
    """The folder of a version, put in place whole; `copied` gives it the code beside its two files."""
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        if copied is None:
            part.mkdir()
        else:
            shutil.copytree(copied, part)
        (part / MANIFEST).write_text(_pretty(manifest), "utf-8")
        (part / FRAGMENT).write_text(fragment, "utf-8")
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise ScaffoldRefused(f"{folder} cannot be written: {error.strerror}") from error
    return folder


def _replace(path: Path, text: str) -> None:
    """Write a file of flags whole: the running gateway reads it at any moment."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, "utf-8")
    os.replace(part, path)


def _pretty(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
