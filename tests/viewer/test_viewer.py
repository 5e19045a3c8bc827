"""What a request tells of its viewer besides who it is: region and device; and what is said of development keys."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.errors import InvalidToken
from gateway.keys import keys_of
from gateway.viewer import Viewers
from personalization.clock import ManualClock
from personalization.events import Device
from tests.viewer.parts import NOW, bearing, connection, development, settings, token, viewers

ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"
ANDROID_TABLET = "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"
IPAD = "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"


@pytest.mark.parametrize(
    ("headers", "device"),
    [
        ({"User-Agent": ANDROID}, Device.PHONE),
        ({"User-Agent": ANDROID_TABLET}, Device.TABLET),
        ({"User-Agent": ANDROID_TABLET, "Sec-CH-UA-Mobile": "?0"}, Device.TABLET),
        ({"User-Agent": IPAD}, Device.TABLET),
        ({"User-Agent": IPHONE}, Device.PHONE),
        ({"User-Agent": LINUX}, Device.DESKTOP),
        ({"User-Agent": LINUX, "Sec-CH-UA-Mobile": "?1"}, Device.PHONE),
        ({"Sec-CH-UA-Mobile": "?0"}, Device.DESKTOP),
        ({"User-Agent": "curl/8.5.0"}, None),
        ({"User-Agent": "x" * 100_000 + "iPhone"}, None),
        ({"User-Agent": "", "Sec-CH-UA-Mobile": "1"}, None),
        ({}, None),
    ],
)
async def test_the_device_is_what_the_browser_says(headers: dict[str, str], device: Device | None) -> None:
    assert (await viewers().viewer(connection(headers))).device is device


@pytest.mark.parametrize(
    ("headers", "region"),
    [
        ({"X-Region": "north-1"}, "north-1"),
        ({}, "south"),
        ({"X-Region": ""}, "south"),
        ({"X-Region": "a" * 17}, "south"),
        ({"X-Region": "a b"}, "south"),
        ({"X-Region": "é"}, "south"),
        ({"X-Region": "<script>"}, "south"),
    ],
)
async def test_a_region_comes_from_the_proxy_when_it_names_a_good_one(headers: dict[str, str], region: str) -> None:
    placed = viewers(region_header="X-Region", default_region="south")
    assert (await placed.viewer(connection(headers))).region == region


async def test_the_tokens_region_counts_more_than_the_proxys_and_no_header_counts_unless_set() -> None:
    placed = viewers(region_header="X-Region")
    header = ("X-Region", "north")
    assert (
        await placed.viewer(connection({"Authorization": f"Bearer {token(region='home')}"}, header))
    ).region == "home"
    assert (await placed.viewer(connection({"Authorization": f"Bearer {token()}"}, header))).region == "north"
    assert (await viewers().viewer(connection({}, header))).region is None


async def test_viewers_are_counted_by_kind() -> None:
    registry = CollectorRegistry()
    chosen = settings()
    counted = Viewers(chosen, keys_of(chosen), ManualClock(NOW), registry)
    await counted.viewer(bearing(token()))
    await counted.viewer(connection())
    with pytest.raises(InvalidToken):
        await counted.viewer(bearing(token("x" * 40)))
    for kind in ("customer", "visitor", "refused"):
        assert registry.get_sample_value("gateway_viewers_total", {"kind": kind}) == 1


def test_development_keys_are_said_loudly_once(tmp_path: Path) -> None:
    chosen = development(tmp_path)
    with capture_logs() as logs:
        Viewers(chosen, keys_of(chosen), ManualClock(NOW), CollectorRegistry())
        viewers()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("development_keys_in_use", "warning")]
    assert "GATEWAY_TOKEN_KEY" in logs[0]["advice"]
