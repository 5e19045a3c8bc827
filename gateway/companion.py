"""What the supervisor tells its workers of the process beside them: whether it runs, and how often it was started."""

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

_FILE = "companion.json"


@dataclass(frozen=True, slots=True)
class Companion:
    """`status` is `running` or `restarting`; `starts` counts the first start too."""

    status: str
    starts: int


def write_companion(folder: Path, companion: Companion) -> None:
    """Say it, whole or not at all, in a folder that the workers know."""
    path = folder / _FILE
    fresh = path.with_suffix(".new")
    fresh.write_bytes(orjson.dumps(asdict(companion)))
    fresh.replace(path)


def read_companion(folder: Path) -> Companion | None:
    """What was said last; None where nothing runs beside the workers."""
    try:
        return Companion(**orjson.loads((folder / _FILE).read_bytes()))
    except FileNotFoundError:
        return None
