"""Verification: is the lake what its names say, and all of it there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from personalization.files import TEMPORARY
from personalization.lake.compaction import read_raw
from personalization.lake.errors import LakeDamaged, LakeEmpty
from personalization.lake.etl import Runner, digest_of, sql_of
from personalization.lake.layout import Lake, RawFile, live
from personalization.lake.parquet import count_rows, rows_in
from personalization.lake.reader import LakeReader


class Problem(StrEnum):
    """What may be wrong."""

    MISNAMED = "MISNAMED"
    DAMAGED = "DAMAGED"
    WRONG_DAY = "WRONG_DAY"
    OVERLAP = "OVERLAP"
    GAP = "GAP"
    DUPLICATE = "DUPLICATE"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what, where, and a sentence for people."""

    problem: Problem
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and what is wrong with it."""

    files: int
    rows: int
    findings: tuple[Finding, ...]


def verify(lake: Lake, runner: Runner) -> Report:
    """Read every page of every file; names, checksums, days, overlaps, gaps, repeated ids, the current run. Blocks.

    Raises:
        LakeError: the engine refuses.
        OSError: the disk.
    """
    findings: list[Finding] = []
    files = rows = 0
    for topic in lake.topics():
        sound: list[RawFile] = []
        for path in lake.paths(topic):
            found, file = _look_at(lake, path)
            findings.extend(found)
            if file is not None:
                sound.append(file)
        kept = live(sound)
        findings.extend(_neighbours(topic, kept))
        findings.extend(_repeated(lake, topic, kept, runner))
        files += len(kept)
        rows += sum(each.last - each.first + 1 for each in kept)
    findings.extend(_current_run(lake))
    return Report(files, rows, tuple(findings))


def _look_at(lake: Lake, path: Path) -> tuple[Sequence[Finding], RawFile | None]:
    """What is wrong with one file, and the file, if it can be trusted."""
    where = f"{path.parents[1].name}/{path.parent.name}/{path.name}"
    try:
        file = RawFile.parse(path)
    except LakeDamaged as error:
        return [Finding(Problem.MISNAMED, where, str(error))], None
    if lake.path(file) != path:
        return [Finding(Problem.MISNAMED, where, f"its name should be {file.name}")], None
    try:
        days = {each.date() for each in read_raw(lake, file)["appended_at"].to_pylist()}
    except LakeDamaged as error:
        return [Finding(Problem.DAMAGED, where, str(error))], None
    if days != {file.day}:
        return [Finding(Problem.WRONG_DAY, where, f"holds events of {min(days)} to {max(days)}")], file
    return [], file


def _neighbours(topic: str, files: Sequence[RawFile]) -> Iterator[Finding]:
    for left, right in pairwise(files):
        if left.place == right.place and right.first <= left.last:
            yield Finding(Problem.OVERLAP, topic, f"{left.name} and {right.name} hold the same events")
        if left.place == right.place and right.first > left.last + 1:
            missing = right.first - left.last - 1
            yield Finding(Problem.GAP, topic, f"{missing} events are missing between {left.name} and {right.name}")


def _repeated(lake: Lake, topic: str, files: Sequence[RawFile], runner: Runner) -> Iterator[Finding]:
    """Ids that come more than once: an event was appended again after the hub had forgotten the first."""
    if not files:
        return
    with TemporaryDirectory(dir=lake.root, suffix=TEMPORARY) as name:
        target = Path(name) / "repeated.parquet"
        runner.register_parquet("events", [lake.path(each) for each in files])
        runner.run_to_parquet(sql_of("repeated", {}), target)
        count = count_rows(target)
        if count:
            first = next(iter(rows_in(target)))
            message = f"{count} ids come more than once, the first is {first['id']}, {first['copies']} times"
            yield Finding(Problem.DUPLICATE, topic, message)


def _current_run(lake: Lake) -> Iterator[Finding]:
    try:
        run = LakeReader(lake.root).current()
    except LakeEmpty:
        return
    except LakeDamaged as error:
        yield Finding(Problem.DAMAGED, lake.pointer.name, str(error))
        return
    for dataset in run.datasets:
        path = run.path(dataset.name)
        if not path.exists() or digest_of(path) != dataset.sha256:
            where = f"{run.folder.name}/{path.name}"
            yield Finding(Problem.DAMAGED, where, "its bytes are not those that the ETL wrote")
