"""Who gets in, and what a page must prove before it changes anything."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gateway.__main__ import app
from gateway.console.opening import tickets_of
from gateway.console.pages import FOLDER
from gateway.console.sign_in import Sessions, Tickets
from gateway.errors import InvalidToken
from gateway.keys import keys_of
from gateway.settings import Settings
from personalization.clock import ManualClock, SystemClock
from tests.console.conftest import Open
from tests.gateway.client import GatewayClient

VIEWS = ("me", "now", "rewards", "flags", "models", "segments", "hub")
KEY = b"k" * 32
BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)


def ticket_for(client: GatewayClient, name: str = "alice") -> str:
    return tickets_of(client.settings, keys_of(client.settings).cookie, SystemClock()).mint(name)


async def signed_in(client: GatewayClient) -> str:
    """Begin a session with a ticket; what its changes must carry. The client keeps the cookie."""
    answer = await client.http.post("/console/session", json={"ticket": ticket_for(client)})
    assert answer.status_code == 204
    csrf: str = (await client.http.get("/console/api/me")).json()["csrf"]
    return csrf


async def test_without_the_right_nothing_is_shown_but_how_to_get_it(gateway: GatewayClient) -> None:
    shell = await gateway.http.get("/console/")
    assert (shell.status_code, shell.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "gateway console" in shell.text
    for view in VIEWS:
        answer = await gateway.http.get(f"/console/api/{view}")
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED"), view
    for change in ("promote", "rollback"):
        assert (await gateway.http.post(f"/console/api/{change}", json={})).status_code == 401


async def test_a_token_opens_it_only_with_the_right(gateway: GatewayClient) -> None:
    plain = {"Authorization": f"Bearer {gateway.token('1', scope='preview')}"}
    ops = {"Authorization": f"Bearer {gateway.token('1', scope='ops')}"}
    assert (await gateway.http.get("/console/", headers=plain)).status_code == 403
    for view in VIEWS:
        refused = await gateway.http.get(f"/console/api/{view}", headers=plain)
        assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN"), view
        assert "set-cookie" not in refused.headers or "console=" not in refused.headers["set-cookie"]
    assert (await gateway.http.post("/console/session", headers=plain)).status_code == 403
    assert (await gateway.http.get("/console/", headers=ops)).status_code == 200
    assert (await gateway.http.get("/console/api/me", headers=ops)).json()["name"] == "customer:1"
    assert (await gateway.http.post("/console/session", headers=ops)).status_code == 204


async def test_a_forged_token_is_not_a_reason_to_look_at_the_cookie(gateway: GatewayClient) -> None:
    await signed_in(gateway)
    answer = await gateway.http.get("/console/api/me", headers={"Authorization": "Bearer a.b.c"})
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN")


async def test_a_ticket_becomes_a_session_once(gateway: GatewayClient) -> None:
    ticket = ticket_for(gateway, "alice")
    answer = await gateway.http.post("/console/session", json={"ticket": ticket})
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 204
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/console", "Max-Age=28800"))
    assert (await gateway.http.get("/console/")).status_code == 200
    assert (await gateway.http.get("/console/api/me")).json()["name"] == "alice"
    again = await gateway.http.post("/console/session", json={"ticket": ticket})
    assert (again.status_code, again.json()["code"]) == (401, "INVALID_TOKEN")
    assert "used" in again.json()["detail"]
    await gateway.http.delete("/console/session")
    assert (await gateway.http.get("/console/")).status_code == 401


async def test_the_cookie_is_for_https_where_cookies_are(open_gateway: Open) -> None:
    async with open_gateway(cookie_secure=True) as client:
        answer = await client.http.post("/console/session", json={"ticket": ticket_for(client)})
        assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"ticket": 7}', b'{"ticket": ""}', b"{", b"x" * 5000])
async def test_a_body_that_is_no_ticket_is_refused(gateway: GatewayClient, body: bytes) -> None:
    answer = await gateway.http.post("/console/session", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 401, 413}
    assert "set-cookie" not in answer.headers


async def test_a_ticket_lives_for_two_minutes_and_a_session_for_eight_hours(open_gateway: Open) -> None:
    clock = ManualClock(datetime.now(UTC))
    async with open_gateway(clock) as client:
        late, taken = (tickets_of(client.settings, keys_of(client.settings).cookie, clock).mint("bo") for _ in "12")
        assert (await client.http.post("/console/session", json={"ticket": taken})).status_code == 204
        clock.at += timedelta(minutes=2, seconds=2)
        refused = await client.http.post("/console/session", json={"ticket": late})
        assert (refused.status_code, refused.json()["detail"]) == (401, "the ticket has expired")
        assert (await client.http.get("/console/api/me")).status_code == 200
        clock.at += timedelta(hours=8)
        assert (await client.http.get("/console/api/me")).status_code == 401


async def test_two_workers_take_a_ticket_once_between_them(tmp_path: Path) -> None:
    clock = ManualClock(BEGIN)
    workers = [Tickets(KEY, clock, tmp_path / "used") for _ in range(8)]
    ticket = workers[0].mint("alice")
    taken = await asyncio.gather(*(asyncio.to_thread(each.redeem, ticket) for each in workers), return_exceptions=True)
    assert [each for each in taken if not isinstance(each, InvalidToken)] == ["alice"]


def test_what_is_remembered_of_used_tickets_is_dropped_once_they_are_too_old(tmp_path: Path) -> None:
    clock = ManualClock(BEGIN)
    tickets = Tickets(KEY, clock, tmp_path / "used")
    first = tickets.mint("alice")
    tickets.redeem(first)
    clock.at += timedelta(minutes=3)
    tickets.redeem(tickets.mint("bo"))
    assert len(list((tmp_path / "used").iterdir())) == 1
    with pytest.raises(InvalidToken):
        tickets.redeem(first)


@given(place=st.integers(0, 10_000), letter=st.sampled_from("abAB09-_.~"))
def test_no_letter_of_a_session_can_be_changed(place: int, letter: str) -> None:
    sessions = Sessions(KEY, ManualClock(BEGIN), secure=False)
    value = sessions.begin("alice").partition("=")[2].partition(";")[0]
    changed = value[: place % len(value)] + letter + value[place % len(value) + 1 :]
    known = sessions.read(changed)
    # The last letter of a signature holds bits that are in none of its bytes.
    assert known is None or changed[:-1] == value[:-1]
    assert sessions.read(value) is not None


@pytest.mark.parametrize("name", ["", "x" * 65, "a~b", "<b>", "a\nb"])
def test_a_name_that_is_none_gets_no_ticket(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        Tickets(KEY, ManualClock(BEGIN), tmp_path).mint(name)


def test_the_command_prints_where_to_go(tmp_path: Path) -> None:
    environment = {"GATEWAY_DATA_DIR": str(tmp_path), "GATEWAY_PORT": "8123"}
    done = CliRunner().invoke(app, ["console", "--by", "alice"], env=environment)
    address, _, ticket = done.output.strip().partition("#")
    assert (done.exit_code, address) == (0, "http://localhost:8123/console/")
    settings = Settings(data_dir=tmp_path)
    assert tickets_of(settings, keys_of(settings).cookie, SystemClock()).redeem(ticket) == "alice"
    elsewhere = CliRunner().invoke(app, ["console", "--url", "https://shop.example/"], env=environment)
    assert elsewhere.output.startswith("https://shop.example/console/#")
    nobody = CliRunner().invoke(app, ["console", "--by", "a~b"], env=environment)
    assert nobody.exit_code == 2
    keyless = CliRunner().invoke(app, ["console"], env={**environment, "GATEWAY_SOURCE": "http"})
    assert keyless.exit_code == 2


async def test_a_cookie_alone_changes_nothing(gateway: GatewayClient) -> None:
    csrf = await signed_in(gateway)
    body = {"model": "shelf", "version": None, "because": "it got worse"}

    async def rolled_back(**headers: str) -> httpx.Response:
        return await gateway.http.post("/console/api/rollback", json=body, headers=headers)

    refusals = [
        await rolled_back(),
        await rolled_back(**{"Console-Csrf": "0" * 64}),
        await rolled_back(**{"Console-Csrf": csrf, "Sec-Fetch-Site": "same-site"}),
        await rolled_back(**{"Console-Csrf": csrf, "Sec-Fetch-Site": "cross-site"}),
    ]
    assert [(each.status_code, each.json()["code"]) for each in refusals] == [(403, "CSRF_REFUSED")] * 4
    meant = await rolled_back(**{"Console-Csrf": csrf, "Sec-Fetch-Site": "same-origin"})
    assert meant.status_code != 403  # there is no such model, which it says
    form = await gateway.http.post(
        "/console/api/rollback", content=b"{}", headers={"Console-Csrf": csrf, "Content-Type": "text/plain"}
    )
    assert form.status_code == 415


async def test_a_page_from_elsewhere_reads_nothing_with_the_cookie(open_gateway: Open) -> None:
    async with open_gateway(cors_origins="https://shop.example") as client:
        await signed_in(client)
        for view in VIEWS:
            headers = {"Origin": "https://shop.example", "Sec-Fetch-Site": "same-site"}
            answer = await client.http.get(f"/console/api/{view}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "CSRF_REFUSED"), view
        assert (await client.http.get("/console/api/me", headers={"Sec-Fetch-Site": "same-origin"})).status_code == 200


async def test_another_sessions_proof_is_none(gateway: GatewayClient) -> None:
    first = await signed_in(gateway)
    assert await signed_in(gateway) != first
    answer = await gateway.http.post(
        "/console/api/rollback", json={"model": "shelf", "because": "x"}, headers={"Console-Csrf": first}
    )
    assert answer.json()["code"] == "CSRF_REFUSED"


async def test_pages_and_files_hold_no_script_of_their_own_and_a_policy_forbids_any(gateway: GatewayClient) -> None:
    await signed_in(gateway)
    for path in (
        "/console/",
        "/console/files/console.js",
        "/console/files/panels/hub.js",
        "/console/files/console.css",
    ):
        answer = await gateway.http.get(path)
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    for file in FOLDER.rglob("*.*"):
        text = file.read_text()
        assert "innerHTML" not in text, file.name
        if file.suffix == ".html":
            assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|\bon[a-z]+=", text), file.name


async def test_files_are_sent_once_and_none_outside_the_folder_is(gateway: GatewayClient) -> None:
    answer = await gateway.http.get("/console/files/console.js")
    again = await gateway.http.get("/console/files/console.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for path in ("../../pyproject.toml", "%2e%2e/console/door.py", "nothing.js"):
        assert (await gateway.http.get(f"/console/files/{path}")).status_code == 404
    moved = await gateway.http.get("/console")
    assert (moved.status_code, moved.headers["location"]) == (307, "/console/")
