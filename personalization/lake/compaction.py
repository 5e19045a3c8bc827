"""Compaction: small raw files become few, with the same rows, and may be interrupted anywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from personalization.files import TEMPORARY
from personalization.lake.errors import LakeDamaged
from personalization.lake.layout import Lake, RawFile, live
from personalization.lake.locks import locked
from personalization.lake.parquet import read_table, write_table


@dataclass(frozen=True, slots=True)
class CompactionLimits:
    """Files are merged up to `most_rows` rows each. The parts stay for `grace` beside the merged file."""

    most_rows: int = 500_000
    grace: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Compaction:
    """What was done: merged files written, rows in them, parts removed that merged files hold."""

    written: int
    rows: int
    removed: int


def compact(lake: Lake, now: datetime, limits: CompactionLimits | None = None) -> Compaction:
    """Merge the adjacent files of each place and day. Blocks.

    A merged file is written whole and read back before it counts; then its parts are passed over by every reader, for
    its name holds theirs. They are removed once the merged file is older than the grace, for the sake of readers
    that listed files before. So whenever this is killed, each row is read once, and the next run goes on.

    Raises:
        LakeBusy: another process compacts this lake.
        LakeDamaged: a file is not what its name says; nothing was removed for it.
        OSError: the disk.
    """
    bounds = limits or CompactionLimits()
    written = rows = removed = 0
    with locked(lake.root / ".compaction", wait=False):
        for topic in lake.topics():
            for parts in _mergeable(lake.files(topic), bounds.most_rows):
                rows += _merge(lake, parts)
                written += 1
            removed += _remove_held(lake, topic, now - bounds.grace)
            _remove_temporary(lake, topic, now - timedelta(hours=1))
    return Compaction(written, rows, removed)


def read_raw(lake: Lake, file: RawFile) -> pa.Table:
    """A raw file's rows, all columns.

    Raises:
        LakeDamaged: it cannot be read, or holds other events than its name says.
    """
    path = lake.path(file)
    table = read_table(path)
    places = zip(table["hub_partition"].to_pylist(), table["hub_offset"].to_pylist(), strict=True)
    if list(places) != [(file.place.partition, each) for each in range(file.first, file.last + 1)]:
        raise LakeDamaged(f"{path.parent.name}/{path.name} holds other events than its name says")
    return table


def _mergeable(files: Sequence[RawFile], most_rows: int) -> Iterator[Sequence[RawFile]]:
    """Runs of two or more adjacent files that fit together."""
    run: list[RawFile] = []
    for file in files:
        if run and not (_adjacent(run[-1], file) and file.last - run[0].first < most_rows):
            if len(run) > 1:
                yield run
            run = []
        run.append(file)
    if len(run) > 1:
        yield run


def _adjacent(left: RawFile, right: RawFile) -> bool:
    return (left.place, left.day, left.last + 1) == (right.place, right.day, right.first)


def _merge(lake: Lake, parts: Sequence[RawFile]) -> int:
    merged = RawFile(parts[0].place, parts[0].first, parts[-1].last, parts[0].day)
    tables = [read_raw(lake, each) for each in parts]
    write_table(lake.path(merged), pa.concat_tables(tables, promote_options="default"))  # older ones lack columns
    return int(read_raw(lake, merged).num_rows)


def _remove_held(lake: Lake, topic: str, before: datetime) -> int:
    """Remove the files that a readable one holds which is old enough; how many."""
    files = [RawFile.parse(each) for each in lake.paths(topic)]
    kept = live(files)
    removed = 0
    for file in set(files) - set(kept):
        holder = next(each for each in kept if each.holds(file))
        if lake.path(holder).stat().st_mtime <= before.timestamp():
            lake.path(file).unlink(missing_ok=True)
            removed += 1
    return removed


def _remove_temporary(lake: Lake, topic: str, before: datetime) -> None:
    """Remove what writers left behind that were killed."""
    for each in (path for day in lake.days(topic) for path in day.iterdir()):
        if each.name.endswith(TEMPORARY) and each.stat().st_mtime <= before.timestamp():
            each.unlink(missing_ok=True)
