"""What sets a group of customers apart from the others: effect sizes, with a sign and in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personalization.segmentation.clustering import numbers
from personalization.segmentation.features import Feature, FeatureTable, Kind

Members = NDArray[np.bool_]

_SMALL, _MEDIUM, _LARGE = 0.2, 0.5, 0.8
_WEAK, _MIDDLING, _STRONG = 0.1, 0.3, 0.5


@dataclass(frozen=True, slots=True)
class Effect:
    """How one feature differs between the members of a group and everyone else.

    Of numbers `size` is Cohen's d (1988): the difference of means over the pooled standard deviation, over 0 when
    members have more; `inside` and `outside` are the means. Of words it is Cramer's V (1946), under 0 when `word`,
    whose share differs most, is rarer among members; `inside` and `outside` are its shares.
    """

    feature: Feature
    size: float
    inside: float
    outside: float
    word: str | None = None

    @property
    def words(self) -> str:
        """The effect for a human, as `much more: 12.3 against 4.5 orders`."""
        if self.word is not None:
            degree = _degree(self.size, (_WEAK, _MIDDLING, _STRONG))
            side = "more" if self.size >= 0 else "fewer"
            return f"{degree} {side} {self.word}: {self.inside:.0%} against {self.outside:.0%}"
        degree = _degree(self.size, (_SMALL, _MEDIUM, _LARGE))
        side = "more" if self.size >= 0 else "less"
        return f"{degree} {side}: {self.inside:,.3g} against {self.outside:,.3g} {self.feature.unit}"


def effects(table: FeatureTable, members: Members) -> tuple[Effect, ...]:
    """The effect of each feature that can be told, the strongest first; none of a group of nobody or of everyone.

    Gaps are left out; a feature of which fewer than two are known on either side has no effect.
    """
    if members.all() or not members.any():
        return ()
    found = (_effect(table, each, members) for each in table.features)
    return tuple(sorted((each for each in found if each is not None), key=lambda each: -_weight(each)))


def cohens_d(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """The difference of means over the pooled standard deviation; 0 where nobody differs, infinite where only sides do.

    At least two values on each side.
    """
    freedom = len(inside) + len(outside) - 2
    spread = np.sqrt(((len(inside) - 1) * inside.var(ddof=1) + (len(outside) - 1) * outside.var(ddof=1)) / freedom)
    gap = float(inside.mean() - outside.mean())
    if spread > 1e-12:
        return gap / float(spread)
    return 0.0 if abs(gap) < 1e-12 else float(np.copysign(np.inf, gap))


def cramers_v(words: Sequence[str], members: Members) -> float:
    """The association of words with being a member: 0 is none, 1 that one tells the other."""
    kinds = sorted(set(words))
    counts = np.zeros((len(kinds), 2))
    for word, member in zip(words, members, strict=True):
        counts[kinds.index(word), int(member)] += 1
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / counts.sum()
    if len(kinds) < 2 or (expected == 0).any():
        return 0.0
    return float(np.sqrt((np.square(counts - expected) / expected).sum() / counts.sum()))


def _effect(table: FeatureTable, feature: Feature, members: Members) -> Effect | None:
    return _of_numbers(table, feature, members) if feature.kind is Kind.NUMERIC else _of_words(table, feature, members)


def _of_numbers(table: FeatureTable, feature: Feature, members: Members) -> Effect | None:
    values = numbers(table, feature.key)
    known = ~np.isnan(values)
    inside, outside = values[known & members], values[known & ~members]
    if len(inside) < 2 or len(outside) < 2:
        return None
    return Effect(feature, cohens_d(inside, outside), float(inside.mean()), float(outside.mean()))


def _of_words(table: FeatureTable, feature: Feature, members: Members) -> Effect | None:
    pairs = [(str(each), bool(yes)) for each, yes in zip(table.columns[feature.key], members, strict=True) if each]
    inside = Counter(word for word, yes in pairs if yes)
    outside = Counter(word for word, yes in pairs if not yes)
    if inside.total() < 2 or outside.total() < 2:
        return None
    gaps = {word: inside[word] / inside.total() - outside[word] / outside.total() for word, _ in sorted(pairs)}
    word = max(gaps, key=lambda each: abs(gaps[each]))
    size = cramers_v([each for each, _ in pairs], np.array([yes for _, yes in pairs]))
    shares = inside[word] / inside.total(), outside[word] / outside.total()
    return Effect(feature, float(np.copysign(size, gaps[word])), *shares, word)


def _weight(effect: Effect) -> float:
    """Both kinds of sizes on one scale: what is large of each weighs the same."""
    return abs(effect.size) / (_LARGE if effect.word is None else _STRONG)


def _degree(size: float, bounds: tuple[float, float, float]) -> str:
    names = ("about as", "a little", "clearly", "much")
    return names[sum(abs(size) >= each for each in bounds)]
