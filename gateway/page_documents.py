"""The documents that the shop's pages send, made ahead of time, so that a gateway may trust just those.

A page's document is a template of the shop and the fragments of the component versions in play. The pages make it in
the browser (`storefront/shop/documents.js`, which says what a template is); here the same texts are made for all
versions that the flags can give together.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

from flags.definitions import Definitions
from flags.evaluation import FlagSet
from flags.page_preview import PreviewedComponent, preview_page
from flags.registry import ComponentRegistry, ComponentVersion
from flags.rendering import version_of
from flags.subject import Subject
from gateway.manifest import TrustedDocument, document_hash
from personalization.events import Device, Persona, Season

TEMPLATES: Final = Path(__file__).parents[1] / "storefront" / "shop" / "documents"
APART: Final = "search"
"""Asks for itself while one types, not with the page."""

VISITORS: Final = 64
"""Pseudonyms that percentage splits are tried with: a variant of one in ten is missed by all of them once in 850."""

_ON = re.compile(r"\bon (\w+)")
_EMPTY = re.compile(r"\{\s*\}")
_OFF = None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A version with what its fragment stands on."""

    version: ComponentVersion
    on: str

    @property
    def name(self) -> str:
        return self.version.manifest.name

    @property
    def fragment(self) -> str:
        return self.version.manifest.fragment_name


def written(template: str, in_play: Iterable[ComponentVersion]) -> str:
    """The document of a template for these versions, to the letter as the shop's pages write it."""
    pieces = sorted((_piece(each) for each in in_play), key=lambda each: each.fragment)
    used: dict[str, ComponentVersion] = {}
    head, *body = _lines(template, pieces, used)
    rest = "\n".join([*body, *(version.fragment.strip() for version in used.values())])
    declared = _own_variables(head)
    for version in used.values():
        declared |= version.manifest.variables
    names = sorted(name for name in declared if re.search(rf"\${name}\b", rest))
    variables = ", ".join(f"${name}: {declared[name]}" for name in names)
    title = head.partition("(")[0].removesuffix(" {")
    return f"{title}({variables}) {{\n{rest}\n" if names else f"{title} {{\n{rest}\n"


def page_documents(
    templates: Mapping[str, str], registry: ComponentRegistry, definitions: Definitions, app_version: str
) -> tuple[TrustedDocument, ...]:
    """Every document that pages of this version of the shop can send while the definitions stay as they are.

    Each page's own part without any component is among them, for when they do not.
    """
    given = _given(definitions, app_version)
    versions = {(each.manifest.name, f"v{each.manifest.number}"): each for each in registry.versions}
    texts: dict[str, str] = {}
    for name, template in templates.items():
        page = name.removeprefix("more-")
        wanted = _named(template)
        for together in [{}, *given.get(page, ()), *_alone(wanted, versions)]:
            in_play = [versions[each] for each in together.items() if each in versions]
            text = written(template, [each for each in in_play if "*" in wanted or each.manifest.name in wanted])
            if not _EMPTY.search(text):
                texts[document_hash(text)] = text
    return tuple(TrustedDocument(digest, *_title(text), text) for digest, text in texts.items())


def read_templates(folder: Path = TEMPLATES) -> dict[str, str]:
    """The shop's templates by their names."""
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.graphql"))}


def _piece(version: ComponentVersion) -> _Piece:
    found = _ON.search(version.fragment)
    return _Piece(version, found[1] if found else "")


def _lines(template: str, pieces: Sequence[_Piece], used: dict[str, ComponentVersion]) -> Iterator[str]:
    skipping = False
    for line in template.split("\n"):
        mark = line.strip()
        if mark.startswith("#? "):
            skipping = mark[3:] not in {each.name for each in pieces}
        elif mark == "#/":
            skipping = False
        elif not skipping and mark.startswith("#... "):
            for each in _spread(mark[5:], pieces):
                used[each.fragment] = each.version
                yield f"{line.partition('#')[0]}...{each.fragment}"
        elif not skipping and mark and not mark.startswith("#"):
            yield line


def _spread(wanted: str, pieces: Sequence[_Piece]) -> list[_Piece]:
    name, _, on = wanted.partition(" on ")
    if name == "*":
        return [each for each in pieces if each.on == "Query" and each.name != APART]
    return [each for each in pieces if each.name == name and on in ("", each.on)]


def _own_variables(head: str) -> dict[str, str]:
    inside = re.search(r"\((.*)\)", head)
    pairs = inside[1].split(", ") if inside else []
    return {name.removeprefix("$"): type_ for name, _, type_ in (pair.partition(": ") for pair in pairs)}


def _named(template: str) -> set[str]:
    """The components that a template names, `*` among them where it takes all on `Query`."""
    return {each.partition(" on ")[0] for each in re.findall(r"#\.\.\. (.+)", template)}


def _alone(wanted: set[str], versions: Mapping[tuple[str, str], ComponentVersion]) -> Iterator[dict[str, str]]:
    """Each version by itself, for templates of one component; nothing for pages."""
    if len(wanted) == 1 and "*" not in wanted:
        yield from ({name: version} for name, version in versions if name in wanted)


def _title(text: str) -> tuple[str, str]:
    type_, name = text.partition("(")[0].split("{")[0].split()
    return name, type_


def _given(definitions: Definitions, app_version: str) -> dict[str, list[dict[str, str]]]:
    """By page, the versions that one viewer may get together. What is off is left out."""
    flags = FlagSet(definitions)
    switches = [flag for flag in definitions.flags if flag.component]
    pages = {page for flag in switches for page in flag.pages}
    found: defaultdict[str, dict[tuple[tuple[str, str], ...], None]] = defaultdict(dict)
    for persona, device in product(Persona, (None, *Device)):
        options: defaultdict[str, set[str | None]] = defaultdict(set)
        for subject in _subjects(persona, device, app_version):
            for each in preview_page(flags, subject, page=None):
                options[each.choice.name] |= _versions(flags, each)
        for page in pages:
            here = [str(flag.component) for flag in switches if page in flag.pages]
            for together in product(*(sorted(options[name], key=str) for name in here)):
                given = ((name, version) for name, version in zip(here, together, strict=True) if version is not None)
                found[page][tuple(given)] = None
    return {page: [dict(each) for each in together] for page, together in found.items()}


def _subjects(persona: Persona, device: Device | None, app_version: str) -> Iterator[Subject]:
    known = {"persona": persona.value, "role": persona.value, "appVersion": app_version}
    if device is not None:
        known["device"] = device.value
    for season, region in product(Season, (None, "US-NE", "US-MW", "US-S", "US-W")):
        place = {"region": region} if region is not None else {}
        yield Subject(None, {**known, "season": season.value, **place})
    for number in range(VISITORS):
        yield Subject(f"visitor:{number}", {**known, "season": Season.SPRING.value})


def _versions(flags: FlagSet, previewed: PreviewedComponent) -> set[str | None]:
    """What this viewer may get of a component: the choice, and what a decision may make of it."""
    choice = previewed.choice
    found = {(choice.version or "v1") if choice.enabled else _OFF}
    if choice.flag_key is not None:
        variants = flags.flags[choice.flag_key].definition.variants
        found |= {version_of(variants[each]) for each in previewed.candidates}
    return found
