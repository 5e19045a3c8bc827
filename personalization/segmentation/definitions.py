"""Segments as the data scientist defined them: a file that names each, and says which customer belongs to which."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from personalization.files import write_whole
from personalization.segmentation.clustering import Column, Scaling, centroids, nearest
from personalization.segmentation.errors import InvalidSegments
from personalization.segmentation.features import FeatureTable, schema_hash
from personalization.segmentation.identity import Identity, match_segments

SEGMENTS_FILE = "segments.json"


@dataclass(frozen=True, slots=True)
class Segment:
    """A named group. `centre` is in scaled features, in the order of the scaling's columns; `size` when defined."""

    key: str
    name: str
    description: str
    size: int
    centre: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SegmentSet:
    """All segments, and what assigns customers to them.

    `days` is how many days the features looked back when the segments were defined, None for all there was: features of
    another length mean something else.
    """

    schema_hash: str
    scaling: Scaling
    segments: tuple[Segment, ...]
    days: int | None = None

    def assign(self, table: FeatureTable) -> tuple[str, ...]:
        """The key of each customer's segment, in the order of the table.

        Raises:
            InvalidSegments: the table lacks a feature that these segments were found on, or has it in another unit.
        """
        if _schema(table, self.scaling) != self.schema_hash:
            raise InvalidSegments("features have other units than those that the segments were defined on")
        centres = np.array([each.centre for each in self.segments])
        return tuple(self.segments[place].key for place in nearest(self.scaling.matrix(table), centres))


def define(
    table: FeatureTable,
    k: int,
    names: Sequence[str] = (),
    *,
    descriptions: Sequence[str] = (),
    features: Collection[str] = (),
    weights: Mapping[str, float] | None = None,
    seed: int = 0,
) -> SegmentSet:
    """`k` segments by k-means, the largest first. `names` are `key=Name` in that order; others are `segment-1`, ...

    Groups are found on these numeric features, all when none is named; `weights` say how far each counts, else 1.

    Raises:
        InvalidFeatures: one is not numeric, or not in the table.
        NotEnoughVariety: fewer different customers than groups.
        InvalidSegments: a name without a key, the same key twice, more names than groups, or a description of no key.
    """
    scaling = Scaling.of(table, features, weights or {})
    matrix = scaling.matrix(table)
    centres = centroids(matrix, k, seed=seed)
    sizes = np.bincount(nearest(matrix, centres), minlength=k)
    named = _named(k, names)
    described = _described([key for key, _ in named], descriptions)
    segments = tuple(
        Segment(key, name, described.get(key, ""), int(size), tuple(float(each) for each in centre))
        for (key, name), size, centre in zip(named, sizes, centres, strict=True)
    )
    return SegmentSet(_schema(table, scaling), scaling, segments, table.days)


def write_segments(path: Path, segments: SegmentSet) -> None:
    """Write the file, or replace it, as a whole. Blocks; raises `OSError` of the disk."""
    write_whole(path, orjson.dumps({"v": 1, **asdict(segments)}, option=orjson.OPT_INDENT_2) + b"\n")


def read_segments(path: Path) -> SegmentSet:
    """The segments of a file; names and descriptions may have been edited in it.

    Raises:
        InvalidSegments: there is no such file, or it is not one.
    """
    try:
        members: dict[str, Any] = orjson.loads(path.read_bytes())
        scaling = Scaling(tuple(Column(**each) for each in members["scaling"]["columns"]))
        segments = tuple(Segment(**{**each, "centre": tuple(each["centre"])}) for each in members["segments"])
        found = SegmentSet(members["schema_hash"], scaling, segments, members.get("days"))
    except FileNotFoundError as error:
        raise InvalidSegments(f"there is no {path}, run `gateway segments define`") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidSegments(f"{path} is no file of segments: {error}") from error
    if not segments or any(len(each.centre) != len(scaling.columns) for each in segments):
        raise InvalidSegments(f"{path}: each segment needs a centre of {len(scaling.columns)} numbers")
    return found


def _schema(table: FeatureTable, scaling: Scaling) -> str:
    """The hash of the features that groups are found on, as the table has them."""
    features = {each.key: each for each in table.features}
    missing = [each.key for each in scaling.columns if each.key not in features]
    if missing:
        raise InvalidSegments(f"features are missing that the segments were defined on: {', '.join(missing)}")
    return schema_hash([features[each.key] for each in scaling.columns])


def keep_known(found: SegmentSet, table: FeatureTable, known: SegmentSet) -> tuple[SegmentSet, Identity]:
    """The segments found with key, name and description of the known one that each is, by who is in it; what became of
    the known ones, in the keys of both.

    A segment found that is none of the known ones keeps its own key, with `-new` added where a known one has it.

    Raises:
        InvalidSegments: the table lacks a feature that the known segments were found on.
    """
    before = dict(zip(table.customers, known.assign(table), strict=True))
    after = dict(zip(table.customers, found.assign(table), strict=True))
    identity = match_segments(before, after)
    by_key = {each.key: each for each in known.segments}
    renamed = tuple(_as_known(each, by_key.get(identity.kept.get(each.key, "")), by_key) for each in found.segments)
    final = {each.key: now.key for each, now in zip(found.segments, renamed, strict=True)}
    return replace(found, segments=renamed), identity.renamed(final)


def _as_known(found: Segment, old: Segment | None, known: Collection[str]) -> Segment:
    if old is not None:
        return replace(found, key=old.key, name=old.name, description=old.description)
    return replace(found, key=f"{found.key}-new", name=f"{found.name} (new)") if found.key in known else found


def _described(keys: Sequence[str], descriptions: Sequence[str]) -> dict[str, str]:
    pairs = [_pair(each) for each in descriptions]
    wrong = [key for key, text in pairs if key not in keys or not text]
    if wrong:
        raise InvalidSegments(f"descriptions are key=text of {', '.join(keys)}; received {', '.join(descriptions)}")
    return dict(pairs)


def _pair(given: str) -> tuple[str, str]:
    key, _, text = given.partition("=")
    return key.strip(), text.strip()


def _named(k: int, names: Sequence[str]) -> list[tuple[str, str]]:
    whole = [_pair(each) for each in names]
    if len(whole) > k or not all(key and name for key, name in whole):
        raise InvalidSegments(f"at most {k} names, each as key=Name; received {', '.join(names)}")
    whole += [(f"segment-{place}", f"Segment {place}") for place in range(len(whole) + 1, k + 1)]
    if len({key for key, _ in whole}) < k:
        raise InvalidSegments(f"each segment needs a key of its own; received {', '.join(names)}")
    return whole
