"""Keys are set, or for development made once; never constant, never guessed."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import StartRefused
from gateway.keys import development_key, keys_of
from tests.viewer.parts import COOKIE_KEY, TOKEN_KEY, development, settings


def test_keys_that_are_set_are_used() -> None:
    keys = keys_of(settings())
    assert (keys.token, keys.cookie, keys.development) == (TOKEN_KEY.encode(), COOKIE_KEY.encode(), None)
    assert TOKEN_KEY not in repr(keys)


def test_development_keys_outlive_a_restart_and_differ_from_place_to_place(tmp_path: Path) -> None:
    first = keys_of(development(tmp_path / "one"))
    assert keys_of(development(tmp_path / "one")) == first
    assert keys_of(development(tmp_path / "two")).token != first.token
    assert first.token != first.cookie
    assert first.development == tmp_path / "one" / "dev.key"
    assert stat.S_IMODE(first.development.stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["dev.key"]


def test_only_the_missing_key_is_a_development_key(tmp_path: Path) -> None:
    keys = keys_of(settings(cookie_key=None, data_dir=tmp_path))
    assert (keys.token, keys.development) == (TOKEN_KEY.encode(), tmp_path / "dev.key")
    assert keys_of(settings(token_key=None, token_jwks_url="http://127.0.0.1/keys", data_dir=tmp_path)).token is None


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(development_key, [tmp_path / "data" / "dev.key"] * 16))
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"source": "http", "token_key": None}, "GATEWAY_TOKEN_KEY"),
        ({"source": "oscar", "token_key": None}, "GATEWAY_TOKEN_JWKS_URL"),
        ({"source": "http", "cookie_key": None}, "GATEWAY_COOKIE_KEY"),
        ({"token_key": "short"}, "GATEWAY_TOKEN_KEY has 5 bytes"),
        ({"cookie_key": ""}, "GATEWAY_COOKIE_KEY has 0 bytes"),
    ],
)
def test_without_a_key_the_gateway_does_not_start_and_says_how_to_make_one(
    tmp_path: Path, members: dict[str, object], name: str
) -> None:
    with pytest.raises(StartRefused, match=name) as caught:
        keys_of(settings(data_dir=tmp_path, **members))
    assert "secrets.token_urlsafe" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_damaged_development_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dev.key").write_text("")
    with pytest.raises(StartRefused, match=r"dev\.key has 0 bytes"):
        keys_of(development(tmp_path))
