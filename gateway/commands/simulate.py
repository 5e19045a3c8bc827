"""`gateway simulate`: shoppers with known preferences, to see how much of them is learned."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from personalization.simulation.loop import LoopSimulation
    from personalization.simulation.record import Means, Record
    from personalization.simulation.remote import RemoteSimulation, Traffic
    from personalization.simulation.shoppers import Shopping

_LINES = 12


def simulate_shop(
    decisions: Annotated[int, typer.Option(min=1000, max=1_000_000, help="How many visits.")] = 12_000,
    seed: Annotated[int, typer.Option(help="Which preferences and shoppers; the same seed, the same ones.")] = 0,
    change: Annotated[bool, typer.Option("--change", help="All preferences change at half time.")] = False,
    out: Annotated[Path, typer.Option(help="Page to write, with the curve.", dir_okay=False)] = Path("simulation.html"),
    url: Annotated[
        str | None, typer.Option(help="Visit the gateway at this address, in real time, rather than a loop in here.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=200, help="With --url: visits a second.")] = 20.0,
    speed: Annotated[
        float,
        typer.Option(min=1, max=100, help="With --url: so many times as fast as people; see GATEWAY_JOIN_WINDOW_S."),
    ] = 1.0,
) -> None:
    """Let shoppers with known preferences visit; show how much of them is learned, and write a page with the curve.

    Without --url the whole loop runs in this process, as fast as it goes. With it, the gateway must take tokens that
    are made with these settings (as `gateway token` makes them), and it must learn, as `gateway serve` does by itself.
    """
    from gateway.logs import configure_logging
    from personalization.simulation.loop import Plan, simulate
    from personalization.simulation.remote import Traffic
    from personalization.simulation.report import LAST, simulation_page

    configure_logging("WARNING", stream=sys.stderr)
    change_at = decisions // 2 if change else None
    console = Console()
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def tell(made: int, simulation: "LoopSimulation | RemoteSimulation") -> None:
            live.update(_table(simulation.record, f"{made:,} decisions, {simulation.policy} decides"), refresh=True)

        if url is None:
            record = asyncio.run(simulate(Plan(seed, decisions, change_at), tell))
        else:
            record = asyncio.run(_visit(url, Traffic(seed, decisions, change_at, rate, speed), tell))
    console.print(_table(record, f"{len(record):,} decisions of seed {seed}"))
    means = record.means(max(0, len(record) - LAST), len(record))
    console.print(
        f"The last {LAST:,} decisions closed {means.share:.2f} of the gap between random ({means.chance:.3f}) and "
        f"oracle ({means.oracle:.3f}); the best fixed action closes {means.fixed_share:.2f}."
    )
    out.write_text(simulation_page(record, f"Simulation of seed {seed}", change_at))
    console.print(f"The curve is in {out}")


async def _visit(url: str, traffic: "Traffic", tell: Callable[[int, "RemoteSimulation"], None]) -> "Record":
    """Each shopper has a token of its own, with its persona and region, which is what the gateway goes by."""
    from gateway.errors import StartRefused
    from gateway.keys import keys_of
    from gateway.settings import Settings
    from gateway.tokens import Claims, mint
    from personalization.events import Persona
    from personalization.simulation.remote import RemoteSimulation
    from personalization.simulation.storefront import HttpStorefront

    settings, now = Settings(), datetime.now(UTC)
    key = keys_of(settings).token
    if key is None:
        raise StartRefused("GATEWAY_TOKEN_JWKS_URL is set: set GATEWAY_TOKEN_KEY as well, to make the shoppers' tokens")

    @cache
    def token(subject: str, persona: str, region: str | None) -> str:
        claims = Claims(subject, Persona(persona), region, frozenset())
        return mint(key, settings, claims, now, timedelta(hours=24))

    def token_of(shopping: "Shopping") -> str:
        context = shopping.context
        return token(shopping.subject.removeprefix("customer:"), context.persona or "", context.region)

    simulation = RemoteSimulation(traffic, HttpStorefront(url, token_of))
    record = await simulation.run(tell)
    if simulation.failures:
        typer.echo(f"{simulation.failures} requests failed", err=True)
    return record


def _table(record: "Record", title: str) -> Table:
    table = Table("decisions", "served", "random", "best fixed", "oracle", "share of the gap", title=title, box=None)
    for made, means in record.curve()[-_LINES:]:
        table.add_row(f"{made:,}", *_cells(means))
    return table


def _cells(means: "Means") -> tuple[str, ...]:
    rewards = (means.served, means.chance, means.best_fixed, means.oracle)
    return (*(f"{each:.3f}" for each in rewards), f"{means.share:.2f}")
