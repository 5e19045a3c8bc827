"""`gateway simulate`: shoppers with known preferences, to see how much of them is learned."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from personalization.simulation.loop import LoopSimulation
    from personalization.simulation.record import Means, Record

_LINES = 12


def simulate_shop(
    decisions: Annotated[int, typer.Option(min=1000, max=1_000_000, help="How many visits.")] = 12_000,
    seed: Annotated[int, typer.Option(help="Which preferences and shoppers; the same seed, the same run.")] = 0,
    change: Annotated[bool, typer.Option("--change", help="All preferences change at half time.")] = False,
    out: Annotated[Path, typer.Option(help="Page to write, with the curve.", dir_okay=False)] = Path("simulation.html"),
) -> None:
    """Let shoppers visit the whole loop in this process, as fast as it goes; show the rewards, and write a page."""
    from gateway.logs import configure_logging
    from personalization.simulation.loop import Plan, simulate
    from personalization.simulation.report import LAST, simulation_page

    configure_logging("WARNING", stream=sys.stderr)
    plan = Plan(seed, decisions, decisions // 2 if change else None)
    console = Console()
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def tell(made: int, simulation: "LoopSimulation") -> None:
            live.update(_table(simulation.record, f"{made:,} decisions, {simulation.policy} decides"), refresh=True)

        record = asyncio.run(simulate(plan, tell))
    console.print(_table(record, f"{decisions:,} decisions of seed {seed}"))
    means = record.means(decisions - LAST, decisions)
    console.print(
        f"The last {LAST:,} decisions closed {means.share:.2f} of the gap between random ({means.chance:.3f}) and "
        f"oracle ({means.oracle:.3f}); the best fixed action closes {means.fixed_share:.2f}."
    )
    out.write_text(simulation_page(record, f"Simulation of seed {seed}", plan.change_at))
    console.print(f"The curve is in {out}")


def _table(record: "Record", title: str) -> Table:
    table = Table("decisions", "served", "random", "best fixed", "oracle", "share of the gap", title=title, box=None)
    for made, means in record.curve()[-_LINES:]:
        table.add_row(f"{made:,}", *_cells(means))
    return table


def _cells(means: "Means") -> tuple[str, ...]:
    rewards = (means.served, means.chance, means.best_fixed, means.oracle)
    return (*(f"{each:.3f}" for each in rewards), f"{means.share:.2f}")
