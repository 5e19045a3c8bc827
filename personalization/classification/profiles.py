"""The profile store: the segment of each customer in one file that is read whole, and swapped whole.

    {"format": 1, "model": "segment@7", "period": "2017-10", …}        a line of JSON
    <customer, padded with zeros><segment, 1 byte><probability, 4>     a record a customer, sorted by customer

A store of a million customers takes some 40 MB of memory, and a look into it some microseconds.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from struct import Struct
from typing import Any

import orjson

from personalization.classification.errors import ClosingRefused, ProfilesDamaged
from personalization.events import Persona

FORMAT = 1
LONGEST_CUSTOMER = 128
"""Bytes of a customer's id."""

_told = Struct("<Bf")


class Origin(StrEnum):
    """Where a segment comes from: the profile store, the model just now, or what is usual for the persona."""

    STORED = "STORED"
    SCORED = "SCORED"
    ASSUMED = "ASSUMED"


@dataclass(frozen=True, slots=True)
class Assigned:
    """A customer's or visitor's segment: key and name, how probable, by which model and from which period."""

    segment: str
    name: str
    probability: float
    model: str
    period: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Head:
    """What a store says of itself. `priors` are by persona: the most usual segment and its share among them.

    `days` is how far back the features looked, None for all there was.
    """

    model: str
    period: str
    schema_hash: str
    segments: tuple[str, ...]
    names: Mapping[str, str]
    priors: Mapping[str, tuple[str, float]]
    days: int | None = None


class Profiles:
    """A store that was read, and does not change any more. Nothing here waits."""

    def __init__(self, head: Head, body: bytes, width: int) -> None:
        self.head = head
        self._body = body
        self._width = width
        self._record = width + _told.size
        self._records = range(len(body) // self._record)

    def __len__(self) -> int:
        return len(self._records)

    def find(self, customer: str) -> Assigned | None:
        """The segment of a customer; None when it was not there at the closing."""
        key = customer.encode()
        if len(key) > self._width or key.endswith(b"\0"):
            return None
        key = key.ljust(self._width, b"\0")
        place = bisect_left(self._records, key, key=self._key)
        if place == len(self._records) or self._key(place) != key:
            return None
        index, probability = _told.unpack_from(self._body, place * self._record + self._width)
        return self.assigned(self.head.segments[index], probability, Origin.STORED)

    def sizes(self) -> Mapping[str, int]:
        """How many customers are in each segment, the largest first."""
        counted = Counter(self._body[self._width :: self._record])
        return {self.head.segments[index]: count for index, count in counted.most_common()}

    def assumed(self, persona: Persona) -> Assigned:
        """What is usual for a persona, of all customers where there are none of it."""
        segment, share = self.head.priors.get(persona.value) or self.head.priors[""]
        return self.assigned(segment, share, Origin.ASSUMED)

    def assigned(self, segment: str, probability: float, origin: Origin) -> Assigned:
        """A segment with what this store knows of it."""
        head = self.head
        name = head.names.get(segment, segment)
        return Assigned(segment, name, round(probability, 6), head.model, head.period, origin)

    def _key(self, place: int) -> bytes:
        start = place * self._record
        return self._body[start : start + self._width]


def encode_profiles(head: Head, customers: Sequence[str], best: Iterable[int], probabilities: Iterable[float]) -> bytes:
    """The file of a store; the same bytes for the same content.

    Raises:
        ClosingRefused: a customer's id is empty, too long or ends in a zero byte, or there are more than 256 segments.
    """
    keys = [customer.encode() for customer in customers]
    if any(not 0 < len(key) <= LONGEST_CUSTOMER or key.endswith(b"\0") for key in keys):
        raise ClosingRefused(f"a customer's id is empty, longer than {LONGEST_CUSTOMER} bytes, or ends in a zero byte")
    if len(head.segments) > 256:
        raise ClosingRefused(f"{len(head.segments)} segments are more than the 256 that a profile store holds")
    width = max((len(key) for key in keys), default=1)
    records = zip(keys, best, probabilities, strict=True)
    body = b"".join(sorted(key.ljust(width, b"\0") + _told.pack(index, chance) for key, index, chance in records))
    record = {
        "format": FORMAT,
        "model": head.model,
        "period": head.period,
        "schema_hash": head.schema_hash,
        "segments": head.segments,
        "names": dict(head.names),
        "priors": dict(head.priors),
        "days": head.days,
        "width": width,
        "customers": len(keys),
        "sha256": sha256(body).hexdigest(),
    }
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS) + b"\n" + body


def decode_profiles(data: bytes) -> Profiles:
    """The store of a file; its checksum was compared.

    Raises:
        ProfilesDamaged: it is cut off, changed, or of another form.
    """
    line, _, body = data.partition(b"\n")
    try:
        record = orjson.loads(line)
        if record["format"] != FORMAT:
            raise ProfilesDamaged(f"the profile store has format {record['format']!r}, this version reads {FORMAT}")
        if sha256(body).hexdigest() != record["sha256"]:
            raise ProfilesDamaged(f"the profile store has {len(body)} bytes of records that are not those written")
        return Profiles(_head(record), body, int(record["width"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ProfilesDamaged(f"the profile store cannot be read: {type(error).__name__}: {error}") from error


def _head(record: Mapping[str, Any]) -> Head:
    return Head(
        record["model"],
        record["period"],
        record["schema_hash"],
        tuple(record["segments"]),
        dict(record["names"]),
        {persona: (str(segment), float(share)) for persona, (segment, share) in record["priors"].items()},
        record["days"],
    )
