"""Which component was given to whom and when, from the lake's raw files and from the hub, each exposure once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from personalization.codec import decode_exposure
from personalization.hub.present import present
from personalization.hub.topics import EXPOSURES, Hub
from personalization.lake.compaction import read_raw
from personalization.lake.layout import Lake, live

_CUSTOMER = "customer:"


@dataclass(frozen=True, slots=True)
class Given:
    """An exposure, as far as features need it."""

    id: str
    subject: str
    flag: str
    at: datetime


def exposures_in_lake(lake: Lake) -> Iterator[Given]:
    """Those of the raw zone; what could not be read when it was written is left out. Blocks.

    Raises:
        LakeDamaged: a file cannot be read.
    """
    for file in live(lake.files(EXPOSURES)):
        columns = read_raw(lake, file).select(["id", "subject", "flag", "exposed_at"]).to_pylist()
        yield from (_given(each) for each in columns if each["subject"] and each["flag"] and each["exposed_at"])


async def exposures_in_hub(hub: Hub) -> list[Given]:
    """Those that are in the hub now.

    Raises:
        HubUnavailable: it cannot be read.
    """
    return [Given(each.id, each.subject, each.flag, each.at) async for each in present(hub, EXPOSURES, decode_exposure)]


def exposure_rows(given: Iterable[Given]) -> list[tuple[str, str, datetime]]:
    """Rows of the table of exposures: those of customers, by their id, each once, by time."""
    once = {each.id: each for each in given if each.subject.startswith(_CUSTOMER)}
    ordered = sorted(once.values(), key=lambda each: (each.at, each.id))
    return [
        (each.subject.removeprefix(_CUSTOMER), each.flag, each.at.astimezone(UTC).replace(tzinfo=None))
        for each in ordered
    ]


def _given(row: dict[str, Any]) -> Given:
    return Given(row["id"], row["subject"], row["flag"], row["exposed_at"])
