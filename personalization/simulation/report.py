"""What a simulation found, as a page with a chart."""

from personalization.charts import figure, line_chart, page, table
from personalization.simulation.record import Record

LAST = 1_000
"""Decisions over which the result is told."""


def simulation_page(record: Record, title: str, change_at: int | None = None) -> str:
    """The curve of rewards, and the result over the last 1,000 decisions, as a self-contained page.

    Raises:
        ValueError: there are fewer decisions than one window of the curve.
    """
    curve = record.curve()
    if not curve:
        raise ValueError(f"{len(record)} decisions are too few for a curve")
    chart = line_chart(
        {
            "served": [(made, means.served) for made, means in curve],
            "random": [(made, means.chance) for made, means in curve],
            "best fixed action": [(made, means.best_fixed) for made, means in curve],
            "oracle": [(made, means.oracle) for made, means in curve],
        },
        "decisions",
        "reward to expect of a decision",
        {} if change_at is None else {"all preferences change": float(change_at)},
    )
    means = record.means(max(0, len(record) - LAST), len(record))
    rows = [
        ("served", f"{means.served:.3f}", f"{means.share:.2f}"),
        ("random", f"{means.chance:.3f}", "0.00"),
        ("best fixed action", f"{means.best_fixed:.3f}", f"{means.fixed_share:.2f}"),
        ("oracle", f"{means.oracle:.3f}", "1.00"),
    ]
    return page(
        title,
        [
            figure(chart, "Expected rewards in windows of 500 decisions: known preferences, so no luck of the draw."),
            table(("the last 1,000 decisions", "reward", "share of the gap"), rows),
        ],
    )
