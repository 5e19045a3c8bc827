"""The command line: `gateway --help` says what it can do."""

import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from gateway.commands import closing, components, data, decisions, documents, flags, lake, learn, models, segments
from gateway.commands.console import console
from gateway.commands.join import join
from gateway.commands.preview import preview
from gateway.commands.schema import schema
from gateway.commands.settings import settings
from gateway.commands.simulate import simulate_shop
from gateway.commands.token import token
from gateway.commands.upstream import upstream
from gateway.settings import Settings
from personalization.errors import PersonaError

app = typer.Typer(
    name="gateway",
    help="A GraphQL gateway for e-commerce: plain and personalized fields in one schema.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; GATEWAY_HOST unless given.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; GATEWAY_PORT unless given.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Processes; GATEWAY_WORKERS unless given.")] = None,
) -> None:
    """Serve the gateway until Ctrl+C or SIGTERM."""
    from gateway.server import serve as run

    given = {"host": host, "port": port, "workers": workers}
    settings = Settings().model_copy(update={name: value for name, value in given.items() if value is not None})
    run(settings, beside="gateway.loop" if settings.learning else None)


app.command()(console)
app.command()(preview)
app.command()(join)
app.command()(schema)
app.command()(settings)
app.command(name="simulate")(simulate_shop)
app.command()(token)
app.command()(upstream)
app.add_typer(data.app, name="data")
app.add_typer(decisions.app, name="decisions")
app.add_typer(flags.app, name="flags")
app.add_typer(components.app, name="components")
app.add_typer(models.app, name="models")
app.add_typer(lake.app, name="lake")
app.add_typer(learn.app, name="learn")
app.add_typer(segments.app, name="segments")
app.add_typer(closing.app, name="closing")

documents_app = typer.Typer(help="The manifest of trusted documents.", no_args_is_help=True)
documents_app.command()(documents.add)
documents_app.command()(documents.check)
documents_app.command()(documents.pages)
app.add_typer(documents_app, name="documents")


def main() -> None:
    """Run the command line; errors of ours are told in a sentence, not in a traceback."""
    try:
        app()
    except PersonaError as error:
        typer.echo(f"gateway: {error}", err=True)
        sys.exit(1)
    except ValidationError as error:
        for finding in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in finding["loc"]).upper()
            typer.echo(f"gateway: {f'GATEWAY_{name}: ' if name else ''}{finding['msg']}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
