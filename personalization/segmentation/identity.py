"""Which group found anew is which segment known already, by who is in it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

_MATCHES, _PART = 0.3, 0.5


@dataclass(frozen=True, slots=True)
class Identity:
    """What became of known segments. `kept` is the known segment of a new group.

    `split` says of a known segment into which groups most of whose members came from it; `merged` of a group, which
    segments went mostly into it. Both name two at least.
    """

    kept: Mapping[str, str]
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]
    split: Mapping[str, tuple[str, ...]]
    merged: Mapping[str, tuple[str, ...]]

    def renamed(self, keys: Mapping[str, str]) -> "Identity":
        """The same with other keys for the new groups."""
        return Identity(
            {keys[new]: old for new, old in self.kept.items()},
            tuple(keys[each] for each in self.appeared),
            self.vanished,
            {old: tuple(keys[each] for each in parts) for old, parts in self.split.items()},
            {keys[new]: parts for new, parts in self.merged.items()},
        )


def match_segments(known: Mapping[str, str], found: Mapping[str, str]) -> Identity:
    """Match groups to known segments, each to one at most; both mappings are from customer to key.

    The matching has the greatest sum of Jaccard similarities (Kuhn 1955, the Hungarian method) over customers in both;
    pairs below 0.3 are none. Of a group, or a segment, a part is what holds over half of its customers.
    """
    olds, news = sorted(set(known.values())), sorted(set(found.values()))
    shared = np.zeros((len(olds), len(news)))
    for customer in known.keys() & found.keys():
        shared[olds.index(known[customer]), news.index(found[customer])] += 1
    rows, columns = shared.sum(axis=1, keepdims=True), shared.sum(axis=0, keepdims=True)
    similarity = shared / np.maximum(rows + columns - shared, 1.0)
    pairs = zip(*linear_sum_assignment(similarity, maximize=True), strict=True)
    kept = {news[new]: olds[old] for old, new in pairs if similarity[old, new] >= _MATCHES}
    comes, goes = shared / np.maximum(columns, 1.0) > _PART, shared / np.maximum(rows, 1.0) > _PART
    split = {old: tuple(new for j, new in enumerate(news) if comes[i, j]) for i, old in enumerate(olds)}
    merged = {new: tuple(old for i, old in enumerate(olds) if goes[i, j]) for j, new in enumerate(news)}
    return Identity(
        kept,
        appeared=tuple(each for each in news if each not in kept),
        vanished=tuple(each for each in olds if each not in kept.values()),
        split={key: parts for key, parts in split.items() if len(parts) > 1},
        merged={key: parts for key, parts in merged.items() if len(parts) > 1},
    )
