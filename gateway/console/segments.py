"""Segments for charts: how they were defined, who is in them now, and what came of the closings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.console.policies import SEGMENTS
from personalization.clock import Clock
from personalization.errors import PersonaError
from personalization.registry import REGISTRY_FOLDER, ModelRegistry
from personalization.segmentation.errors import InvalidSegments

SEGMENTS_FILE: Final = "segments.json"
"""As `personalization.segmentation.definitions` writes it, which is not imported: it loads what clusters."""

MOST_CLOSINGS: Final = 36


class Segments:
    """Reads what the data folder has of segments. Everything here blocks."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._registry = ModelRegistry(data_dir / REGISTRY_FOLDER, clock)

    def all(self) -> dict[str, object]:
        """What is there; a part that is not there yet is null, one that cannot be read is told in `problems`."""
        told: dict[str, object] = {"defined": None, "profiles": None, "closings": []}
        problems = []
        for name, read in (("defined", self._defined), ("profiles", self._profiles), ("closings", self._closings)):
            try:
                told[name] = read()
            except (PersonaError, OSError) as error:
                problems.append(f"{name}: {error}")
        return {**told, "problems": problems}

    def _defined(self) -> dict[str, object] | None:
        file = self._data_dir / SEGMENTS_FILE
        try:
            members: Mapping[str, Any] = orjson.loads(file.read_bytes())
            features = [str(each["key"]) for each in members["scaling"]["columns"]]
            segments = [_segment(each, len(features)) for each in members["segments"]]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidSegments(f"{SEGMENTS_FILE} is no file of segments: {error}") from error
        return {"features": features, "segments": segments}

    def _profiles(self) -> dict[str, object] | None:
        from personalization.classification.deploy import read_profiles

        live = self._registry.pointer(SEGMENTS).live
        if live is None:
            return None
        try:
            profiles = read_profiles(self._data_dir, live)
        except FileNotFoundError:
            return None
        head = profiles.head
        return {
            "model": head.model,
            "period": head.period,
            "customers": len(profiles),
            "names": dict(head.names),
            "sizes": dict(profiles.sizes()),
            "priors": {persona: [segment, share] for persona, (segment, share) in head.priors.items() if persona},
        }

    def _closings(self) -> list[dict[str, object]]:
        from personalization.classification.deploy import Closings

        closings = Closings(self._data_dir, self._registry, self._clock).all()
        return [
            {
                "period": each.period,
                "at": int(each.at.timestamp() * 1000),
                "model": each.model,
                "deployed": each.deployed,
                "refusal": each.refusal,
                "replaced": each.replaced,
                "customers": each.customers,
                "macro_f1": each.macro_f1,
                "verdicts": each.evidence.get("verdicts", []),
            }
            for each in closings[-MOST_CLOSINGS:]
        ]


def _segment(record: Mapping[str, Any], width: int) -> dict[str, object]:
    centre = [float(each) for each in record["centre"]]
    if len(centre) != width:
        raise InvalidSegments(f"{SEGMENTS_FILE}: each segment needs a centre of {width} numbers")
    return {
        "key": str(record["key"]),
        "name": str(record["name"]),
        "description": str(record["description"]),
        "size": int(record["size"]),
        "centre": centre,
    }
