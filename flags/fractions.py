"""Percentage splits by flagd's algorithm, hash version 2.

The bucketing value in canonical CBOR is hashed with murmur3 (x86, 32 bits, seed 0); `(hash * total weight) >> 32` is
the bucket; the first entry whose summed weight is above it wins. Source: flagd's specification of `fractional`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import cbor2
import mmh3
from openfeature.contrib.tools.flagd.core.targeting.custom_ops import normalize_numbers

HASH_VERSION = 2
MAX_WEIGHT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Split:
    """What is shared out: `uppers[i]` is the sum of the weights up to and with `shares[i]`."""

    shares: tuple[Any, ...]
    uppers: tuple[int, ...]

    def pick(self, encoded: bytes) -> Any:
        """The share of this bucketing value (CBOR)."""
        return self.shares[bisect_right(self.uppers, bucket_of(encoded, self.uppers[-1]))]


def bucket_of(encoded: bytes, total: int) -> int:
    """The bucket, in `range(total)`, of a bucketing value in CBOR."""
    hashed: int = mmh3.hash(encoded, 0, False)
    return (hashed * total) >> 32


def split_of(entries: Sequence[Any]) -> Split | None:
    """The split that these `[share, weight]` entries describe; None when flagd would refuse them and give no answer."""
    weights = [_weight(entry) for entry in entries]
    known = [weight for weight in weights if weight is not None]
    if len(known) < len(weights) or not 0 < sum(known) <= MAX_WEIGHT:
        return None
    return Split(tuple(entry[0] for entry in entries), tuple(accumulate(known)))


def _weight(entry: Any) -> int | None:
    """The weight of an entry: 1 when left out, 0 when negative, None when it is no entry."""
    if not isinstance(entry, list | tuple) or not 1 <= len(entry) <= 2:
        return None
    if len(entry) == 1:
        return 1
    weight = entry[1]
    return max(0, weight) if isinstance(weight, int) and not isinstance(weight, bool) else None


def encode_text(text: str) -> bytes | None:
    """A string in canonical CBOR; None when it has no UTF-8 form (a lone surrogate)."""
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return None
    size = len(raw)
    if size < 24:
        return bytes((0x60 + size,)) + raw
    if size < 256:
        return bytes((0x78, size)) + raw
    if size < 65536:
        return b"\x79" + size.to_bytes(2) + raw
    return b"\x7a" + size.to_bytes(4) + raw


def encode(value: Any) -> bytes | None:
    """Any bucketing value in canonical CBOR; None when it has none."""
    if type(value) is str:
        return encode_text(value)
    try:
        encoded: bytes = cbor2.dumps(normalize_numbers(value), canonical=True)
    except Exception:  # whatever an attribute's type does to the encoder, flagd gives no answer then
        return None
    return encoded


def encode_pair(flag_key: str, targeting_key: str) -> bytes | None:
    """The bucketing value of flagd's shorthand, `[flag key, targeting key]`, in canonical CBOR."""
    key, subject = encode_text(flag_key), encode_text(targeting_key)
    return None if key is None or subject is None else b"\x82" + key + subject
