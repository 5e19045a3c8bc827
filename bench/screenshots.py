"""Pictures of the shop for the documentation, taken anew: `python -m bench.screenshots`, or `make pictures`.

Each is a page as its persona sees it on a new gateway with the embedded shop, in 224 colours.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser

from resolvers.sources.embedded_build import prepare_store
from tests.browser.chromium import Shop, browser, visiting
from tests.gateway.server import ROOT, gateway_process

FOLDER = ROOT / "docs" / "pictures"
COLOURS = 224
LARGEST_BYTES = 150_000
TRIES = 12
SETTLED_MS = 500
SHAMPOO, SOAP = "1128271", "7443348"


@dataclass(frozen=True, slots=True)
class Picture:
    """A page to take a picture of: as whom, how wide, and a component version that has to be on it."""

    name: str
    persona: str = "VISITOR"
    path: str = "/"
    phone: bool = False
    with_version: str | None = None
    behind: bool = False
    filled: bool = False


PICTURES = (
    *(
        Picture(f"home-{name}-{'phone' if phone else 'desktop'}", persona, phone=phone, with_version=version)
        for name, persona, version in (
            ("visitor", "VISITOR", "hero.v1"),
            ("customer", "DIRECT_CUSTOMER", "hero.v2"),
            ("consultant", "CONSULTANT", None),
            ("shop-owner", "SHOP_OWNER", None),
            ("builder", "BUILDER", None),
        )
        for phone in (False, True)
    ),
    Picture("product", "DIRECT_CUSTOMER", f"/product/{SHAMPOO}"),
    Picture("product-phone", "DIRECT_CUSTOMER", f"/product/{SHAMPOO}", phone=True),
    Picture("category", "CONSULTANT", "/category/drug-gm.oral-hygiene-products"),
    Picture("basket", "DIRECT_CUSTOMER", "/basket", filled=True),
    Picture("reorder", "CONSULTANT", "/reorder"),
    Picture("bulk-pad", "SHOP_OWNER", "/bulk"),
    Picture("team", "BUILDER", "/team"),
    Picture("behind-the-page", "DIRECT_CUSTOMER", behind=True),
)


def take(running: Browser, url: str, picture: Picture) -> bytes:
    """The picture as a PNG. Who is given another version than wanted comes again as somebody else."""
    for _ in range(TRIES):
        with visiting(running, url, phone=picture.phone) as shop, _shown(shop, picture):
            if picture.with_version is None or picture.with_version in shop.pieces():
                return in_few_colours(shop.page.screenshot())
    raise RuntimeError(f"{picture.name}: nobody of {TRIES} was given {picture.with_version}")


@contextmanager
def _shown(shop: Shop, picture: Picture) -> Iterator[None]:
    shop.open()
    if picture.persona != "VISITOR":
        shop.become(picture.persona)
    for product in (SHAMPOO, SOAP) if picture.filled else ():
        shop.open(f"/product/{product}")
        shop.page.click(".buy button")
        shop.page.wait_for_selector(".said:not(:empty)")
    if picture.path != "/" or picture.filled:
        shop.open(picture.path)
    if picture.behind:
        shop.page.click(".bar-toggle")
        shop.page.wait_for_selector(".bar-behind tr.is-shelf")
    else:
        shop.page.evaluate("document.getElementById('bar').remove()")
    shop.page.wait_for_selector("#announcement:not(:empty)")
    shop.page.wait_for_timeout(SETTLED_MS)
    yield


def in_few_colours(png: bytes) -> bytes:
    """The same picture, much smaller."""
    written = BytesIO()
    Image.open(BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        written, "PNG", optimize=True
    )
    return written.getvalue()


def main() -> None:
    """Replace the pictures in docs/pictures."""
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as data:
        prepare_store(Path(data))
        with gateway_process(Path(data)) as url, browser() as running:
            for picture in PICTURES:
                content = take(running, url, picture)
                if len(content) > LARGEST_BYTES:
                    raise RuntimeError(f"{picture.name} has {len(content)} bytes, over {LARGEST_BYTES}")
                (FOLDER / f"{picture.name}.png").write_bytes(content)
                print(f"{len(content):>7}  {picture.name}.png")


if __name__ == "__main__":
    main()
