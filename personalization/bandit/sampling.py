"""Drawing an action: exact probabilities, and chance that can be replayed from the decision id."""

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from math import fsum, isfinite

from personalization.errors import InvalidDistribution

POLICY_TOLERANCE = 1e-3
"""How far from 1 what a policy gives may sum: float32 rounds off much less, and more is a broken policy."""


def normalized(distribution: Sequence[float], actions: int) -> tuple[float, ...]:
    """The distribution over `actions` actions, renormalized in float64 so that it sums to 1 within 1e-9.

    Raises:
        InvalidDistribution: not one probability an action, one that is not finite and above zero, or a sum
            that is off by more than rounding.
    """
    if len(distribution) != actions or not actions:
        raise InvalidDistribution(f"{len(distribution)} probabilities for {actions} actions, one each is needed")
    if not all(isfinite(each) and each > 0.0 for each in distribution):
        raise InvalidDistribution(f"probabilities {list(distribution)} are not all finite and above zero")
    total = fsum(distribution)
    if abs(total - 1.0) > POLICY_TOLERANCE:
        raise InvalidDistribution(f"probabilities {list(distribution)} sum to {total}, not to 1")
    return tuple(float(each) / total for each in distribution)


def floored(distribution: tuple[float, ...], floor: float) -> tuple[float, ...]:
    """The normalized distribution mixed with an even one, so that no probability is below `floor`.

    With K actions: `(1 - K * floor) * p + floor`.

    Raises:
        InvalidDistribution: the floor is negative, not finite, or above 1/K.
    """
    if floor == 0.0:
        return distribution
    share = floor * len(distribution)
    if not 0.0 < share <= 1.0 + 1e-9:
        raise InvalidDistribution(f"a floor of {floor} is not within 0 and 1/{len(distribution)}")
    return tuple(max((1.0 - share) * each + floor, floor) for each in distribution)


def unit_interval(decision_id: str) -> float:
    """A number in [0, 1) that depends on the id alone, even over ids: 53 bits of BLAKE2b's first eight bytes."""
    return (int.from_bytes(blake2b(decision_id.encode(), digest_size=8).digest()) >> 11) * 2.0**-53


def sample(distribution: Sequence[float], decision_id: str) -> int:
    """The index that this decision draws from a normalized distribution; the same id draws the same, always."""
    return bisect_right(bounds(distribution), unit_interval(decision_id))


def bounds(distribution: Sequence[float]) -> tuple[float, ...]:
    """Where the part of [0, 1) of each action ends, but for the last: all is its that is left, rounding included.

    An index is drawn by `bisect_right` of these and the `unit_interval` of a decision.
    """
    return tuple(accumulate(distribution))[:-1]
