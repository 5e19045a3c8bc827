"""What goes through the socket between a journal and the process that writes for it.

There: a line with the topic and the lengths of the parcels, then the parcels. Back: an `Answer` to each, a line of
JSON, and one before the first that says whether all is ready.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO


class Verdict(StrEnum):
    """What became of a write."""

    WRITTEN = "WRITTEN"
    UNAVAILABLE = "UNAVAILABLE"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a write, and why."""

    verdict: Verdict
    why: str = ""


def frame_of(topic: str, parcels: Sequence[bytes]) -> bytes:
    """Parcels for a topic, whose name has no space."""
    head = " ".join([topic, *(str(len(each)) for each in parcels)])
    return b"".join([head.encode(), b"\n", *parcels])


def frames(stream: IO[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """The topic and the parcels of each frame, until the stream ends; one that is cut off is not given."""
    while (head := stream.readline()).endswith(b"\n"):
        topic, *texts = head.decode().split()
        lengths = list(map(int, texts))
        parcels = list(map(stream.read, lengths))
        if list(map(len, parcels)) != lengths:
            return
        yield topic, parcels
