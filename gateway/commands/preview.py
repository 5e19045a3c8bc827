"""`gateway preview`: make a token that forces variants of flags for one browser."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

import typer

HOURS = typer.Option(min=0.01, max=24 * 31, help="Hours that it is good for.")


def preview(
    by: Annotated[str, typer.Option(help="Who asks for it; the answers of the preview say so.")],
    variant: Annotated[list[str], typer.Option(help="A flag and its variant, component.hero=v3; may be repeated.")],
    subject: Annotated[str | None, typer.Option(help="Only for this viewer, such as customer:7.")] = None,
    hours: Annotated[float, HOURS] = 8.0,
) -> None:
    """Print a token that forces variants for one browser, and the link that puts it there.

    The token goes into the header `Preview-Token`, or into a browser by the link. What a previewing browser sees is
    marked in `extensions.preview`, and nothing is learned from it.
    """
    from flags.definitions import read_definitions
    from flags.errors import InvalidPreview
    from flags.live import DEMO_DIRECTORY
    from flags.preview import Preview, PreviewTokens
    from flags.vocabulary import Vocabulary
    from gateway.errors import StartRefused
    from gateway.keys import derived, keys_of
    from gateway.settings import Settings

    settings = Settings()
    definitions = read_definitions(settings.flags_dir or DEMO_DIRECTORY, Vocabulary())
    known = {flag.key: flag.variants for flag in definitions.flags}
    variants = dict(_pair(text) for text in variant)
    for key, name in variants.items():
        if name not in known.get(key, {}):
            there = f"it has {', '.join(known[key])}" if key in known else "no definition names that flag"
            raise typer.BadParameter(f"--variant {key}={name}: {there}")
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
    try:
        tokens = PreviewTokens(derived(keys_of(settings).cookie, "preview"))
        token = tokens.mint(Preview(by, variants, until, subject))
    except (StartRefused, InvalidPreview) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(token)
    typer.echo(f"/preview?{urlencode({'token': token})}", err=True)


def _pair(text: str) -> tuple[str, str]:
    key, separator, name = text.partition("=")
    if not (key and separator and name):
        raise typer.BadParameter(f"--variant {text!r}: write it as component.hero=v3")
    return key, name
