"""How much of known preferences the loop learns, over six seeds: `python -m bench.learning`.

Shares of the gap between random and the oracle, in rewards to expect, with the floor on: the last 1,000 of 12,000
decisions; the decision by which the best fixed action is left behind for good (in windows of 250); and the last 1,000
of another 12,000 after all preferences have changed.
"""

import asyncio
import logging

import structlog

from personalization.simulation.loop import Plan, simulate
from personalization.simulation.record import Record

SEEDS = range(6)
HALF = 12_000
LAST = 1_000
WINDOW = 250


def past_fixed(record: Record) -> int:
    """Decisions made until the policy earned more than the best fixed action, in that window and all later ones."""
    behind = [made for made, means in record.curve(WINDOW) if made <= HALF and means.share <= means.fixed_share]
    return max(behind, default=0) + WINDOW


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(f"{'seed':>4} {'share at 12,000':>16} {'best fixed':>11} {'past it by':>11} {'12,000 after a change':>22}")
    for seed in SEEDS:
        record = await simulate(Plan(seed, 2 * HALF, change_at=HALF))
        first, second = record.means(HALF - LAST, HALF), record.means(2 * HALF - LAST, 2 * HALF)
        cells = f"{first.share:>16.2f} {first.fixed_share:>11.2f} {past_fixed(record):>11,} {second.share:>22.2f}"
        print(f"{seed:>4} {cells}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
