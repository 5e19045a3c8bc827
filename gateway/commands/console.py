"""`gateway console`: open the console of a running gateway."""

import getpass
import webbrowser
from typing import Annotated

import typer


def console(
    url: Annotated[
        str | None, typer.Option(help="Address of the gateway as browsers see it; unset, that of the settings.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who looks; it is kept with the changes. Unset, your login.")] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open it in a browser of this machine.")] = False,
) -> None:
    """Print an address that opens the console, once and within two minutes.

    It is made with the keys of the gateway, so run it where the gateway runs, with the same settings. Whoever has a
    token with the right `ops` needs no such address: the page takes the token too.
    """
    from gateway.console.opening import tickets_of
    from gateway.console.sign_in import PATH
    from gateway.errors import StartRefused
    from gateway.keys import keys_of
    from gateway.server import browsable
    from gateway.settings import Settings
    from personalization.clock import SystemClock

    settings = Settings()
    base = url or f"http://{browsable(settings.host)}:{settings.port}"
    try:
        ticket = tickets_of(settings, keys_of(settings).cookie, SystemClock()).mint(by or _login())
    except (StartRefused, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    address = f"{base.rstrip('/')}{PATH}/#{ticket}"
    typer.echo(address)
    if browser and not webbrowser.open(address):
        typer.echo("No browser could be opened here: open the address in one.", err=True)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user often has no name
        return "operator"
