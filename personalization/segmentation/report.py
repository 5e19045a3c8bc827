"""What each segment is, for a human who is to name it: size, sales, who is in it, what sets it apart, how it moved."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from personalization.segmentation.clustering import Matrix, numbers
from personalization.segmentation.definitions import Segment, SegmentSet
from personalization.segmentation.effects import Effect, Members, effects
from personalization.segmentation.features import FeatureTable, Kind
from personalization.segmentation.movement import Movement, movement

TYPICAL = 3
"""How many typical customers are named."""

_FEW = 10


@dataclass(frozen=True, slots=True)
class Portrait:
    """One segment at a date.

    `share` is of customers, `sales_share` of all money paid in the period; `value` and `orders` are a customer's means.
    `categories` is the index of each: its share of the segment's money over its share of everyone's, 1 is alike.
    `personas` are shares of customers, largest first; `components` the mean uses of each, of those who had any.
    `typical` are the customers next to the middle; `few` says that there are too few to go by.
    """

    segment: Segment
    size: int
    share: float
    sales_share: float
    value: float
    orders: float
    categories: Mapping[str, float]
    personas: Mapping[str, float]
    components: Mapping[str, float]
    effects: tuple[Effect, ...]
    typical: tuple[str, ...]

    @property
    def few(self) -> bool:
        """Whether what is said of it may be chance."""
        return self.size < _FEW


@dataclass(frozen=True, slots=True)
class Report:
    """All segments with somebody in them, the largest first, and how customers moved since the date before."""

    table: FeatureTable
    portraits: tuple[Portrait, ...]
    empty: tuple[str, ...]
    moved: Movement | None

    @property
    def labels(self) -> Mapping[str, str]:
        """What to call each segment, by key: its name, with the key where another has the same name."""
        names = Counter(each.segment.name for each in self.portraits)
        segments = [each.segment for each in self.portraits]
        return {each.key: each.name if names[each.name] == 1 else f"{each.name} [{each.key}]" for each in segments}


def analyse(table: FeatureTable, segments: SegmentSet, before: FeatureTable | None = None) -> Report:
    """The report of a table by these segments; `before` is the table as of an earlier date.

    Raises:
        InvalidSegments: a table lacks a feature that the segments were defined on.
        InvalidFeatures: a value is infinite.
    """
    keys = np.array(segments.assign(table))
    matrix = segments.scaling.matrix(table)
    inside = {each.key: keys == each.key for each in segments.segments}
    found = [_portrait(table, matrix, each, inside[each.key]) for each in segments.segments if inside[each.key].any()]
    empty = tuple(each.key for each in segments.segments if not inside[each.key].any())
    moved = None
    if before is not None:
        names = [each.key for each in segments.segments]
        was = dict(zip(before.customers, segments.assign(before), strict=True))
        moved = movement(names, was, dict(zip(table.customers, keys.tolist(), strict=True)))
    return Report(table, tuple(sorted(found, key=lambda each: -each.size)), empty, moved)


def _portrait(table: FeatureTable, matrix: Matrix, segment: Segment, inside: Members) -> Portrait:
    money, orders = numbers(table, "monetary"), numbers(table, "frequency")
    return Portrait(
        segment=segment,
        size=int(inside.sum()),
        share=float(inside.mean()),
        sales_share=_ratio(float(money[inside].sum()), float(money.sum())),
        value=float(money[inside].mean()),
        orders=float(orders[inside].mean()),
        categories=_indexes(table, money, inside),
        personas=_shares([word for word, yes in zip(table.columns["role"], inside, strict=True) if yes]),
        components=_uses(table, inside),
        effects=effects(table, inside),
        typical=_typical(table, matrix, inside),
    )


def _indexes(table: FeatureTable, money: Matrix, inside: Members) -> dict[str, float]:
    found = {}
    for key in _keys(table, "share."):
        spent = np.nan_to_num(numbers(table, key)) * np.maximum(money, 0.0)
        overall = _ratio(float(spent.sum()), float(money.sum()))
        within = _ratio(float(spent[inside].sum()), float(money[inside].sum()))
        found[key.removeprefix("share.")] = _ratio(within, overall)
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def _uses(table: FeatureTable, inside: Members) -> dict[str, float]:
    found = {}
    for key in _keys(table, "uses."):
        used = numbers(table, key)[inside]
        known = used[~np.isnan(used)]
        if len(known):
            found[key.removeprefix("uses.")] = float(known.mean())
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def _keys(table: FeatureTable, prefix: str) -> Sequence[str]:
    return [each.key for each in table.features if each.kind is Kind.NUMERIC and each.key.startswith(prefix)]


def _shares(words: Sequence[object]) -> dict[str, float]:
    counts = Counter(str(each) for each in words if each is not None)
    return {word: count / counts.total() for word, count in counts.most_common()}


def _typical(table: FeatureTable, matrix: Matrix, inside: Members) -> tuple[str, ...]:
    """Those nearest to the middle, by Euclidean distance in scaled features; of several as near, the first by id."""
    rows = np.flatnonzero(inside)
    away = np.square(matrix[rows] - matrix[rows].mean(axis=0)).sum(axis=1)
    return tuple(table.customers[rows[place]] for place in np.argsort(away, kind="stable")[:TYPICAL])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
