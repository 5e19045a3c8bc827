"""Where the lake keeps what, and what the names of its files mean.

raw/<topic>/day=<day>/<source>-<partition>-<first>-<last>.parquet
processed/run=<id>/<dataset>.parquet, run.json
processed/CURRENT
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

from personalization.files import TEMPORARY
from personalization.lake.errors import LakeDamaged

PARQUET = ".parquet"

_NAME = re.compile(r"([0-9a-z]+)-(\d+)-(\d+)-(\d+)\.parquet")
_DAY = "day="
_RECENT_DAYS = 2


@dataclass(frozen=True, slots=True, order=True)
class RawPlace:
    """Where events come from: a topic's partition in one log (`source`), which numbers them."""

    topic: str
    source: str
    partition: int


@dataclass(frozen=True, slots=True, order=True)
class RawFile:
    """A raw file: the events from offset `first` to `last` of a place that were taken in on a day (UTC).

    There is only one set of events with this name, so whoever writes it again writes the same.
    """

    place: RawPlace
    first: int
    last: int
    day: date

    @classmethod
    def parse(cls, path: Path) -> "RawFile":
        """The file at this path, going by its name.

        Raises:
            LakeDamaged: the name is not of this form.
        """
        found = _NAME.fullmatch(path.name)
        try:
            day = date.fromisoformat(path.parent.name.removeprefix(_DAY))
        except ValueError:
            day = None
        if found is None or day is None or int(found[3]) > int(found[4]):
            raise LakeDamaged(f"{path.parent.name}/{path.name} is no name of a raw file")
        place = RawPlace(path.parents[1].name, found[1], int(found[2]))
        return cls(place, int(found[3]), int(found[4]), day)

    @property
    def name(self) -> str:
        """The file's name; sorted as texts, files of a place are in the order of their offsets."""
        return f"{self.place.source}-{self.place.partition:04}-{self.first:015}-{self.last:015}{PARQUET}"

    def holds(self, other: "RawFile") -> bool:
        """Whether all events of another file are in this one."""
        return (
            self != other
            and (self.place, self.day) == (other.place, other.day)
            and self.first <= other.first
            and other.last <= self.last
        )


class Lake:
    """The folders of a lake. Nothing is made before something is written; all of it blocks, and raises `OSError`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.raw = root / "raw"
        self.processed = root / "processed"
        self.pointer = self.processed / "CURRENT"

    def path(self, file: RawFile) -> Path:
        """Where a raw file stands."""
        return self.raw / file.place.topic / f"{_DAY}{file.day.isoformat()}" / file.name

    def run_folder(self, run: str) -> Path:
        """Where a run of the ETL puts what it makes."""
        return self.processed / f"run={run}"

    def topics(self) -> Sequence[str]:
        """Topics of which there are raw files."""
        return [each.name for each in _folders(self.raw)]

    def days(self, topic: str) -> Sequence[Path]:
        """The folders of a topic, the oldest day first."""
        return [each for each in _folders(self.raw / topic) if each.name.startswith(_DAY)]

    def paths(self, topic: str, since: date | None = None) -> Iterator[Path]:
        """Everything in the folders of a topic that has the ending of a raw file, whatever its name, from a day on."""
        least = "" if since is None else f"{_DAY}{since.isoformat()}"
        for day in self.days(topic):
            if day.name >= least:
                yield from _parquets(day)

    def files(self, topic: str, since: date | None = None) -> Sequence[RawFile]:
        """The raw files of a topic, in the order of place and offset; each event is in one of them only.

        Raises:
            LakeDamaged: a file has a name of another form.
        """
        return live(RawFile.parse(each) for each in self.paths(topic, since))

    def last_offset(self, place: RawPlace) -> int:
        """The last offset of a place that is in the lake; -1 when none is."""
        newest = (day for day in reversed(self.days(place.topic)))
        lasts = ([file.last for file in map(RawFile.parse, _parquets(day)) if file.place == place] for day in newest)
        # Two days, because the clock may have been set back over midnight.
        return max((max(each) for each in islice(filter(None, lasts), _RECENT_DAYS)), default=-1)


def live(files: Iterable[RawFile]) -> Sequence[RawFile]:
    """The files without those whose events are all in another: merged ones stand beside their parts for a while."""
    kept: list[RawFile] = []
    for file in sorted(files, key=lambda each: (each.place, each.day, each.first, -each.last)):
        if not (kept and kept[-1].holds(file)):
            kept.append(file)
    return sorted(kept)


def _folders(parent: Path) -> Sequence[Path]:
    if not parent.is_dir():
        return []
    return sorted(each for each in parent.iterdir() if each.is_dir())


def _parquets(day: Path) -> Iterator[Path]:
    for each in sorted(day.iterdir()):
        if each.name.endswith(PARQUET) and not each.name.endswith(TEMPORARY):
            yield each
