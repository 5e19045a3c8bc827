"""Keys of an identity provider are fetched rarely, replaced in time and kept through its failures."""

import asyncio

import pytest

from gateway.errors import InvalidToken, StartRefused, TokenKeysUnavailable
from gateway.jwks import LIFETIME_S, PAUSE_S, RETRY_S, JwksKeys
from personalization.clock import ManualClock
from tests.viewer.parts import NOW, bearing, jwks, provider, rsa_key, token, viewers


async def test_keys_are_fetched_once_for_many_tokens_and_again_after_their_lifetime() -> None:
    clock = ManualClock(NOW)
    with provider(jwks(a=rsa_key())) as server:
        keys = JwksKeys(server.url, clock)
        assert await keys.warm() == 1
        await asyncio.gather(*(keys.key("a") for _ in range(20)))
        assert server.asked == 1
        clock.ticks = LIFETIME_S + 1
        await asyncio.gather(*(keys.key("a") for _ in range(20)))
        assert server.asked == 2


async def test_a_new_key_is_found_and_made_up_ones_cause_at_most_one_fetch_a_minute() -> None:
    clock = ManualClock(NOW)
    with provider(jwks(a=rsa_key())) as server:
        keys = JwksKeys(server.url, clock)
        await keys.key("a")
        server.content = jwks(a=rsa_key(), b=rsa_key())
        for kid in ("b", "x", "y", None, 7, ["a"]):
            with pytest.raises(InvalidToken):
                await keys.key(kid)
        assert server.asked == 1
        clock.ticks = PAUSE_S + 1
        assert (await keys.key("b")).key_id == "b"
        for _ in range(5):
            with pytest.raises(InvalidToken):
                await keys.key("x")
        assert server.asked == 2


@pytest.mark.parametrize("failure", [None, b"not json", [], {"keys": []}, {"keys": [{"kty": "oct", "k": "AAAA"}]}])
async def test_the_last_good_keys_outlive_a_failing_provider(failure: object) -> None:
    clock = ManualClock(NOW)
    with provider(jwks(a=rsa_key())) as server:
        keys = JwksKeys(server.url, clock)
        await keys.key("a")
        server.content = failure
        clock.ticks = 10 * LIFETIME_S
        for _ in range(3):
            assert (await keys.key("a")).key_id == "a"
        assert server.asked == 2
        clock.ticks += RETRY_S + 1
        server.content = jwks(c=rsa_key())
        assert (await keys.key("c")).key_id == "c"


async def test_without_any_keys_tokens_cannot_be_checked_and_that_is_not_the_clients_fault() -> None:
    clock = ManualClock(NOW)
    with provider(None) as server:
        remote = viewers(clock, token_jwks_url=server.url)
        await remote.warm()
        key = rsa_key()
        for _ in range(3):
            with pytest.raises(TokenKeysUnavailable) as caught:
                await remote.viewer(bearing(token(key, "RS256", "a")))
        assert (caught.value.status, server.asked) == (503, 1)
        server.content = jwks(a=key)
        clock.ticks = RETRY_S + 1
        assert (await remote.viewer(bearing(token(key, "RS256", "a")))).customer_id == "7"


async def test_a_provider_that_does_not_answer_is_given_up_in_time() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    keys = JwksKeys(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", ManualClock(NOW), timeout_s=0.05)
    with pytest.raises(TokenKeysUnavailable):
        await keys.key("a")
    gone.set()
    server.close()
    await server.wait_closed()


def test_an_address_that_is_none_stops_the_start() -> None:
    with pytest.raises(StartRefused, match="GATEWAY_TOKEN_JWKS_URL"):
        viewers(token_jwks_url="file:///etc/passwd")
