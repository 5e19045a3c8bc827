"""`gateway token` makes tokens that the gateway takes, also after a restart."""

import asyncio
from pathlib import Path

import pytest
import typer
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from gateway.commands.token import token
from gateway.keys import keys_of
from gateway.settings import Settings
from gateway.viewer import Viewers
from personalization.clock import ManualClock
from personalization.events import Persona
from tests.viewer.parts import NOW, bearing


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(token)
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_folder")
class TestToken:
    """In a folder of its own."""

    def test_a_token_signs_its_customer_in(self) -> None:
        result = run("--customer", "7", "--role", "BUILDER", "--region", "R1", "--scope", "preview", "--scope", "ops")
        assert result.exit_code == 0, result.output
        settings = Settings()
        gateway = Viewers(settings, keys_of(settings), ManualClock(NOW), CollectorRegistry())
        viewer = asyncio.run(gateway.viewer(bearing(result.output.strip())))
        assert (viewer.customer_id, viewer.persona, viewer.region) == ("7", Persona.BUILDER, "R1")
        assert viewer.scopes == {"preview", "ops"}

    @pytest.mark.parametrize(
        ("arguments", "environment", "reason"),
        [
            ([], {}, "--customer"),
            (["--customer", "7", "--role", "KING"], {}, "--role"),
            (["--customer", "7", "--region", "a b"], {}, "region"),
            (["--customer", "a b"], {}, "sub"),
            (["--customer", "7", "--hours", "0"], {}, "--hours"),
            (["--customer", "7"], {"GATEWAY_SOURCE": "http"}, "GATEWAY_TOKEN_KEY"),
            (["--customer", "7"], {"GATEWAY_TOKEN_JWKS_URL": "http://127.0.0.1/keys"}, "GATEWAY_TOKEN_KEY"),
        ],
    )
    def test_what_no_gateway_would_take_is_not_made(
        self, monkeypatch: pytest.MonkeyPatch, arguments: list[str], environment: dict[str, str], reason: str
    ) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        result = run(*arguments)
        assert result.exit_code == 2
        assert reason in result.output
