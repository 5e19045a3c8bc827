"""Many small values as JSON, in one call: each call of `orjson.dumps` costs as much as a kilobyte of what it writes."""

from collections.abc import Sequence
from typing import Final

import orjson

_GAP: Final = orjson.Fragment(b"\0")  # JSON never has one: in strings it is written \u0000
_BETWEEN: Final = b",\0,"


def dumps_each(values: Sequence[object]) -> list[bytes]:
    """What `orjson.dumps` makes of each of these.

    Raises:
        TypeError: one of them holds what no JSON can.
    """
    if not values:
        return []
    spaced = [each for value in values for each in (value, _GAP)]
    return orjson.dumps(spaced)[1:-3].split(_BETWEEN)
