"""Semantic versions, compared as flagd's `sem_ver` compares them."""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from openfeature.contrib.tools.flagd.core.targeting.custom_ops import normalize_version


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
