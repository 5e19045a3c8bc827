"""`gateway token`: make a bearer token for trying things out."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from personalization.events import Persona


def token(
    customer: Annotated[str, typer.Option(help="Customer whose token it is.")],
    role: Annotated[Persona | None, typer.Option(help="Persona of the customer.")] = None,
    region: Annotated[str | None, typer.Option(help="Region of the customer.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="A right, `preview` or `ops`; may be repeated.")] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 366, help="Hours that it is good for.")] = 12.0,
) -> None:
    """Print a token that the gateway takes with the same settings, for `Authorization: Bearer …`."""
    from gateway.errors import InvalidToken, StartRefused
    from gateway.keys import keys_of
    from gateway.settings import Settings
    from gateway.tokens import Claims, Tokens, mint

    settings = Settings()
    try:
        key = keys_of(settings).token
    except StartRefused as error:
        raise typer.BadParameter(str(error)) from error
    if key is None:
        raise typer.BadParameter("GATEWAY_TOKEN_JWKS_URL is set: tokens come from there; set GATEWAY_TOKEN_KEY as well")
    claims = Claims(customer, role, region, frozenset(scope or ()))
    minted = mint(key, settings, claims, datetime.now(UTC), timedelta(hours=hours))
    try:
        asyncio.run(Tokens(settings, key, None).claims(minted))
    except InvalidToken as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(minted)
