"""Definitions as tests write them to disk."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flags.definitions import Definitions, read_definitions
from flags.vocabulary import Vocabulary

SEED = "seed-1"
BUCKETING: Mapping[str, Any] = {"and": [{"var": "targetingKey"}, {"cat": [SEED, {"var": "targetingKey"}]}]}
PINNED: Mapping[str, Any] = {"hashVersion": 2, "seed": SEED}


def flag(targeting: Any = None, **changes: Any) -> dict[str, Any]:
    """A string flag with the variants v1, v2 and off; v1 is the default."""
    content: dict[str, Any] = {
        "state": "ENABLED",
        "variants": {"v1": "v1", "v2": "v2", "off": "off"},
        "defaultVariant": "v1",
    }
    if targeting is not None:
        content["targeting"] = targeting
    return {**content, **changes}


def component(name: str, targeting: Any = None, page: str = "home", **changes: Any) -> dict[str, Any]:
    """A flag of a component."""
    return flag(targeting, metadata={"component": name, "page": page, **PINNED}, **changes)


def write(
    directory: Path, flags: Mapping[str, Any], file: str = "team.json", rest: Mapping[str, Any] | None = None
) -> Path:
    """One file of definitions, put in place whole; `rest` stands beside the flags."""
    path = directory / file
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"flags": flags, **(rest or {})}))
    part.replace(path)
    return path


def read(directory: Path, previous: Definitions | None = None) -> Definitions:
    """What is in the folder."""
    return read_definitions(directory, Vocabulary(), previous)
