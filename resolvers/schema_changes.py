"""What changed between two versions of the schema, and which breaking changes a decision accounts for."""

import re
from dataclasses import dataclass
from pathlib import Path

from graphql import build_schema
from graphql.utilities import BreakingChange, find_schema_changes

_ACCOUNTED = re.compile(r"^Breaking: +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SchemaChanges:
    """Each change as graphql-core words it. `unaccounted` are the breaking ones that no decision names."""

    breaking: tuple[str, ...]
    other: tuple[str, ...]
    unaccounted: tuple[str, ...]


def changes(old: str, new: str, decisions: Path) -> SchemaChanges:
    """What differs between two printed schemas.

    A page in the folder `decisions` accounts for a breaking change with a line `Breaking: ` and the change's words.
    """
    accounted = {line for page in sorted(decisions.glob("*.md")) for line in _ACCOUNTED.findall(page.read_text())}
    breaking: list[str] = []
    other: list[str] = []
    for change in find_schema_changes(build_schema(old), build_schema(new)):
        (breaking if isinstance(change, BreakingChange) else other).append(change.description)
    return SchemaChanges(tuple(breaking), tuple(other), tuple(each for each in breaking if each not in accounted))
