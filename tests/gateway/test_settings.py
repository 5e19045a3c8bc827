"""Settings are checked before anything starts, and a refusal says which variable and why."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.settings import Settings


def serve(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `gateway serve` says to settings that it refuses."""
    variables = {f"GATEWAY_{name.upper()}": value for name, value in environment.items()}
    return subprocess.run(
        [sys.executable, "-m", "gateway", "serve", "--port", "0"],
        cwd=Path(__file__).parents[2],
        env={"PATH": "/usr/bin:/bin", "GATEWAY_DATA_DIR": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"port": "seventy"}, "GATEWAY_PORT"),
        ({"source": "spreadsheet"}, "GATEWAY_SOURCE"),
        ({"oscar_user": "staff"}, "GATEWAY_OSCAR_PASSWORD"),
    ],
)
def test_a_setting_out_of_range_is_named(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    refused = serve(tmp_path, **environment)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_another_shop_needs_keys(tmp_path: Path) -> None:
    refused = serve(tmp_path, source="http")
    assert refused.returncode != 0
    assert "GATEWAY_TOKEN_KEY" in refused.stdout + refused.stderr


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_CORS_ORIGINS", "https://a.example, https://b.example")
    assert Settings().cors_origins == ("https://a.example", "https://b.example")
