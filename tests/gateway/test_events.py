"""Events in the whole gateway: reports of exposures, tags, bounds and retention, as its settings say."""

import asyncio
from pathlib import Path

import httpx

from gateway.settings import Settings
from personalization.clock import ManualClock, SystemClock
from personalization.codec import decode_exposure
from personalization.hub.sqlite_file import HUB_FILE
from personalization.hub.topics import EXPOSURES
from tests.events.parts import DECISION, EXPOSURE, read_file
from tests.gateway.client import GatewayClient, running
from tests.gateway.conftest import Open

REPORT = """mutation ($outcomes: [OutcomeInput!]!, $exposures: [ExposureEventInput!]) {
  report(outcomes: $outcomes, exposures: $exposures) { accepted duplicates rejected { index code } }
}"""
SEEN = {"exposureId": EXPOSURE, "kind": "SEEN", "id": "hero-1"}


async def test_exposures_are_reported_beside_outcomes(gateway: GatewayClient) -> None:
    outcomes = [{"decisionId": DECISION, "kind": "DISPLAYED"}]
    exposures = [SEEN, SEEN, {**SEEN, "exposureId": "hero"}]
    answer = await gateway.ask(REPORT, {"outcomes": outcomes, "exposures": exposures})
    assert answer["data"]["report"] == {
        "accepted": 2,
        "duplicates": 1,
        "rejected": [{"index": 3, "code": "INVALID_EXPOSURE_ID"}],
    }
    (event,) = await gateway.events("exposure_events")
    assert (event["exposure_id"], event["kind"]) == (EXPOSURE, "SEEN")
    assert len(event["trace_id"]) == 32


async def test_a_hundred_reports_are_counted_together(gateway: GatewayClient) -> None:
    outcomes = [{"decisionId": DECISION, "kind": "DISPLAYED"}] * 60
    answer = await gateway.ask(REPORT, {"outcomes": outcomes, "exposures": [SEEN] * 41})
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "101" in error["message"]


async def test_a_tag_reports_an_outcome_of_a_decision(gateway: GatewayClient) -> None:
    decision = (await gateway.home({}))["data"]["recommendations"]["decision"]
    hit = f"v=2&tid=G-1&cid=1.2&en=add_to_cart&pr1=id4711~qt2&ep.decision_id={decision['id']}"
    assert (await gateway.http.post(f"/events/ga4/g/collect?{hit}")).status_code == 204
    (outcome,) = await gateway.events("outcomes")
    (decided,) = (each for each in await gateway.events("decisions") if each["id"] == decision["id"])
    assert (outcome["decision_id"], outcome["kind"]) == (decision["id"], "ADDED_TO_BASKET")
    assert outcome["session"] == decided["session"]


async def test_a_session_is_bounded_as_the_settings_say(open_gateway: Open) -> None:
    async with open_gateway(events_per_minute=100, new_session_events_per_minute=150) as gateway:
        event = b'{"type": "seen", "exposureId": "%s"}' % EXPOSURE.encode()
        headers = {"Content-Type": "text/plain;charset=UTF-8"}
        first = await gateway.http.post("/events", content=b"[" + event + b"]", headers=headers)  # brings the cookie
        assert first.status_code == 202
        many = b"[" + b",".join([event] * 100) + b"]"
        assert (await gateway.http.post("/events", content=many, headers=headers)).status_code == 202
        refused = await gateway.http.post("/events", content=many, headers=headers)
        assert refused.status_code == 429
        assert refused.json()["code"] == "RATE_LIMITED"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert gateway.counted("gateway_events_limited_total", of="session") == 100
        gateway.http.cookies.clear()
        assert (await gateway.http.post("/events", content=many, headers=headers)).status_code == 202
        gateway.http.cookies.clear()
        assert (await gateway.http.post("/events", content=many, headers=headers)).status_code == 429
        assert gateway.counted("gateway_events_limited_total", of="address") == 100


async def test_the_hub_keeps_events_as_long_as_the_settings_say(open_gateway: Open) -> None:
    async with open_gateway() as gateway:
        await gateway.ask(REPORT, {"outcomes": [], "exposures": [SEEN]})
        assert len(await gateway.events("exposure_events")) == 1
    async with open_gateway(hub_retention_days=1e-9) as gateway, asyncio.timeout(20):
        while True:
            if gateway.counted("gateway_hub_pruned_total"):
                break
            await asyncio.sleep(0.01)
        assert await gateway.events("exposure_events") == []


async def test_an_exposure_has_one_id_before_and_after_a_restart(data_dir: Path) -> None:
    settings = Settings.model_validate({"data_dir": data_dir})
    clock = ManualClock(SystemClock().now())  # stands still, within one window
    cookies = httpx.Cookies()
    ids = []
    for _ in range(2):
        async with running(settings, clock=clock) as gateway:
            gateway.http.cookies.update(cookies)
            for _ in range(2):
                answer = await gateway.ask('{ components(names: ["hero"], context: {}) { exposure { id variant } } }')
                ids.append(answer["data"]["components"][0]["exposure"]["id"])
            cookies.update(gateway.http.cookies)
    (stored,) = await read_file(data_dir / HUB_FILE, EXPOSURES)
    exposure = decode_exposure(stored.event.value)
    assert ids == [exposure.id] * 4
    assert exposure.flag == "component.hero"
    assert exposure.subject.startswith("visitor:")


async def test_reports_and_events_share_the_bound_of_a_session(open_gateway: Open) -> None:
    async with open_gateway(events_per_minute=100, new_session_events_per_minute=150) as gateway:
        variables = {"outcomes": [{"decisionId": DECISION, "kind": "DISPLAYED"}] * 60}
        for _ in range(2):  # the first begins the session, and is counted for the address
            answer = await gateway.ask(REPORT, variables)
            assert answer["data"]["report"]["accepted"] == 60
        (error,) = (await gateway.ask(REPORT, variables))["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert "session" in error["message"]
        event = b'{"type": "seen", "exposureId": "%s"}' % EXPOSURE.encode()
        body, headers = b"[" + b",".join([event] * 60) + b"]", {"Content-Type": "text/plain"}
        assert (await gateway.http.post("/events", content=body, headers=headers)).status_code == 429
        assert gateway.counted("gateway_events_limited_total", of="session") == 120
        assert len(await gateway.events("outcomes")) == 120
