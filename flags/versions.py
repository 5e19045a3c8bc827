"""Semantic versions, compared as flagd's `sem_ver` compares them."""

import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from openfeature.contrib.tools.flagd.core.targeting.custom_ops import normalize_version

_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 32


def _same_major(one: Any, other: Any) -> bool:
    return bool(one.major == other.major)


def _same_minor(one: Any, other: Any) -> bool:
    return bool(one.major == other.major and one.minor == other.minor)


COMPARISONS: Final[Mapping[Any, Callable[[Any, Any], bool]]] = MappingProxyType(
    {
        "=": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "^": _same_major,
        "~": _same_minor,
    }
)


def compare_versions(left: Any, comparison: Any, right: Any) -> bool | None:
    """Whether `left comparison right` holds; None when a side is no version or the comparison is not known.

    A leading `v` is dropped and a short version is filled with zeros: `v1.2` is `1.2.0`. `^` asks for the same major
    version, `~` for the same major and minor version.
    """
    compare = COMPARISONS.get(comparison) if isinstance(comparison, str) else None
    try:
        one, other = normalize_version(left), normalize_version(right)
    except ValueError:
        return None
    return compare(one, other) if compare is not None else None


def is_version(text: Any) -> bool:
    """Whether `sem_ver` can read this."""
    return compare_versions(text, "=", text) is True


def compared_with(comparison: str, right: Any) -> Callable[[Any], bool | None]:
    """As `compare_versions` with a fixed right side, verdicts remembered: few app versions are in use at a time."""

    @lru_cache(maxsize=_REMEMBERED)
    def verdict(version: str) -> bool | None:
        return compare_versions(version, comparison, right)

    def compare(version: Any) -> bool | None:
        if type(version) is str and len(version) <= _LONGEST_REMEMBERED:
            return verdict(version)
        return None if version is None else compare_versions(version, comparison, right)

    return compare
