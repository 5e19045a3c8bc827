"""Decisions and rewards by time, counted over the raw zone: for charts of days and weeks."""

from datetime import UTC, datetime
from string import Template
from typing import Final

from personalization.hub.topics import JOINED
from personalization.lake.duckdb_runner import DuckDbRunner
from personalization.lake.etl import literal
from personalization.lake.layout import Lake

Row = tuple[int, str, str, str, str, int, int, float]
"""Begin of a bin (seconds since 1970), persona or nothing, placement, action, group, decisions, displayed, rewards."""

_SQL: Final = Template("""
SELECT
    CAST(epoch(decided_at) AS BIGINT) // ${bin} * ${bin} AS bin,
    COALESCE(persona, '') AS persona,
    placement,
    action,
    CASE
        WHEN reason = 'HOLDBACK' THEN 'holdback'
        WHEN policy LIKE 'uniform@%' THEN 'even'
        WHEN mode = 'ONLINE' THEN 'model'
        ELSE 'default'
    END AS who,
    COUNT(*) AS decisions,
    COUNT(*) FILTER (displayed) AS displayed,
    COALESCE(SUM(reward) FILTER (displayed), 0.0) AS rewards
FROM joined
WHERE decided_at >= ${since} AND unreadable IS NULL
GROUP BY ALL
ORDER BY ALL
LIMIT ${most}
""")
_MOST_ROWS: Final = 200_000


def rewards_by_time(
    lake: Lake, since: datetime, bin_s: int, *, most_files: int, seconds: float
) -> tuple[tuple[Row, ...], datetime]:
    """The joined decisions of the raw zone in bins of `bin_s` seconds, and from when on all of them are counted.

    That is later than `since` where there are more than `most_files` raw files. Takes `seconds` at most. Blocks.

    Raises:
        LakeError: it took too long, or a file cannot be read.
        OSError: the disk.
    """
    files = sorted(lake.files(JOINED, since.date()), key=lambda file: (file.day, file.first))
    taken = files[-most_files:]
    if not taken:
        return (), since
    whole = since
    if len(taken) < len(files):  # the first day that is there may lack some of its files
        day = taken[0].day.toordinal() + 1
        whole = max(since, datetime.fromordinal(day).replace(tzinfo=UTC))
    values = {"bin": literal(bin_s), "since": literal(since), "most": literal(_MOST_ROWS)}
    with DuckDbRunner(threads=1, memory="256MB") as runner:
        runner.register_parquet("joined", [lake.path(file) for file in taken])
        rows = runner.rows(_SQL.substitute(values), seconds)
    return tuple(rows), whole
